"""Means and their intervals."""

from __future__ import annotations

import math

import pytest
from scipy.stats import ttest_1samp

from tans_bench.runs.comparison import averaged, confidence, percent


def test_the_interval_is_that_of_the_t_test() -> None:
    values = [0.61, 0.7, 0.66, 0.9]
    interval = ttest_1samp(values, 0).confidence_interval(0.95)
    assert confidence(values) == pytest.approx((interval.high - interval.low) / 2)


def test_one_value_has_no_interval() -> None:
    assert math.isnan(confidence([0.5]))
    assert percent(0.5, confidence([0.5])) == "50.0"
    assert percent(0.871, 0.012) == "87.1 ± 1.2"


def test_a_mean_stands_with_its_interval_where_it_has_one() -> None:
    assert averaged([0.5]) == "50.0"
    assert averaged([0.1, 0.3], "+.1f") == "+20.0 ± 127.1"
    assert averaged([-0.25, -0.25], ".2f", unit=1) == "-0.25 ± 0.00"
