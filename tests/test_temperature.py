from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tans.temperature import HIGHEST, LOWEST, Calibration, calibrate, calibration_error
from tans.temperature import fit_temperature as fit


def drawn(n: int, sharpness: float, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores (n, 4) that are ``sharpness`` times too sure of labels drawn from them, (n,)."""
    generator = torch.Generator().manual_seed(seed)
    scores = 2 * torch.randn(n, 4, generator=generator)
    labels = torch.multinomial(scores.softmax(1), 1, generator=generator)[:, 0]
    return sharpness * scores, labels


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_the_temperature_is_what_the_scores_are_too_sure_by(sharpness: float) -> None:
    assert fit(*drawn(4000, sharpness)) == pytest.approx(sharpness, rel=0.1)


def test_probabilities_keep_what_they_promise_afterwards() -> None:
    found = calibrate(*drawn(1000, 4.0), *drawn(1000, 4.0, seed=1))
    assert found.images == 1000
    assert found.calibrated_error < 0.05 < found.error
    assert found.calibrated_log_loss < found.log_loss
    assert "off by" in found.words()


def test_a_few_images_that_are_all_right_do_not_make_sure() -> None:
    scores = torch.eye(3).repeat(10, 1)
    labels = torch.arange(3).repeat(10)
    sure = (scores / fit(scores, labels)).softmax(1).max(1).values
    assert (sure < 0.99).all()


@pytest.mark.parametrize("n", [0, 5])
def test_too_few_images_leave_probabilities_as_they_are(n: int) -> None:
    found = (
        calibrate(*drawn(n, 3.0), *drawn(50, 3.0))
        if n
        else calibrate(torch.empty(0, 0), torch.empty(0, dtype=torch.int64), *drawn(50, 3.0))
    )
    assert found.temperature == 1
    assert "not calibrated" in found.words()


def test_without_test_images_the_effect_is_not_known() -> None:
    found = calibrate(*drawn(100, 3.0), torch.empty(0, 0), torch.empty(0, dtype=torch.int64))
    assert found.temperature > 2
    assert math.isnan(found.error)
    assert Calibration().words() != found.words()


@settings(deadline=None, max_examples=30)
@given(st.integers(30, 60), st.floats(0.01, 100), st.integers(0, 9))
def test_a_temperature_is_always_one(n: int, sharpness: float, seed: int) -> None:
    scores, labels = drawn(n, sharpness, seed)
    assert LOWEST <= fit(scores, labels) <= HIGHEST
    assert 0 <= calibration_error(scores, labels) <= 1


def test_the_error_is_the_difference_of_promise_and_truth() -> None:
    scores = torch.tensor([[math.log(0.8), math.log(0.2)]]).repeat(100, 1)
    labels = (torch.arange(100) >= 60).long()  # right in 60 of 100
    order = torch.randperm(100, generator=torch.Generator().manual_seed(0))
    whole = abs(0.8 - 0.6)
    assert calibration_error(scores, labels[order]) == pytest.approx(whole, abs=0.1)
    assert calibration_error(scores[:60], labels[:60]) == pytest.approx(0.2, abs=1e-6)
