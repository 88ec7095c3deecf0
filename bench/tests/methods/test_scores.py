"""Scores of frozen features choose, and stay on record."""

from __future__ import annotations

import pytest

from tans.zoo.sources import Sources
from tans.zoo.zoo import Zoo
from tans_bench.methods.method import Problem
from tans_bench.methods.scores import by_logme, by_probe
from tests.small_zoo import drawn_task


@pytest.mark.long
def test_the_scores_of_all_sources_are_kept_best_first(measured_zoo: Zoo) -> None:
    problem, sources = Problem(drawn_task("green", "three")), Sources.of(measured_zoo)
    stand_ins = [*sources.largest.values(), sources.base, sources.whole[0]]
    for method in (by_probe, by_logme):
        chosen = method(problem, measured_zoo)
        scores = chosen.details["scores"]
        assert scores.keys() == {entry.id for entry in stand_ins}
        assert list(scores.values()) == sorted(scores.values(), reverse=True)
        assert measured_zoo.entry(next(iter(scores))).task == chosen.source
