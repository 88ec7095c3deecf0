"""Figures 2 and 5 from plain numbers: what is drawn, and what a caption says."""

from __future__ import annotations

from tans_bench.experiments.table1 import AS_PUBLISHED, PUBLISHED, YARDSTICK, against_time, curves
from tans_bench.methods.entrants import METHODS


def _history(*accuracies: float) -> list[dict[str, float]]:
    return [{"epoch": n, "val_accuracy": value} for n, value in enumerate(accuracies)]


def test_what_the_paper_prints_is_of_methods_that_are_run() -> None:
    assert {method for method, _ in PUBLISHED} <= METHODS.keys()
    assert {*AS_PUBLISHED, YARDSTICK[0]} <= METHODS.keys()
    assert PUBLISHED[YARDSTICK][0] == "1.00x"


def test_each_method_is_a_line_of_whole_times_and_points() -> None:
    plot = against_time(
        [("a", False, [(0.5, -1.0), (2.0, 3.0)]), ("b", True, [(30.0, 1.0)]), ("c", False, [])],
        "of nothing",
        " And more.",
    )
    (axis,) = plot.figure.axes
    first, second, zero = axis.get_lines()
    assert list(first.get_xdata()) == [0.5, 2.0]
    assert list(first.get_ydata()) == [-1.0, 3.0]
    assert (second.get_label(), second.get_marker()) == ("b", "s")
    assert list(zero.get_ydata()) == [0, 0]
    assert max(axis.get_xticks()) == 20
    assert plot.caption.endswith("of nothing. And more.")


def test_a_learning_curve_is_the_mean_over_runs() -> None:
    runs = {"tans": [_history(0.5, 0.75), _history(0.25, 0.75)], "random": [_history(0.1, 0.1)]}
    plot = curves({"stamps": runs}, "means over seeds")
    (axis,) = plot.figure.axes
    (line,) = axis.get_lines()
    assert list(line.get_xdata()) == [0, 1]
    assert list(line.get_ydata()) == [37.5, 75]
    assert axis.get_title() == "stamps"


def test_many_tasks_stand_in_rows_of_four() -> None:
    found = {f"task {n}": {"tans": [_history(0.5)]} for n in range(6)}
    axes = curves(found, "of the first seed").figure.axes
    assert [axis.get_visible() for axis in axes] == [True] * 6 + [False] * 2
