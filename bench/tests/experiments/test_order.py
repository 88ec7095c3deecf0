"""Correlations of scores and accuracy: on made-up runs, and on the small zoo."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
from bench.tests.conftest import DEV_TASK, run_and_draw
from hypothesis import given
from hypothesis import strategies as st

from tans_bench.experiments.order import (
    EXPERIMENT,
    SCORES,
    Scored,
    in_bands,
    tau,
    without_largest,
)
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Table
from tans_bench.runs.ranks import Ranked
from tans_bench.runs.results import Result


def runs_of(accuracies: list[float], seed: int = 0) -> list[Result]:
    """Runs of as many sizes, in random order, whose accuracy is also their probe."""
    sizes = random.Random(seed).sample(range(1000), len(accuracies))
    return [
        {"accuracy": a, "probe": a, "params": size}
        for a, size in zip(accuracies, sizes, strict=True)
    ]


@given(st.lists(st.floats(0, 1), min_size=6, max_size=30, unique=True))
def test_the_accuracy_itself_orders_without_fault_in_every_way(accuracies: list[float]) -> None:
    runs = runs_of(accuracies)
    for way in (tau, in_bands, without_largest):
        assert way(runs, "probe") == pytest.approx(1)


def test_size_says_nothing_among_equals_in_size() -> None:
    """Three sizes: size orders the whole perfectly up to ties, and nothing within a band."""
    runs = [{"accuracy": k / 9, "params": 1 + k // 3} for k in range(9)]
    assert tau(runs, "params") > 0.7
    assert in_bands(runs, "params") == 0


def test_without_the_largest_their_luck_does_not_count() -> None:
    small = [{"accuracy": k / 10, "params": 10 - k} for k in range(8)]
    large = [{"accuracy": 0.9, "params": 100}, {"accuracy": 1.0, "params": 101}]
    assert without_largest([*small, *large], "params") == pytest.approx(-1)
    assert tau([*small, *large], "params") > -0.5


@pytest.mark.slow
def test_every_score_stands_beside_size(bench: Bench, tmp_path: Path) -> None:
    plan = Scored(Ranked((DEV_TASK,), epochs=0, nearest=2, drawn=7, images=30))
    table, _ = run_and_draw(replace(EXPERIMENT, plan=plan), bench, tmp_path)
    assert isinstance(table, Table)
    assert [row[0] for row in table.rows] == list(SCORES.values())
    (runs,) = plan.read(bench.results).values()
    assert len(runs) == 7
    assert table.rows[-1][1] == f"{tau(runs, 'probe'):.2f}"
    assert all(0 <= run["probe"] <= 1 for run in runs)
