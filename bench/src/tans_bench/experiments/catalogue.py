"""All experiments by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tans.errors import InputError
from tans_bench.experiments import (
    construction,
    correlation,
    costs,
    generation,
    limits,
    main,
    order,
    parts,
    predictor,
    queries,
    retrieval,
    rivals,
    shares,
    space,
    trained_pairs,
    whole,
)
from tans_bench.experiments.first_answers import experiment as first_answers
from tans_bench.experiments.judged import ensembles, generalist, merging, shape
from tans_bench.experiments.judged import experiment as answers
from tans_bench.runs.experiment import Experiment
from tans_bench.studies import (
    allocation,
    batches,
    building,
    copies,
    curves,
    distillation,
    fetches,
    first_list,
    gpu,
    gradients,
    growth,
    heads,
    large,
    leave_one_family_out,
    million,
    novelty,
    pairs,
    pairs_per_minute,
    paper_preset,
    ray_speedup,
    ray_store,
    reading,
    recipes,
    resolution,
    serving,
    shipped,
    slices,
    storage,
    thin,
    universal,
    waiting,
)

MODULES = (
    *(answers, main, rivals, first_answers, queries, shares, limits, parts, space),
    *(correlation, order, retrieval, predictor, whole, costs, construction, trained_pairs),
    generation,
    # the zoo, studies of single parts, and of their speed
    shipped,
    *(
        leave_one_family_out,
        recipes,
        heads,
        generalist,
        merging,
        ensembles,
        shape,
        resolution,
        slices,
        distillation,
        first_list,
        storage,
        copies,
        curves,
        novelty,
        fetches,
        pairs,
        thin,
        universal,
    ),
    *(paper_preset, reading, first_list, building, growth, pairs_per_minute, million, large),
    *(serving, ray_speedup, ray_store, gradients, batches, allocation, waiting, gpu),
)
EXPERIMENTS: Mapping[str, Experiment[Any]] = {
    module.EXPERIMENT.name: module.EXPERIMENT for module in MODULES
}


def get_experiment(name: str) -> Experiment[Any]:
    """The experiment of that name.

    Raises:
        InputError: there is none.
    """
    if name not in EXPERIMENTS:
        raise InputError(f"no experiment {name!r}; expected one of {', '.join(EXPERIMENTS)}")
    return EXPERIMENTS[name]
