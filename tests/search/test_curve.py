"""What more images may bring: measured on a quarter, half and all, foretold for twice as many."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tans.errors import InputError
from tans.networks.probe import probe_accuracy
from tans.search.curve import FOLDS, Curve, curve_of, learning_curve
from tans.tasks.splits import assign_folds
from tans.tasks.task import Task
from tans.zoo.zoo import Zoo
from tests.small_zoo import drawn_task


def clouds(
    apart: float, n: int = 240, classes: int = 4, width: int = 60, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Points (n, width) around a centre for each class, so many spreads apart, and labels (n,)."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % classes
    points = torch.randn(n, width, generator=generator)
    points[torch.arange(n), labels] += apart
    return points, labels


def of(features: torch.Tensor, labels: torch.Tensor, seed: int = 0) -> Curve:
    return curve_of(features, labels, None, len(labels), seed=seed)


def test_what_is_learnt_slowly_gains_by_more_images() -> None:
    curve = of(*clouds(apart=2.0))
    assert curve.learnt_from == (54, 108, 216)
    assert curve.images == 240
    assert list(curve.accuracies) == sorted(curve.accuracies)
    assert curve.accuracies[2] > curve.accuracies[0] + 0.05
    assert curve.low < curve.gain < curve.high
    assert curve.gain > 0.01


@pytest.mark.long
def test_twice_as_many_images_bring_about_what_was_foretold() -> None:
    curves = [of(*clouds(apart=2.0, n=n, seed=seed)) for seed in range(3) for n in (240, 480)]
    brought = [twice.now - once.now for once, twice in zip(curves[::2], curves[1::2], strict=True)]
    foretold = [once.gain for once in curves[::2]]
    assert sum(foretold) == pytest.approx(sum(brought), abs=3 * 0.04)


def test_noise_gains_little_and_never_less_than_nothing() -> None:
    for seed in range(4):
        curve = of(*clouds(apart=0.0, seed=seed))
        assert curve.low < 0.01
        assert 0 <= curve.gain < 0.06


def test_what_is_known_already_gains_nothing() -> None:
    curve = of(*clouds(apart=30.0))
    assert curve.accuracies == (1.0, 1.0, 1.0)
    assert curve.gain == curve.low == curve.high == 0.0


@settings(max_examples=25, deadline=None)
@given(
    apart=st.floats(0, 6),
    n=st.integers(40, 120),
    classes=st.integers(2, 5),
    members=st.integers(1, 6),
    more=st.integers(0, 5000),
    seed=st.integers(0, 1000),
)
@pytest.mark.long
def test_no_interval_leaves_what_can_be(
    apart: float, n: int, classes: int, members: int, more: int, seed: int
) -> None:
    points, labels = clouds(apart, n, classes, seed=seed)
    groups = [f"group {index // members}" for index in range(n)]
    curve = curve_of(points, labels, groups, n + more, seed=seed)
    assert curve.untold is None
    assert all(0 <= share <= 1 for share in curve.accuracies)
    assert curve.gain >= 0
    assert curve.low <= curve.gain <= curve.high
    assert curve.accuracies[-1] + curve.low >= -1e-9
    assert curve.accuracies[-1] + curve.high <= 1 + 1e-9
    assert list(curve.learnt_from) == sorted(curve.learnt_from)
    assert "%" in curve.words()


def test_all_of_the_images_are_probed_as_a_look_does() -> None:
    points, labels = clouds(apart=2.0)
    probed = probe_accuracy(points, labels, assign_folds(labels, None, FOLDS, 5))
    assert of(points, labels, seed=5).accuracies[-1] == pytest.approx(probed)


def test_the_same_seed_gives_the_same_curve() -> None:
    points, labels = clouds(apart=2.0)
    assert of(points, labels, seed=1) == of(points, labels, seed=1)
    assert of(points, labels, seed=1) != of(points, labels, seed=2)


def test_no_image_is_judged_by_what_its_group_taught() -> None:
    """Noise that is there four times is known by heart, unless copies are one group."""
    points, labels = clouds(apart=0.0, n=60)
    points, labels = points.repeat(4, 1), labels.repeat(4)
    groups = [str(index % 60) for index in range(240)]
    assert of(points, labels).accuracies[-1] > 0.9
    assert curve_of(points, labels, groups, 240).accuracies[-1] < 0.5


def test_a_class_that_lies_in_one_group_judges_nothing() -> None:
    points, labels = clouds(apart=30.0, n=120, classes=3)
    groups = ["all" if label == 2 else str(index) for index, label in enumerate(labels.tolist())]
    assert curve_of(points, labels, groups, 120).accuracies[-1] == 1.0


@pytest.mark.parametrize(
    ("n", "groups", "why"),
    [
        (31, None, "a quarter of the 31 training images"),
        (120, 4, "lie in fewer than 5 groups"),
        (0, None, "a quarter of the 0 training images"),
    ],
)
def test_too_few_images_or_groups_tell_nothing(n: int, groups: int | None, why: str) -> None:
    points, labels = clouds(apart=2.0, n=n)
    names = groups and [str(index % groups) for index in range(n)]
    curve = curve_of(points, labels, names or None, n)
    assert curve.untold is not None
    assert why in curve.untold
    assert curve.words() == f"What more images would bring cannot be told: {curve.untold}."
    assert not curve.accuracies
    assert math.isnan(curve.gain)


def test_lengths_that_differ_are_refused() -> None:
    points, labels = clouds(apart=2.0)
    with pytest.raises(InputError, match="expected one of each"):
        curve_of(points[1:], labels, None, 240)
    with pytest.raises(InputError, match="239 groups"):
        curve_of(points, labels, ["a"] * 239, 240)


def test_groups_of_one_class_each_tell_nothing() -> None:
    points, labels = clouds(apart=2.0, n=120, classes=5)
    curve = curve_of(points, labels, [str(label) for label in labels.tolist()], 120)
    assert curve.untold == "no class has images in two groups"


def test_words_say_what_was_measured() -> None:
    curve = Curve(1300, (67, 135, 1270), (0.606, 0.68, 0.744), 0.75, 0.0401, 0.018, 0.0649)
    assert curve.words() == (
        "Accuracy on frozen features, learnt from 67, 135 and 1,270 of the 1,300 training images: "
        "61, 68 and 74 %. Twice as many images may bring 4 points (2 to 6)."
    )
    assert "bring 1 point (0 to 6)." in replace(curve, gain=0.012, low=-0.004).words()
    assert "bring 0 points (-1 to 6)." in replace(curve, gain=0.0, low=-0.012).words()
    assert "it cannot be seen" in replace(curve, accuracies=(0.9, 0.96, 1.0)).words()


def test_a_task_is_looked_at_once_and_stays_as_it_is(small_zoo: Zoo) -> None:
    task = drawn_task("green", "three", seed=3, n=120)
    curve = learning_curve(task, small_zoo)
    train = int((task.splits == 0).sum())
    assert curve == learning_curve(task, small_zoo)
    assert curve.images == train
    assert curve.learnt_from[-1] == pytest.approx(0.9 * train, abs=1)
    assert curve.accuracies[-1] > 0.5  # bars are told apart by any features


def test_of_many_images_some_are_looked_at(small_zoo: Zoo) -> None:
    task = drawn_task("green", "three", seed=3, n=120)
    curve = learning_curve(task, small_zoo, most=40)
    assert curve.learnt_from == (9, 18, 36)
    assert curve.images == int((task.splits == 0).sum())


def test_few_images_need_no_network(small_zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    def loaded(_: Zoo) -> None:
        raise AssertionError("a network was loaded")

    monkeypatch.setattr(Zoo, "query_network", loaded)
    task: Task = drawn_task("green", "three", n=20)
    assert learning_curve(task, small_zoo).untold is not None
