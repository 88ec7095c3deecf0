import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tans.errors import InputError
from tans.networks.probe import (
    STRENGTHS,
    linear_head,
    probe_accuracy,
    ridge_kernel,
    ridge_right,
    standards,
)


def _clusters(apart: float, n: int = 90, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Three clouds of points (n, 8), their centres so many spreads apart, and their labels."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 3
    points = torch.randn(n, 8, generator=generator)
    points[torch.arange(n), labels] += apart
    return points, labels


def _folds(n: int, seed: int = 1) -> torch.Tensor:
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed)) % 5


def test_separable_classes_are_told_apart_and_noise_is_not() -> None:
    points, labels = _clusters(apart=8.0)
    assert probe_accuracy(points, labels, _folds(90)) > 0.97
    noise, labels = _clusters(apart=0.0)
    assert 0.15 < probe_accuracy(noise, labels, _folds(90)) < 0.55


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.floats(0.01, 100), shift=st.floats(-5, 5))
def test_neither_scale_nor_origin_nor_order_matters(seed: int, scale: float, shift: float) -> None:
    points, labels = _clusters(apart=1.5, seed=seed)
    folds = _folds(90)
    found = probe_accuracy(points, labels, folds)
    assert probe_accuracy(points * scale + shift, labels, folds) == pytest.approx(found, abs=0.025)
    order = torch.randperm(90, generator=torch.Generator().manual_seed(seed))
    shuffled = probe_accuracy(points[order], labels[order], folds[order])
    assert shuffled == pytest.approx(found, abs=1e-6)


def test_a_fold_is_judged_by_the_others_only() -> None:
    """A class that only one fold holds cannot be known where it is judged."""
    points, labels = _clusters(apart=8.0)
    assert probe_accuracy(points, labels, labels) == 0.0


def test_some_images_judge_what_was_learnt_from_others() -> None:
    points, labels = _clusters(apart=8.0)
    kernel = ridge_kernel(points)
    assert kernel.diagonal().mean() == pytest.approx(1.0)
    learnt, judges = torch.arange(30), torch.arange(60, 90)
    right = ridge_right(kernel, labels, learnt, judges)
    assert right.shape == (len(STRENGTHS), 30)
    assert right.double().mean() > 0.95
    masks = ((torch.arange(90)[:, None] == rows).any(1) for rows in (learnt, judges))
    assert torch.equal(ridge_right(kernel, labels, *masks), right)
    of_two = learnt[labels[learnt] != 2]
    assert not ridge_right(kernel, labels, of_two, judges)[:, labels[judges] == 2].any()


def test_constant_features_do_no_harm() -> None:
    points, labels = _clusters(apart=8.0)
    padded = torch.cat([points, torch.ones(90, 3)], 1)
    assert probe_accuracy(padded, labels, _folds(90)) > 0.97


def test_a_single_fold_or_other_lengths_are_refused() -> None:
    points, labels = _clusters(apart=1.0)
    with pytest.raises(InputError, match="one fold"):
        probe_accuracy(points, labels, torch.zeros(90, dtype=torch.int64))
    with pytest.raises(InputError, match="expected one of each"):
        probe_accuracy(points, labels[:-1], _folds(90))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.floats(0.01, 100), shift=st.floats(-5, 5))
def test_a_fitted_head_separates_what_is_separable_at_any_scale(
    seed: int, scale: float, shift: float
) -> None:
    points, labels = _clusters(apart=8.0, seed=seed)
    weight, bias = linear_head(points * scale + shift, labels, classes=3)
    scores = (points * scale + shift) @ weight.T + bias
    assert (scores.argmax(1) == labels).float().mean() > 0.97


def test_a_fitted_head_has_an_output_for_a_class_without_images() -> None:
    points, labels = _clusters(apart=8.0)
    weight, bias = linear_head(points, labels, classes=5)
    assert weight.shape == (5, 8)
    assert bias.isfinite().all()
    assert (points @ weight.T + bias).argmax(1).max() < 3


def test_a_fitted_head_finds_more_of_a_class_that_counts_more() -> None:
    points, labels = _clusters(apart=0.5, n=300)
    found = []
    for share in (0.2, 1.0, 5.0):
        weight, bias = linear_head(points, labels, 3, torch.tensor([share, 1.0, 1.0]))
        found.append(int(((points @ weight.T + bias).argmax(1) == 0)[labels == 0].sum()))
    assert found[0] < found[1] < found[2]
    alike, plain = linear_head(points, labels, 3, torch.ones(3)), linear_head(points, labels, 3)
    torch.testing.assert_close(alike, plain)


def test_a_fitted_head_bears_one_image_and_constant_features() -> None:
    weight, bias = linear_head(torch.ones(1, 4), torch.tensor([1]), classes=2)
    assert weight.isfinite().all()
    assert bias[1] > bias[0]


@given(seed=st.integers(0, 10_000), widths=st.lists(st.integers(1, 40), min_size=1, max_size=4))
@settings(max_examples=20, deadline=None)
def test_blocks_have_the_same_mean_square(seed: int, widths: list[int]) -> None:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(200, sum(widths), generator=generator) + 3
    mean, deviation = standards(features, widths)
    squares = [
        part.square().sum(1).mean() for part in ((features - mean) / deviation).split(widths, 1)
    ]
    for square in squares:
        assert square == pytest.approx(sum(widths) / len(widths), rel=0.01)


def test_a_wide_block_of_noise_does_not_hide_a_narrow_one_that_tells() -> None:
    points, labels = _clusters(apart=2.5)
    noise = torch.randn(90, 400, generator=torch.Generator().manual_seed(1))
    features, folds = torch.cat([points, noise], 1), _folds(90)
    alike = probe_accuracy(features, labels, folds)
    assert probe_accuracy(features, labels, folds, (8, 400)) > alike + 0.1


def test_a_head_on_blocks_is_the_same_whether_images_or_features_are_more() -> None:
    """With few images the fit is done in what they span: so it is on as many as there are."""
    points, labels = _clusters(apart=3.0, n=60)
    wide = torch.cat([points, torch.randn(60, 80, generator=torch.Generator().manual_seed(2))], 1)
    few = linear_head(wide, labels, 3, blocks=(8, 80))
    twice = linear_head(wide.repeat(2, 1), labels.repeat(2), 3, blocks=(8, 80))
    for short, long in zip(few, twice, strict=True):
        assert torch.allclose(short, long, atol=2e-3)
