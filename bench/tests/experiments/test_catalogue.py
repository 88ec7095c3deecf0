"""What every experiment must keep to."""

from __future__ import annotations

from pathlib import Path

import pytest

from tans.errors import InputError
from tans_bench.experiments.catalogue import EXPERIMENTS, get_experiment
from tans_bench.methods.entrants import METHODS
from tans_bench.runs.experiment import PRESETS, Comparison
from tans_bench.runs.jobs import LIMITS
from tans_bench.runs.results import Results
from tans_bench.runs.roles import DEV


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_declaration_names_what_there_is(name: str) -> None:
    experiment = get_experiment(name)
    assert experiment.name == name
    for preset in PRESETS:
        plan = experiment.scaled(preset).plan
        for arm in plan.arms if isinstance(plan, Comparison) else ():
            assert set(arm.methods) <= METHODS.keys()
            assert set(arm.tasks) <= {*DEV}
            assert set(arm.limits) <= LIMITS.keys()


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_nothing_is_drawn_of_nothing(name: str, tmp_path: Path) -> None:
    assert list(get_experiment(name).draw(Results(tmp_path))) == []


def test_unknown_names_are_errors() -> None:
    with pytest.raises(InputError, match="no experiment 'x'"):
        get_experiment("x")
    with pytest.raises(InputError, match="no preset 'x'"):
        get_experiment("main").scaled("x")
