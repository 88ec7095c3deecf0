"""All experiments by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tans.errors import InputError
from tans_bench.experiments import (
    answers,
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
    shares,
    space,
    whole,
)
from tans_bench.runs.experiment import Experiment

MODULES = (
    *(main, answers, queries, shares, limits, parts, space),
    *(correlation, order, retrieval, predictor, whole, costs, construction, generation),
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
