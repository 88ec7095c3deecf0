import dataclasses
from math import isnan
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from tans.errors import TaskError
from tans.networks.network import Network
from tans.scores import Scores
from tans.tasks import stored
from tans.tasks.task import Task
from tans.temperature import calibrate
from tans.training import (
    Epoch,
    FineTuned,
    Recipe,
    augment,
    confusion_matrix,
    finetune,
    predict,
)
from tests.training.bars import bars, uneven_bars


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


@pytest.mark.long
def test_the_same_seed_gives_the_same_network(network: Network) -> None:
    first, again, other = (
        finetune(network, bars(24), 32, Recipe(epochs=1, batch_size=8, seed=s)) for s in (1, 1, 2)
    )
    assert torch.equal(first.network.classifier.weight, again.network.classifier.weight)
    assert not torch.equal(first.network.classifier.weight, other.network.classifier.weight)


@pytest.mark.long
def test_finetuning_from_a_random_head_is_still_there(network: Network) -> None:
    recipe = Recipe(epochs=1, learning_rate=1e-6, augment=False)
    fitted, random = (
        finetune(network, bars(200), 32, dataclasses.replace(recipe, fit_head=fit))
        for fit in (True, False)
    )
    assert fitted.history[0].train_loss < random.history[0].train_loss - 0.1


@pytest.mark.long
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
    monkeypatch.setattr(
        "tans.training.finetuning.confusion_matrix", lambda *_: torch.tensor(next(found))
    )
    tuned = finetune(network, bars(24), 32, Recipe(epochs=2, batch_size=8, average=False))
    assert [epoch.val_accuracy for epoch in tuned.history] == [0.9, 0.8, 0.7]
    assert tuned.best_epoch == 1


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.long
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


@pytest.mark.long
def test_a_fine_tuned_network_comes_with_its_temperature(network: Network) -> None:
    tuned = finetune(network, bars(300), 32, Recipe(epochs=1))
    task = bars(300)
    val, test = task.split("val", 32), task.split("test", 32)
    known = calibrate(
        predict(tuned.network, val[0]), val[1], predict(tuned.network, test[0]), test[1]
    )
    assert tuned.calibration == known
    assert known.images == len(val[1])


@pytest.mark.long
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


@pytest.mark.long
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

    monkeypatch.setattr("tans.training.loop.augment", interrupted)
    recipe = Recipe(epochs=5, batch_size=16, learning_rate=1e-3, average=True)
    tuned = finetune(network, bars(), recipe=recipe, on_interrupt=lambda _: True)
    assert tuned.best_epoch == tuned.history[-1].epoch == 2
    assert tuned.test_accuracy > 0.8


@pytest.mark.parametrize("side", [64, 40])
@pytest.mark.long
def test_stored_images_are_learnt_from_as_those_in_memory_are(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: int
) -> None:
    monkeypatch.setenv("TANS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(stored, "BLOCK_BYTES", 7 * 3 * 64 * 64)
    drawn, recipe = bars(50), Recipe(epochs=2, batch_size=8)
    for number, (image, label) in enumerate(zip(drawn.pixels.at(32), drawn.labels, strict=True)):
        path = tmp_path / "images" / drawn.classes[int(label)] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(path)
    results = []
    for most in (2**30, 0):
        monkeypatch.setattr(stored, "IN_MEMORY", most)
        task = Task.from_folder(tmp_path / "images")
        assert isinstance(task.stored("train", side)[0], Tensor) == bool(most)
        results.append(finetune(network, task, side, recipe))
    held, read = results
    weights = read.network.weights()
    assert all(torch.equal(weights[name], value) for name, value in held.network.weights().items())
    assert torch.equal(held.confusion, read.confusion)
    assert [e.train_loss for e in held.history] == [e.train_loss for e in read.history]


def test_too_little_room_for_any_split_is_told_before_anything_is_trained(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, heard = bars(24), list[Epoch]()
    given = type(task).stored

    def full(self: Task, name: str, *how: Any) -> Any:
        if name == "test":
            raise TaskError("the disk is full")
        return given(self, name, *how)

    monkeypatch.setattr(Task, "stored", full)
    with pytest.raises(TaskError, match="full"):
        finetune(network, task, 32, Recipe(epochs=1, batch_size=8), on_epoch=heard.append)
    assert heard == []
