from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tans.costs.device import fit_charges, leave_one_out

COSTS = np.array([[1.0, 2.0], [1.0, 5.0], [1.0, 9.0], [1.0, 30.0]])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0.01, 100), min_size=2, max_size=2))
def test_charges_that_explain_all_times_are_found(charged: list[float]) -> None:
    times = COSTS @ np.array(charged)
    assert fit_charges(COSTS, times) == pytest.approx(charged, rel=1e-3)
    assert leave_one_out(COSTS, times) < 1e-3


def test_no_charge_is_negative() -> None:
    charges = fit_charges(COSTS, np.array([9.0, 7.0, 5.0, 3.0]))
    assert charges.min() >= 0
    assert charges[1] == 0


def test_what_no_network_needs_is_charged_finitely() -> None:
    unused = np.column_stack([COSTS, np.zeros(len(COSTS))])
    assert np.isfinite(fit_charges(unused, COSTS[:, 1])).all()


def test_one_time_that_fits_no_charge_is_an_error_of_the_fit() -> None:
    times = COSTS @ np.array([1.0, 0.5])
    disturbed = times * np.array([1, 1, 2, 1])
    assert leave_one_out(COSTS, disturbed) > 0.1
