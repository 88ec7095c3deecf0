from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tans.report.runs import difference, wilson

SHARES = st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def test_wilson_interval_of_a_published_example() -> None:
    # Newcombe, Statistics in Medicine 17 (1998), table I: 81 of 263, method 3
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)


def test_difference_of_a_published_example() -> None:
    # Newcombe, Statistics in Medicine 17 (1998), table II: 56 of 70 less 48 of 80, method 10
    assert difference((56, 70), (48, 80)) == pytest.approx((0.0524, 0.3339), abs=5e-5)


@settings(max_examples=50, deadline=None)
@given(SHARES, SHARES)
def test_intervals_hold_their_estimates(one: tuple[int, int], other: tuple[int, int]) -> None:
    low, high = wilson(*one)
    assert 0 <= low <= one[0] / one[1] + 1e-12
    assert one[0] / one[1] - 1e-12 <= high <= 1
    low, high = difference(one, other)
    assert -1 <= low <= one[0] / one[1] - other[0] / other[1] + 1e-12 <= high + 1e-11
    assert difference(other, one) == pytest.approx((-high, -low))


def test_no_images_say_nothing() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
