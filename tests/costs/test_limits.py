"""Limits on what a network needs, on costs that are made up and on a device that is."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tans.costs import limits
from tans.costs.limits import (
    DEFAULT,
    FEWEST_STEPS,
    MOST_STEPS,
    allowed,
    epochs_within,
    fits,
    shortest,
)
from tans.costs.pace import Pace, paced
from tans.errors import InputError, LimitError
from tans.networks.families.elastic.family import ELASTIC
from tans.search import search
from tans.types import Constraints, NetworkRef
from tans.zoo.zoo import Zoo
from tests.small_zoo import drawn_task

QUERY = drawn_task("green", "three", seed=3)
TRAIN, VAL, TEST = (int((QUERY.splits == k).sum()) for k in range(3))
PACE = Pace("lite0", fixed_s=0.0, seconds_per_flop=1e-8, validation=0.3, error=0.1)
COSTS = {
    "max_params": np.array([1e6, 2e6, 3e6]),
    "max_flops": np.array([30.0, 20.0, 10.0]),
    "max_minutes": np.array([1.0, 2.0, 3.0]),
}


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A device whose pace is known; returns what it was asked for the pace of."""
    asked: list[str] = []

    def pace(ref: NetworkRef) -> Pace:
        asked.append(paced(ref))
        return PACE

    monkeypatch.setattr(limits, "cached_pace", pace)
    return asked


def test_networks_fit_that_are_within_every_limit() -> None:
    assert fits(COSTS, Constraints()).tolist() == [True, True, True]
    assert fits(COSTS, Constraints(max_params=2e6)).tolist() == [True, True, False]
    both = Constraints(max_params=2e6, max_flops=20)
    assert fits(COSTS, both).tolist() == [False, True, False]
    assert fits(COSTS, Constraints(max_minutes=1.5)).tolist() == [True, False, False]


def test_it_may_be_that_none_is_within() -> None:
    assert allowed(COSTS, Constraints(max_flops=20)).tolist() == [False, True, True]
    assert allowed(COSTS, Constraints(max_flops=1)).tolist() == [False, False, False]
    none = {name: values[:0] for name, values in COSTS.items()}
    assert allowed(none, Constraints(max_flops=1)).tolist() == []


def test_the_limit_to_raise_is_named() -> None:
    with pytest.raises(LimitError, match="max_minutes 0.5; .* would fit is max_minutes 1$"):
        fits(COSTS, Constraints(max_minutes=0.5))
    with pytest.raises(LimitError, match="max_params 3e\\+06 or max_flops 30"):
        fits(COSTS, Constraints(max_params=1e6, max_flops=10))
    with pytest.raises(LimitError, match="the smallest needs max_params 1e\\+06, max_minutes 1$"):
        fits(COSTS, Constraints(max_params=1, max_minutes=0.1))


def test_minutes_are_those_of_the_default_recipe_with_validation_and_one_test(
    small_zoo: Zoo, device: list[str]
) -> None:
    everything = search(QUERY, small_zoo, top=1000, max_minutes=1e6)
    for match in everything:
        # ten readings of validation images, each under statistics of the training images, beside
        # that of the fitted head, which sees them as they are and changed at random; then the test
        looked_at = 11 * (VAL + TRAIN) + 2 * TRAIN + TEST
        images = DEFAULT.passes(TRAIN) * TRAIN + PACE.validation * looked_at
        assert match.minutes == pytest.approx(1e-8 * match.flops * images / 60)
    minutes = sorted(match.minutes or 0 for match in everything)
    found = search(QUERY, small_zoo, top=1000, max_minutes=minutes[3])
    fitting = {match.id for match in everything if (match.minutes or 0) <= minutes[3]}
    assert {match.id for match in found} == fitting
    assert set(device) == {"lite0"}


def test_a_shorter_fine_tune_is_limited_where_nothing_fits_for_the_default(
    small_zoo: Zoo, device: list[str]
) -> None:
    usual = search(QUERY, small_zoo, top=1000, max_minutes=1e6)
    assert (usual.epochs, usual.shortened) == (DEFAULT.passes(TRAIN), None)
    least = min(match.minutes or 0 for match in usual)
    found = search(QUERY, small_zoo, top=1000, max_minutes=least / 2)
    assert (found.epochs, found.shortened) == (usual.epochs, shortest(QUERY))
    assert max(match.minutes or 0 for match in found) <= least / 2
    assert device


def test_epochs_fill_the_minutes_between_too_few_and_more_than_help(device: list[str]) -> None:
    ref, steps = drawn_ref(), DEFAULT.steps(TRAIN)
    assert epochs_within(1e9, ref, QUERY) == MOST_STEPS // steps
    assert epochs_within(1e-9, ref, QUERY) == shortest(QUERY) == math.ceil(FEWEST_STEPS / steps)
    between = [epochs_within(minutes, ref, QUERY) for minutes in (4, 6, 8, 12)]
    assert between == sorted(between)
    assert len(set(between)) > 2
    assert device


def drawn_ref() -> NetworkRef:
    return ELASTIC.largest("lite0", 32)


def test_the_minutes_named_when_nothing_fits_are_enough(small_zoo: Zoo, device: list[str]) -> None:
    with pytest.raises(LimitError, match="nearest limit") as caught:
        search(QUERY, small_zoo, max_minutes=1e-9)
    named = float(str(caught.value).rsplit("max_minutes ", 1)[1])
    assert len(search(QUERY, small_zoo, max_minutes=named)) >= 1
    assert device


def test_the_device_is_not_timed_unless_asked(small_zoo: Zoo, device: list[str]) -> None:
    assert search(QUERY, small_zoo, top=1)[0].minutes is None
    assert device == []


@pytest.mark.parametrize("wrong", [0.0, -1.0, float("nan")])
def test_limits_are_positive(wrong: float) -> None:
    with pytest.raises(InputError, match="max_minutes .* expected a positive number"):
        Constraints(max_minutes=wrong)
