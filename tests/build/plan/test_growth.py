"""Hypervolume and its expected growth against brute force and quadrature."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.stats import norm

from tans.build.plan.growth import REFERENCE_COST, Array, Front, hypervolume, normalised
from tans.errors import InputError

FRACTIONS = st.sampled_from([k / 8 for k in range(1, 9)])
"""Few values, so that ties are common."""
NETWORKS = st.lists(st.tuples(FRACTIONS, FRACTIONS, FRACTIONS), max_size=6)


def split(networks: list[tuple[float, float, float]]) -> tuple[Array, Array]:
    points = np.array(networks, dtype=float).reshape(-1, 3)
    return points[:, 0], points[:, 1:]


def by_inclusion_and_exclusion(accuracies: Array, costs: Array) -> float:
    total = 0.0
    for size in range(1, len(accuracies) + 1):
        for chosen in combinations(range(len(accuracies)), size):
            rows = list(chosen)
            box = accuracies[rows].min() * (REFERENCE_COST - costs[rows].max(0)).prod()
            total -= (-1) ** size * box
    return total


@given(NETWORKS)
def test_hypervolume_is_the_volume_of_the_union_of_boxes(
    networks: list[tuple[float, float, float]],
) -> None:
    accuracies, costs = split(networks)
    expected = by_inclusion_and_exclusion(accuracies, costs)
    assert_allclose(hypervolume(accuracies, costs), expected, atol=1e-12)
    assert_allclose(Front.of(accuracies, costs).volume, expected, atol=1e-12)


def test_with_one_cost_equal_for_all_it_is_the_area_under_stairs() -> None:
    accuracies, first = np.array([0.9, 0.5, 0.7]), np.array([1.0, 0.25, 0.5])
    costs = np.column_stack([first, np.full(3, 0.6)])
    stairs = 0.5 * (0.5 - 0.25) + 0.7 * (1.0 - 0.5) + 0.9 * (REFERENCE_COST - 1.0)
    assert hypervolume(accuracies, costs) == pytest.approx(stairs * (REFERENCE_COST - 0.6))


def test_the_largest_network_counts() -> None:
    small = hypervolume([0.5], [[0.5, 0.5]])
    assert hypervolume([0.5, 0.9], [[0.5, 0.5], [1.0, 1.0]]) > small


def by_quadrature(front: Front, mean: float, std: float, costs: Array) -> float:
    """Mean real growth over 1,001 equally likely accuracies."""
    share = (np.arange(1001) + 0.5) / 1001
    accuracies = np.clip(norm.ppf(share, mean, std), 0.0, 1.0)
    return float(np.mean([front.with_network(a, costs).volume - front.volume for a in accuracies]))


@settings(max_examples=15, deadline=None)
@given(NETWORKS, st.floats(0.1, 1.0), st.floats(0.01, 0.3), FRACTIONS, FRACTIONS)
@pytest.mark.long
def test_expected_growth_is_the_mean_of_real_growth(
    networks: list[tuple[float, float, float]], mean: float, std: float, first: float, second: float
) -> None:
    front, costs = Front.of(*split(networks)), np.array([first, second])
    found = front.expected_growth([mean], [std], costs[None])
    assert_allclose(found[0], by_quadrature(front, mean, std, costs), atol=2e-4)


@given(NETWORKS, NETWORKS)
def test_without_spread_it_is_the_plain_growth(
    networks: list[tuple[float, float, float]], others: list[tuple[float, float, float]]
) -> None:
    front, (mean, costs) = Front.of(*split(networks)), split(others)
    grown = [front.with_network(a, c).volume for a, c in zip(mean, costs, strict=True)]
    found = front.expected_growth(mean, np.zeros(len(mean)), costs)
    assert_allclose(found, np.array(grown) - front.volume, atol=1e-12)


@given(NETWORKS, st.floats(0, 0.3), FRACTIONS, FRACTIONS)
def test_it_rises_with_the_mean_and_is_never_negative(
    networks: list[tuple[float, float, float]], std: float, first: float, second: float
) -> None:
    means = np.linspace(-0.5, 1.5, 41)
    costs = np.tile([first, second], (41, 1))
    found = Front.of(*split(networks)).expected_growth(means, np.full(41, std), costs)
    assert (found >= 0).all()
    assert (np.diff(found) >= -1e-12).all()


def test_a_dominated_network_adds_nothing_unless_its_accuracy_may_be_higher() -> None:
    front = Front.of([0.8], [[0.5, 0.5]])
    certain, uncertain = front.expected_growth([0.7, 0.7], [0.0, 0.1], [[0.6, 0.6]] * 2)
    assert certain == 0
    assert uncertain > 0


def test_what_lies_beyond_the_reference_adds_nothing() -> None:
    front = Front.of([0.8, 0.9], [[0.5, 0.5], [2.0, 0.1]])
    assert front.volume == Front.of([0.8], [[0.5, 0.5]]).volume
    assert front.expected_growth([0.9], [0.1], [[0.3, 1.2]])[0] == 0


def test_costs_are_shares_of_the_largest() -> None:
    assert normalised([[1, 40], [2, 10]]).tolist() == [[0.5, 1.0], [1.0, 0.25]]


@pytest.mark.parametrize(
    "call",
    [
        lambda: hypervolume([0.5, 0.5], [[0.5, 0.5]]),
        lambda: hypervolume([0.5], [[0.5]]),
        lambda: hypervolume([np.nan], [[0.5, 0.5]]),
        lambda: hypervolume([1.5], [[0.5, 0.5]]),
        lambda: Front.of([0.5], [[-0.5, 0.5]]),
        lambda: Front.of([], np.zeros((0, 2))).expected_growth([0.5], [-0.1], [[0.5, 0.5]]),
        lambda: Front.of([], np.zeros((0, 2))).expected_growth([0.5], [0.1, 0.1], [[0.5, 0.5]]),
        lambda: Front.of([], np.zeros((0, 2))).expected_growth([np.inf], [0.1], [[0.5, 0.5]]),
        lambda: normalised([[1.0, 0.0]]),
        lambda: normalised([1.0, 2.0]),
    ],
)
def test_what_is_no_network_is_refused(call: Callable[[], object]) -> None:
    with pytest.raises(InputError, match="expected|must"):
        call()
