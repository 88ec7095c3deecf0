"""All experiments by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tans.errors import InputError
from tans.evaluation.experiment import Experiment
from tans.evaluation.experiments.main import MAIN
from tans.evaluation.experiments.retrieval import RETRIEVAL

EXPERIMENTS: Mapping[str, Experiment[Any]] = {
    experiment.name: experiment for experiment in (MAIN, RETRIEVAL)
}


def get_experiment(name: str) -> Experiment[Any]:
    """The experiment of that name.

    Raises:
        InputError: there is none.
    """
    if name not in EXPERIMENTS:
        raise InputError(f"no experiment {name!r}; expected one of {', '.join(EXPERIMENTS)}")
    return EXPERIMENTS[name]
