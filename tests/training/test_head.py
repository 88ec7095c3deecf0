import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tans.networks.batchnorm import recalibrate
from tans.networks.network import DeepHead, Network, prepare
from tans.training import (
    HEAD_LENGTH,
    UNEVEN,
    accuracy,
    augment,
    class_weights,
    fit_head,
    head,
    probe,
)
from tests.training.bars import bars


def test_a_fitted_head_knows_the_task_before_the_first_step(network: Network) -> None:
    task = bars(200)
    images, labels = task.split("train", 32)
    tuned = copy.deepcopy(network)
    tuned.replace_head(2)
    fit_head(tuned, images, labels)
    assert accuracy(tuned, *task.split("test", 32)) > 0.65  # chance is a half
    for name, parameter in network.named_parameters():
        if not name.startswith("classifier."):
            assert torch.equal(parameter, tuned.get_parameter(name))


def test_a_probe_does_not_depend_on_the_statistics_of_other_images(network: Network) -> None:
    task, other = bars(200), copy.deepcopy(network)
    recalibrate(
        other,
        torch.full((40, 3, 32, 32), 9, dtype=torch.uint8)
        + torch.arange(40)[:, None, None, None].to(torch.uint8),
    )
    found = [probe(copy.deepcopy(n), task) for n in (network, other)]
    assert found[0] == pytest.approx(found[1], abs=0.02)
    assert found[0] > 0.65  # chance is a half


@pytest.mark.parametrize("passed_once", [400, 100])
def test_a_glance_sees_what_a_second_pass_would(
    network: Network, monkeypatch: pytest.MonkeyPatch, passed_once: int
) -> None:
    monkeypatch.setattr(head, "NORM_IMAGES", passed_once)
    images, _ = bars(200).split("train", 32)
    deep = copy.deepcopy(network)
    deep.replace_head(2, deep=True)
    glanced = head.glanced_features(copy.deepcopy(deep), images)
    twice = head.adapted_features(deep, images)
    spread = twice.std(0).clamp_min(1e-3)
    assert ((glanced - twice) / spread).abs().mean() < 0.05
    norms = [m for m in deep.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert norms
    assert not any(norm.training for norm in norms)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 300), min_size=2, max_size=8).filter(any))
def test_class_weights_count_rare_classes_more(counts: list[int]) -> None:
    labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    weights = class_weights(labels, len(counts))
    present = [count for count in counts if count]
    if max(present) <= UNEVEN * min(present):
        assert weights is None
        return
    assert weights is not None
    assert weights[labels].mean().item() == pytest.approx(1, rel=1e-4)
    assert weights.isfinite().all()
    order = sorted((count, -weights[k].item()) for k, count in enumerate(counts) if count)
    assert [weight for _, weight in order] == sorted(weight for _, weight in order)


def test_a_deep_head_is_scaled_by_how_images_vary_in_training(network: Network) -> None:
    """On a white ground the maxima hardly vary, until images are made darker at random."""
    task = bars(40)
    images, labels = task.split("train", 32)
    images = images.clone()
    images[:, :, :4] = 255
    lengths = []
    for strength in (0.0, 1.0):
        tuned = copy.deepcopy(network)
        tuned.replace_head(2, deep=True)
        fit_head(tuned, images, labels, augmented=strength)
        x = augment(prepare(images, tuned.input), False, torch.Generator().manual_seed(1))
        with torch.no_grad():
            head, features = tuned.classifier, tuned.head_features(x)
        assert isinstance(head, DeepHead)
        lengths.append(((features - head.mean) * head.scale).square().sum(1).mean().item())
    as_they_are, augmented = lengths
    assert augmented == pytest.approx(HEAD_LENGTH, rel=0.4)
    assert as_they_are > 1.5 * augmented
