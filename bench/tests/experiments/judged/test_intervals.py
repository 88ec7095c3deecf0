"""Intervals are over families of tasks."""

from __future__ import annotations

import pytest

from tans_bench.experiments.judged.intervals import interval, mean, paired, spread
from tans_bench.experiments.judged.jobs import Cell


def test_an_interval_is_over_families() -> None:
    middle, low, high = interval({"script-greek": 0.0, "script-thai": 0.0, "icons-apps": 3.0})
    assert middle == pytest.approx(1.0)
    assert (low, high) == (0.0, 3.0)  # each draw of two families may be of one alone
    assert interval({"script-greek": 2.0, "icons-apps": 2.0}) == (2.0, 2.0, 2.0)


def test_a_mean_is_of_tasks_and_one_task_has_no_interval() -> None:
    assert spread({"script-greek": [1.0, 3.0], "icons-apps": [6.0]}) == "+4.0 (+2.0 to +6.0)"
    assert spread({"script-greek": [1.0, 3.0], "icons-apps": []}) == "+2.0"
    assert spread({}) == "\N{EN DASH}"


def test_what_was_not_measured_is_neither_paired_nor_averaged() -> None:
    cells = [Cell("a", 0), Cell("a", 1), Cell("b", 0)]
    assert paired(zip(cells, (3.0, None, 2.0), (1.0, 1.0, 4.0), strict=True)) == {
        "a": [2.0],
        "b": [-2.0],
    }
    assert mean([1.0, 2.0]) == 1.5
    assert mean([1.0, None]) is None
    assert mean([]) is None
