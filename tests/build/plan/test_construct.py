"""The loop that trains what a strategy names."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from tans.build.plan.construct import Budget, Outcome, Step, construct
from tans.build.plan.strategies import Grid, Measured, Pareto, first_pairs
from tans.errors import InputError
from tests.build.plan.construction import Oracle, landscape

MADE = landscape()
START = first_pairs(MADE.pool, 2, seed=0)
PARETO = Pareto(Oracle(MADE.accuracies))


def ran(budget: Budget, measured: Measured | None = None, batch: int = 4) -> list[Step]:
    steps = construct(
        MADE.pool, PARETO, MADE.train, budget, measured=measured, start=START, batch=lambda: batch
    )
    return list(steps)


def pairs(steps: list[Step]) -> list[int]:
    return [step.outcome.pair for step in steps]


def test_the_start_comes_first_and_the_budget_is_kept() -> None:
    steps = ran(Budget(15))
    assert pairs(steps)[:6] == START
    assert [step.pairs for step in steps] == list(range(1, 16))
    assert [step.expected is None for step in steps] == [True] * 6 + [False] * 9


def test_without_a_limit_all_is_trained() -> None:
    assert sorted(pairs(ran(Budget(1000)))) == list(range(60))


def test_real_growth_adds_up_to_the_volume() -> None:
    steps = ran(Budget(30))
    assert sum(step.growth for step in steps) / 3 == pytest.approx(steps[-1].volume)
    everything = ran(Budget(60))[-1].volume
    assert 0.98 * everything < steps[-1].volume <= everything


def test_a_stopped_construction_goes_on_as_if_it_had_not_been() -> None:
    whole = ran(Budget(30))
    known = whole[:14]  # two batches of the start, and two of the strategy's
    measured = Measured(tuple(pairs(known)), tuple(step.outcome.accuracy for step in known))
    rest = ran(Budget(30), measured)
    assert pairs(rest) == pairs(whole)[14:]
    assert rest[-1].volume == pytest.approx(whole[-1].volume)


def test_it_stops_when_nothing_is_worth_it() -> None:
    steps = ran(Budget(60, growth=0.01))
    assert 6 < len(steps) < 60
    later = ran(Budget(60))[len(steps)]
    assert later.expected is not None
    assert later.expected < 0.01


def test_it_stops_when_the_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(0, 10_000, 20))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(ticks)))
    assert len(ran(Budget(60, minutes=1.0))) == 4


def test_a_spent_budget_trains_nothing() -> None:
    measured = Measured((0, 1, 2), (0.5, 0.5, 0.5))
    for spent in (1, 3):
        steps = construct(MADE.pool, Grid(), MADE.train, Budget(spent), measured=measured)
        assert list(steps) == []


@pytest.mark.parametrize(
    ("pairs", "minutes", "growth"),
    [(0, None, 0.0), (1, 0.0, 0.0), (1, float("nan"), 0.0), (1, None, -1.0)],
)
def test_a_budget_of_nothing_is_refused(pairs: int, minutes: float | None, growth: float) -> None:
    with pytest.raises(InputError, match="expected"):
        Budget(pairs, minutes, growth)


def test_batches_grow_with_the_crew() -> None:
    sizes, left = list[int](), iter((2, 4, 4, 4))

    def train(batch: Sequence[int]) -> list[Outcome]:
        sizes.append(len(batch))
        return list(MADE.train(batch))

    list(construct(MADE.pool, Grid(), train, Budget(10), batch=lambda: next(left)))
    assert sizes == [2, 4, 4]
