from __future__ import annotations

import math

import pytest
import torch

from tans.errors import InputError
from tans.meta.losses import contrastive, cosine, equation3, hard, hinge, infonce, listwise
from tans.meta.presets import CHOICES

SCORES = torch.tensor([[0.9, 0.8, -0.1], [0.2, 0.5, 0.6], [0.0, 0.1, 0.7]])


def test_equation3_sums_negatives_before_the_maximum() -> None:
    # rows: .2-.9+.7=0, .2-.5+.8=.5, .2-.7+.1<0; columns: .2-.9+.2<0, .2-.5+.9=.6, .2-.7+.5=0
    assert equation3(SCORES, 0.2).item() == pytest.approx(0.5 + 0.6, abs=1e-6)


def test_hinge_sums_each_violation() -> None:
    # rows: .1 | -.1->0, .3 | none; columns: none | .5 | .1
    assert hinge(SCORES, 0.2).item() == pytest.approx(0.1 + 0.3 + 0.5 + 0.1, abs=1e-6)


def test_hard_takes_the_worst_negative_only() -> None:
    crowded = torch.tensor([[0.5, 0.5, 0.4], [-1.0, 0.5, -1.0], [-1.0, -1.0, 0.5]])
    # row 0 has violations .2 and .1; column 1 has .2, column 2 has .1
    assert hinge(crowded, 0.2).item() == pytest.approx(0.3 + 0.3, abs=1e-6)
    assert hard(crowded, 0.2).item() == pytest.approx(0.2 + 0.3, abs=1e-6)


def test_cosine_sees_positives_only() -> None:
    assert cosine(SCORES).item() == pytest.approx(2 * (0.1 + 0.5 + 0.3), abs=1e-6)


def test_infonce_is_cross_entropy_both_ways() -> None:
    scores = torch.tensor([[1.0, 0.0], [0.5, 1.0]])

    def entropy(right: float, wrong: float) -> float:
        return -math.log(math.exp(2 * right) / (math.exp(2 * right) + math.exp(2 * wrong)))

    by_row = entropy(1, 0) + entropy(1, 0.5)
    by_column = entropy(1, 0.5) + entropy(1, 0)
    assert infonce(scores, 0.5).item() == pytest.approx(by_row + by_column, abs=1e-5)


def test_listwise_is_cross_entropy_over_the_measured_sources() -> None:
    scores = torch.tensor([[0.0, 9.0, math.log(3)], [1.0, 2.0, 3.0]])
    truth = torch.tensor([[0.5, torch.nan, 0.5], [torch.nan, 0.4, torch.nan]])
    # row 0: both halves wanted, 1/4 and 3/4 given; row 1 has nothing to compare
    expected = -0.5 * (math.log(0.25) + math.log(0.75))
    assert listwise(scores, truth, 0.1).item() == pytest.approx(expected, abs=1e-6)


def test_listwise_is_least_where_scores_say_what_truth_says() -> None:
    truth = torch.tensor([[0.2, 0.5, torch.nan, 0.9]])
    scores = (truth / 0.1).nan_to_num().requires_grad_()
    listwise(scores, truth, 0.1).backward()
    assert scores.grad is not None
    torch.testing.assert_close(scores.grad, torch.zeros(1, 4), atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", CHOICES["loss"])
def test_descent_pulls_positives_and_never_pulls_negatives(name: str) -> None:
    scores = SCORES.clone().requires_grad_()
    contrastive(name, scores, margin=1.5, temperature=0.1).backward()
    assert scores.grad is not None
    own = torch.eye(3, dtype=torch.bool)
    assert (scores.grad[own] < 0).all()
    assert (scores.grad[~own] >= 0).all()
    assert bool((scores.grad[~own] > 0).any()) == (name != "cosine")


@pytest.mark.parametrize("name", CHOICES["loss"])
def test_both_directions_count_alike(name: str) -> None:
    one, other = (contrastive(name, s, 0.2, 0.1) for s in (SCORES, SCORES.T))
    assert one.item() == pytest.approx(other.item(), abs=1e-5)


def test_rejects_unknown_loss_and_scores_that_are_not_square() -> None:
    with pytest.raises(InputError, match="triplet"):
        contrastive("triplet", SCORES, 0.2, 0.1)
    with pytest.raises(InputError, match=r"\(2, 3\)"):
        contrastive("hinge", SCORES[:2], 0.2, 0.1)
