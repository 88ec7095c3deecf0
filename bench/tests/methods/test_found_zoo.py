"""A small zoo of architectures that were found for its tasks."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench.tests.methods.metad2a.test_learning import TINY

from tans.errors import LimitError
from tans.types import Constraints
from tans.zoo.zoo import Zoo
from tans_bench.methods.found_zoo import OfFound
from tans_bench.methods.method import Problem
from tests.small_zoo import drawn_task

TASK = drawn_task("green", "three", seed=3)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TANS_CACHE", str(tmp_path))


@pytest.mark.long
def test_a_network_of_a_source_task_comes_with_its_own_weights(measured_zoo: Zoo) -> None:
    method = OfFound(TINY)
    proposal = method(Problem(TASK), measured_zoo)
    stored = {entry.task: entry.weights for entry in measured_zoo.entries(vectors=False)}
    assert measured_zoo.task(proposal.source).features
    assert proposal.weights == stored[proposal.source]
    assert proposal == method(Problem(TASK), measured_zoo)
    proposal.load(measured_zoo, 3)


def test_limits_hold(measured_zoo: Zoo) -> None:
    with pytest.raises(LimitError, match="max_params 1;"):
        OfFound(TINY)(Problem(TASK, Constraints(max_params=1)), measured_zoo)
