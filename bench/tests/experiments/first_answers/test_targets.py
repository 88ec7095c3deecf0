"""Targets are met, missed, or open while tasks are missing."""

from __future__ import annotations

import pytest
from bench.tests.experiments.first_answers.conftest import made

from tans_bench.experiments.first_answers.measured import ELASTIC_BASE, IMAGENET, TANS, Contender
from tans_bench.experiments.first_answers.targets import Target, verdicts

BETTER = made({TANS: [(0.9, 1)], ELASTIC_BASE: [(0.8, 1)], Contender("random"): [(0.85, 1)]})
UNKNOWN = made({TANS: [(0.9, 1)]}, "script-tamil")


def row(rows: list[list[str]], start: str) -> list[str]:
    return next(row[2:] for row in rows if row[1].startswith(start))


def test_a_target_is_open_while_a_task_is_missing() -> None:
    rows = verdicts("t", [BETTER]).rows
    base = "points over the elastic base"
    assert row(rows, base) == ["at least 1", "10.00", "yes, by 9.00", "1 of 1", "0"]
    rows = verdicts("t", [BETTER, UNKNOWN]).rows
    assert row(rows, base)[2:] == ["open (so far yes, by 9.00)", "1 of 1", "1"]
    assert row(rows, "points over the strongest baseline (random)")[1] == "5.00"


def test_what_no_task_has_is_not_measured() -> None:
    rows = verdicts("t", [UNKNOWN]).rows
    ratio = "errors as a share of ImageNet's, 5 epochs"
    assert row(rows, ratio) == ["at most 0.5", "–", "not measured", "0 of 0", "1"]  # noqa: RUF001
    assert {row[0] for row in rows} == {"siblings", "all"}


def test_errors_of_a_perfect_peer_are_left_out() -> None:
    perfect = made({TANS: [(0.9, 1)], IMAGENET: [(1.0, 1)]})
    worse = made({TANS: [(0.9, 1)], IMAGENET: [(0.9, 1)]}, "script-tamil")
    rows = verdicts("t", [perfect, worse]).rows
    found = row(rows, "errors as a share of ImageNet's, 5 epochs")
    assert found[1:] == ["1.00", "open (so far no, by 0.50)", "0 of 1", "1"]


@pytest.mark.parametrize(
    ("rule", "value", "met"),
    [("at most", 2.0, True), ("at least", 2.0, True), ("more than", 2.0, False)],
)
def test_a_bound_itself_counts_by_the_rule(rule: str, value: float, met: bool) -> None:
    target = Target("all", "points", lambda _: value, rule, 2)
    assert target.meets(value) is met
    assert target.verdict(value, 0) == ("yes, by 0.00" if met else "**no, by 0.00**")
