"""What a construction writes down of pairs."""

from __future__ import annotations

from pathlib import Path

from tans.build.plan.construct import Outcome, Step
from tans.build.plan.ledger import line_of, pairs_of
from tans.zoo.rows import LedgerLine
from tans.zoo.zoo import Zoo


def test_a_pair_that_was_measured_again_is_one_line(tmp_path: Path) -> None:
    given = (("a", 1.0), ("b", 2.0), ("b", 3.0))
    first, lost, again = (
        LedgerLine(name, "t", seconds, 0.5, None, 0.1, 0.2) for name, seconds in given
    )
    zoo = Zoo.create(tmp_path / "zoo")
    zoo.ledger.add([first, lost])
    zoo.ledger.add([again])
    assert pairs_of(zoo) == [first, again]


def test_a_line_has_as_many_digits_as_mean_something() -> None:
    step = Step(Outcome(0, 2 / 3, 1 / 3), None, 1 / 7, 1 / 9, 1)
    line = line_of(step, "t-0", "t", latency_ms=1 / 3)
    assert line == LedgerLine("t-0", "t", 0.333, 0.666667, None, 0.142857, 0.111111, 0.3333)
    assert line_of(step, "t-0", "t").latency_ms is None
