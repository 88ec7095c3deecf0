import copy
import dataclasses
from itertools import pairwise
from math import isnan
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tans.errors import InputError
from tans.spaces.batchnorm import recalibrate
from tans.spaces.elastic import Supernet
from tans.spaces.imagenet import imagenet_network
from tans.spaces.network import Network, normalise
from tans.spaces.specification import LITE0
from tans.tasks.task import Task, TaskCard
from tans.training import (
    Recipe,
    Run,
    accuracy,
    augment,
    confusion_matrix,
    distil,
    finetune,
    fit_head,
    predict,
    probe,
    sgd,
    train_supernet,
)

CARD = TaskCard(source="made", version="1", licence="CC0-1.0", made="bars of two directions")


def bars(n: int = 60) -> Task:
    """Noise under horizontal or vertical bars."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 120, (n, 3, 32, 32), generator=generator, dtype=torch.uint8)
    labels = torch.arange(n) % 2
    images[labels == 0, :, ::8] = 255
    images[labels == 1, :, :, ::8] = 255
    return Task.from_arrays("bars", images, labels, ("across", "down"), CARD)


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    return Network(LITE0, LITE0.smallest, classes=9)


def test_finetuning_learns_and_reports_the_kept_epoch(network: Network) -> None:
    task = bars(200)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    heard = []
    tuned = finetune(network, task, 32, Recipe(epochs=6, batch_size=16), on_epoch=heard.append)
    assert tuple(heard) == tuned.history
    assert [e.epoch for e in tuned.history] == list(range(7))
    assert tuned.test_accuracy > 0.8
    best = max(e.val_accuracy for e in tuned.history)
    assert tuned.history[tuned.best_epoch].val_accuracy == best
    assert accuracy(tuned.network, *task.split("val", 32)) == pytest.approx(best)
    assert tuned.confusion.sum() == len(task.split("test", 32)[1])
    assert tuned.seconds >= tuned.history[-1].seconds
    assert all(torch.equal(before[k], v) for k, v in network.state_dict().items())


def test_without_validation_images_the_last_epoch_is_kept(network: Network) -> None:
    task = bars(4)
    assert not len(task.split("val", 32)[1])
    tuned = finetune(network, task, 32, Recipe(epochs=3, batch_size=2))
    assert tuned.best_epoch == 3
    assert all(isnan(epoch.val_accuracy) for epoch in tuned.history)
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
    found = [probe(copy.deepcopy(n), task, 32) for n in (network, other)]
    assert found[0] == pytest.approx(found[1], abs=0.02)
    assert found[0] > 0.65  # chance is a half


def test_finetuning_from_a_random_head_is_still_there(network: Network) -> None:
    recipe = Recipe(epochs=1, learning_rate=1e-6, augment=False)
    fitted, random = (
        finetune(network, bars(200), 32, dataclasses.replace(recipe, fit_head=fit))
        for fit in (True, False)
    )
    assert fitted.history[0].train_loss < random.history[0].train_loss - 0.1


def test_the_rate_decays_once_over_the_run() -> None:
    module = nn.Linear(3 * 8 * 8, 2)
    recipe = Recipe(epochs=5, batch_size=4, augment=False)
    optimiser = sgd(module, recipe)
    rates = []

    def loss(x: Tensor, y: Tensor, _: int) -> Tensor:
        rates.append(optimiser.param_groups[0]["lr"])
        return nn.functional.cross_entropy(module(x.flatten(1)), y)

    images = torch.zeros(17, 3, 8, 8, dtype=torch.uint8)
    Run(module, optimiser, recipe).minimise(loss, images, torch.zeros(17, dtype=torch.int64))
    assert len(rates) == 5 * 4  # 17 images in batches of nearly 4
    assert rates[0] == recipe.learning_rate
    assert all(a > b for a, b in pairwise(rates))
    assert rates[-1] < 0.01 * recipe.learning_rate


def test_a_stopped_run_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    def train(checkpoint: Path | None, stop_after: int | None = None) -> Tensor:
        torch.manual_seed(0)
        supernet = Supernet(LITE0, classes=2)
        images, labels = bars(36).split("train", 32)

        def listen(epoch: int, _: float) -> None:
            if epoch == stop_after:
                raise KeyboardInterrupt

        train_supernet(supernet, images, labels, Recipe(epochs=3, batch_size=8), listen, checkpoint)
        return supernet.full.tail.conv.weight.detach()

    checkpoint = tmp_path / "run.pt"
    with pytest.raises(KeyboardInterrupt):
        train(checkpoint, stop_after=2)
    assert checkpoint.exists()
    whole = train(None)
    assert torch.equal(train(checkpoint), whole)
    assert torch.equal(train(checkpoint), whole)  # finished: nothing is left to do


def test_distilling_brings_slices_towards_the_whole() -> None:
    teacher = imagenet_network()
    supernet = Supernet(LITE0, classes=1000)
    supernet.full.load_state_dict(teacher.state_dict())
    images, _ = bars(50).split("train", 64)
    losses: list[float] = []
    head = supernet.full.classifier.weight.clone()
    recipe = Recipe(epochs=4, learning_rate=1e-3, batch_size=8, augment=False)
    distil(supernet, teacher, images, recipe, lambda _, loss: losses.append(loss))
    assert losses[-1] < 0.9 * losses[0]
    assert torch.equal(supernet.full.classifier.weight, head)
    assert supernet.full.classifier.weight.requires_grad


def test_augmentation_keeps_shape_and_is_seeded() -> None:
    x = normalise(bars(6).split("train", 32)[0])
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


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"batch_size": 1}, {"learning_rate": 0.0}])
def test_a_senseless_recipe_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match="expected at least 1"):
        Recipe(**wrong)  # type: ignore[arg-type]
