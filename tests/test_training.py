import copy
import dataclasses
from collections import Counter
from itertools import pairwise
from math import isnan
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tans.errors import InputError
from tans.networks.batchnorm import recalibrate
from tans.networks.families.elastic.specification import LITE0, ref_of
from tans.networks.family import build
from tans.networks.network import DeepHead, Network, prepare
from tans.scores import Scores
from tans.tasks.task import Task, TaskCard
from tans.temperature import calibrate
from tans.training import (
    HEAD_LENGTH,
    PASSES,
    STEPS,
    UNEVEN,
    Epoch,
    FineTuned,
    Loop,
    Recipe,
    accuracy,
    augment,
    class_weights,
    confusion_matrix,
    finetune,
    fit_head,
    predict,
    probe,
    sgd,
)
from tans.types import InputSpec

CARD = TaskCard(source="made", version="1", licence="CC0-1.0", made="bars of two directions")


def bars(n: int = 60) -> Task:
    """Noise under horizontal or vertical bars."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 120, (n, 3, 32, 32), generator=generator, dtype=torch.uint8)
    labels = torch.arange(n) % 2
    images[labels == 0, :, ::8] = 255
    images[labels == 1, :, :, ::8] = 255
    return Task.from_arrays("bars", images, labels, ("across", "down"), CARD)


def uneven_bars(common: int = 160, rare: int = 8, held_out: int = 40) -> Task:
    """Bars in all noise, few of them upright to train on, and as many of both to judge by."""
    counts = torch.tensor([common, held_out, held_out, rare, held_out, held_out])
    labels = torch.tensor([0, 0, 0, 1, 1, 1]).repeat_interleave(counts)
    splits = torch.tensor([0, 1, 2, 0, 1, 2], dtype=torch.uint8).repeat_interleave(counts)
    generator = torch.Generator().manual_seed(0)
    noise = (len(labels), 3, 32, 32)
    images = torch.randint(0, 256, noise, generator=generator, dtype=torch.uint8)
    images[labels == 0, :, ::8] = 255
    images[labels == 1, :, :, ::8] = 255
    task = Task.from_arrays("uneven bars", images, labels, ("across", "down"), CARD)
    return dataclasses.replace(task, splits=splits)


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    return build(ref_of(LITE0.smallest, 32), classes=9)


def test_finetuning_learns_and_reports_the_kept_epoch(network: Network) -> None:
    task = bars(200)
    before = {k: v.clone() for k, v in network.weights().items()}
    heard = []
    tuned = finetune(network, task, 32, Recipe(epochs=6, batch_size=16), on_epoch=heard.append)
    assert tuple(heard) == tuned.history
    assert [e.epoch for e in tuned.history] == list(range(7))
    assert tuned.test_accuracy > 0.8
    best = max(e.val_balanced for e in tuned.history)
    assert tuned.history[tuned.best_epoch].val_balanced == best
    assert all(e.val_balanced < best for e in tuned.history[tuned.best_epoch + 1 :])
    val = confusion_matrix(tuned.network, *task.split("val", 32), 2)
    assert Scores.of(val, task.classes).balanced_accuracy == best
    assert tuned.scores == Scores.of(tuned.confusion, task.classes)
    assert tuned.test_accuracy == tuned.scores.accuracy
    assert tuned.confusion.sum() == len(task.split("test", 32)[1])
    assert tuned.seconds >= tuned.history[-1].seconds
    assert all(torch.equal(before[k], v) for k, v in network.weights().items())


def test_without_validation_images_the_last_epoch_is_kept(network: Network) -> None:
    task = bars(4)
    assert not len(task.split("val", 32)[1])
    tuned = finetune(network, task, 32, Recipe(epochs=3, batch_size=2))
    assert tuned.best_epoch == 3
    assert all(isnan(epoch.val_accuracy) for epoch in tuned.history)
    assert all(isnan(epoch.val_balanced) for epoch in tuned.history)
    assert 0 <= tuned.test_accuracy <= 1


def test_the_same_seed_gives_the_same_network(network: Network) -> None:
    first, again, other = (
        finetune(network, bars(24), 32, Recipe(epochs=1, batch_size=8, seed=s)) for s in (1, 1, 2)
    )
    assert torch.equal(first.network.classifier.weight, again.network.classifier.weight)
    assert not torch.equal(first.network.classifier.weight, other.network.classifier.weight)


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


def test_finetuning_from_a_random_head_is_still_there(network: Network) -> None:
    recipe = Recipe(epochs=1, learning_rate=1e-6, augment=False)
    fitted, random = (
        finetune(network, bars(200), 32, dataclasses.replace(recipe, fit_head=fit))
        for fit in (True, False)
    )
    assert fitted.history[0].train_loss < random.history[0].train_loss - 0.1


def test_a_rare_class_is_found_the_better_for_weights(network: Network) -> None:
    # a deep head finds both classes either way, and two epochs of short steps neither
    recipe = Recipe(2, learning_rate=3e-3, batch_size=16, augment=False, deep_head=False, clip=None)
    task = uneven_bars()
    weighed, alike = (
        finetune(network, task, 32, dataclasses.replace(recipe, weigh_classes=weigh))
        for weigh in (True, False)
    )
    assert weighed.scores.balanced_accuracy > alike.scores.balanced_accuracy + 0.1
    assert weighed.scores.recalls[1] > alike.scores.recalls[1] + 0.2


def test_weights_change_nothing_where_classes_are_even(network: Network) -> None:
    recipe = Recipe(epochs=1, batch_size=8)
    weighed, alike = (
        finetune(network, bars(24), 32, dataclasses.replace(recipe, weigh_classes=weigh))
        for weigh in (True, False)
    )
    one, other = (tuned.network.weights() for tuned in (weighed, alike))
    assert all(torch.equal(one[name], other[name]) for name in one)
    losses = ([epoch.train_loss for epoch in tuned.history] for tuned in (weighed, alike))
    assert next(losses) == next(losses)


def test_the_epoch_kept_is_not_the_one_that_only_guesses(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three epochs whose accuracy falls while both classes come to be found, as it is made up."""
    found = iter([[[9, 0], [1, 0]], [[7, 2], [0, 1]], [[6, 3], [0, 1]], [[9, 0], [1, 0]]])
    monkeypatch.setattr("tans.training.confusion_matrix", lambda *_: torch.tensor(next(found)))
    tuned = finetune(network, bars(24), 32, Recipe(epochs=2, batch_size=8, average=False))
    assert [epoch.val_accuracy for epoch in tuned.history] == [0.9, 0.8, 0.7]
    assert tuned.best_epoch == 1


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


def test_the_rate_decays_once_over_the_run() -> None:
    module = nn.Linear(3 * 8 * 8, 2)
    recipe = Recipe(epochs=5, batch_size=4, augment=False)
    optimiser = sgd(module, recipe)
    rates = []

    def loss(x: Tensor, y: Tensor, _: int) -> Tensor:
        rates.append(optimiser.param_groups[0]["lr"])
        return nn.functional.cross_entropy(module(x.flatten(1)), y)

    images = torch.zeros(17, 3, 8, 8, dtype=torch.uint8)
    Loop(module, InputSpec(8), optimiser, recipe).minimise(
        loss, images, torch.zeros(17, dtype=torch.int64)
    )
    assert len(rates) == 5 * 4  # 17 images in batches of nearly 4
    assert rates[0] == recipe.learning_rate
    assert all(a > b for a, b in pairwise(rates))
    assert rates[-1] < 0.01 * recipe.learning_rate


def test_short_epochs_are_not_each_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[int] = []
    monkeypatch.setattr(
        torch, "save", lambda state, path: (path.touch(), saved.append(state["epoch"]))
    )
    module = nn.Linear(3, 2)
    recipe = Recipe(epochs=6, augment=False)
    loop = Loop(module, InputSpec(1), sgd(module, recipe), recipe, tmp_path / "run.pt")
    images = torch.zeros(4, 3, 1, 1, dtype=torch.uint8)
    loop.minimise(lambda x, *_: module(x.flatten(1)).sum(), images, torch.zeros(4).long())
    assert saved == [1, 6]


def test_augmentation_keeps_shape_and_is_seeded() -> None:
    x = prepare(bars(6).split("train", 32)[0], InputSpec(32))
    first, again = (augment(x, True, torch.Generator().manual_seed(4)) for _ in range(2))
    assert first.shape == x.shape
    assert torch.equal(first, again)
    assert not torch.allclose(first, x)


def test_scores_accuracy_and_confusion_agree(network: Network) -> None:
    task = bars(20)
    images, labels = task.split("train", 32)
    confusion = confusion_matrix(network, images, labels, classes=9)
    assert predict(network, images).shape == (len(images), 9)
    assert confusion.sum() == len(images)
    assert confusion.trace() / len(images) == pytest.approx(accuracy(network, images, labels))
    assert torch.equal(confusion.sum(1)[:2], torch.bincount(labels))


def test_epochs_fit_the_images() -> None:
    few, some, many = (Recipe().passes(images) for images in (50, 300, 20_000))
    assert few * Recipe().steps(50) == STEPS
    assert abs(some * Recipe().steps(300) - STEPS) <= Recipe().steps(300) / 2
    assert many == PASSES
    assert Recipe(epochs=3).passes(300) == 3


@pytest.mark.parametrize("average", [True, False])
def test_what_a_fine_tune_sees_is_what_is_counted(
    network: Network, monkeypatch: pytest.MonkeyPatch, average: bool
) -> None:
    task, recipe = bars(40), Recipe(epochs=3, batch_size=8, average=average)
    counts = torch.bincount(task.splits, minlength=3).tolist()
    counted = Counter[bool]()  # by whether it is trained on

    def count(module: nn.Module, inputs: tuple[Tensor], _: Tensor) -> None:
        if inputs[0].device.type != "meta":  # where widths are counted
            counted[module.training] += len(inputs[0])

    for place in ("tans.training", "tans.networks.features"):
        monkeypatch.setattr(f"{place}.folded", lambda network: network.eval())  # it drops hooks
    network.body.stem.register_forward_hook(count)  # copies take it along
    finetune(network, task, 32, recipe)
    trained, seen = recipe.seen(*counts)
    assert counted[True] == trained
    assert counted[False] == seen + counts[1]  # once more for the temperature


@pytest.mark.parametrize(
    "wrong", [{"epochs": 0}, {"batch_size": 1}, {"learning_rate": 0.0}, {"clip": 0.0}]
)
def test_a_senseless_recipe_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match="expected at least"):
        Recipe(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("kept", [True, False])
def test_an_interrupt_keeps_the_best_epoch_so_far_if_that_is_wanted(
    network: Network, kept: bool
) -> None:
    told: list[Epoch] = []
    asked: list[Epoch] = []

    def interrupt(epoch: Epoch) -> None:
        told.append(epoch)
        if epoch.epoch == 2:
            raise KeyboardInterrupt

    def keep(epoch: Epoch) -> bool:
        asked.append(epoch)
        return kept

    def tune() -> FineTuned:
        recipe = Recipe(epochs=5, seed=1)
        return finetune(network, bars(), 32, recipe, on_epoch=interrupt, on_interrupt=keep)

    if not kept:
        with pytest.raises(KeyboardInterrupt):
            tune()
        return
    tuned = tune()
    assert tuned.history == tuple(told)
    assert [epoch.epoch for epoch in asked] == [tuned.best_epoch]
    assert tuned.scores.images == len(bars().split("test", 32)[1])


def test_an_interrupt_that_nobody_is_asked_about_goes_on(network: Network) -> None:
    def interrupt(_: Epoch) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finetune(network, bars(), 32, Recipe(epochs=1), on_epoch=interrupt)


def test_a_fine_tuned_network_comes_with_its_temperature(network: Network) -> None:
    tuned = finetune(network, bars(300), 32, Recipe(epochs=1))
    task = bars(300)
    val, test = task.split("val", 32), task.split("test", 32)
    known = calibrate(
        predict(tuned.network, val[0]), val[1], predict(tuned.network, test[0]), test[1]
    )
    assert tuned.calibration == known
    assert known.images == len(val[1])


def test_a_deep_head_is_fitted_and_trained(network: Network) -> None:
    recipe = Recipe(epochs=2, batch_size=16, deep_head=True, average=True)
    tuned = finetune(network, bars(), recipe=recipe)
    assert tuned.network.is_deep
    assert tuned.history[0].val_accuracy > 0.8
    assert tuned.test_accuracy > 0.8
    again = finetune(network, bars(), recipe=recipe)
    assert again.confusion.equal(tuned.confusion)
    for name, tensor in again.network.weights().items():
        assert tensor.equal(tuned.network.weights()[name])


def test_the_mean_over_the_last_steps_is_kept_whatever_validation_says(network: Network) -> None:
    told: list[Epoch] = []
    recipe = Recipe(epochs=25, batch_size=60, average=True)
    tuned = finetune(network, bars(), recipe=recipe, on_epoch=told.append)
    assert tuned.best_epoch == 25
    assert [epoch.epoch for epoch in told] == [0, *range(3, 25, 3), 25]
    best = finetune(network, bars(), recipe=dataclasses.replace(recipe, average=False))
    assert len(best.history) == 26
    changed = [
        not tensor.equal(best.network.weights()[name])
        for name, tensor in tuned.network.weights().items()
    ]
    assert any(changed)


def test_an_interrupt_keeps_the_mean_so_far(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in the middle of an epoch, after the last reading of validation images."""
    batches = 0

    def interrupted(*given: Any) -> Tensor:
        nonlocal batches
        batches += 1
        if batches == 6:
            raise KeyboardInterrupt
        return augment(*given)

    monkeypatch.setattr("tans.training.augment", interrupted)
    recipe = Recipe(epochs=5, batch_size=16, learning_rate=1e-3, average=True)
    tuned = finetune(network, bars(), recipe=recipe, on_interrupt=lambda _: True)
    assert tuned.best_epoch == tuned.history[-1].epoch == 2
    assert tuned.test_accuracy > 0.8


def test_augmentation_of_no_strength_leaves_images_nearly_as_they_are() -> None:
    x = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    found = augment(x, False, torch.Generator().manual_seed(1), strength=0.0)
    assert torch.allclose(found, x, atol=1e-5)


@pytest.mark.parametrize("clip", [None, 0.01])
def test_no_step_is_longer_than_its_gradient_may_be(network: Network, clip: float | None) -> None:
    task, recipe = bars(24), Recipe(epochs=1, batch_size=24, weight_decay=0, clip=clip)
    tuned = copy.deepcopy(network)
    tuned.replace_head(2, deep=True)
    images, labels = task.split("train", 32)
    before = [parameter.detach().clone() for parameter in tuned.parameters()]
    loop = Loop(tuned, tuned.input, sgd(tuned, recipe), recipe)
    loop.minimise(lambda x, y, _: nn.functional.cross_entropy(tuned(x), y), images, labels)
    moved = zip(tuned.parameters(), before, strict=True)
    length = torch.stack([(now - old).norm() for now, old in moved]).norm().item()
    cut = length <= recipe.learning_rate * 0.01 * 1.001
    assert cut == (clip is not None)


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


def test_teachers_are_followed_beside_the_labels(network: Network) -> None:
    """Teachers that call everything "down" pull a network there, unlabelled images the more."""
    task, recipe = bars(60), Recipe(epochs=4, batch_size=12, augment=0)
    teacher = copy.deepcopy(network)
    teacher.replace_head(2)
    with torch.no_grad():
        teacher.classifier.weight.zero_()
        teacher.classifier.bias.copy_(torch.tensor([-9.0, 9.0]))
    unlabelled = task.split("test", 32)[0]
    alone = finetune(network, task, 32, recipe)
    taught = finetune(network, task, 32, recipe, teachers=[teacher])
    more = finetune(network, task, 32, recipe, teachers=[teacher], unlabelled=unlabelled)
    means = [
        predict(tuned.network, unlabelled).softmax(1)[:, 1].mean()
        for tuned in (alone, taught, more)
    ]
    assert means[0] + 0.1 < means[1] < means[2]


def test_a_teacher_may_take_other_images(network: Network) -> None:
    task, recipe = bars(24), Recipe(epochs=1, batch_size=12)
    teacher = copy.deepcopy(network)
    teacher.ref = dataclasses.replace(
        teacher.ref, input=InputSpec(48, (100.0, 110.0, 120.0), (50.0, 60.0, 70.0))
    )
    teacher.replace_head(2)
    tuned = finetune(network, task, 32, recipe, teachers=[teacher])
    assert tuned.input.size == 32


def test_unlabelled_images_need_teachers(network: Network) -> None:
    with pytest.raises(InputError, match="without teachers"):
        finetune(network, bars(24), 32, unlabelled=torch.zeros(2, 3, 32, 32, dtype=torch.uint8))
