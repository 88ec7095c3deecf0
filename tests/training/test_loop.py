import copy
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tans.networks.network import Network, prepare
from tans.training import (
    Loop,
    Recipe,
    augment,
    sgd,
)
from tans.training.loop import batches
from tans.types import InputSpec
from tests.training.bars import bars


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


class Slow:
    """Images that are no tensor, and when which rows of them were asked for."""

    def __init__(self, images: torch.Tensor) -> None:
        self.images, self.asked = images, list[list[int]]()

    def __getitem__(self, rows: torch.Tensor) -> torch.Tensor:
        self.asked.append(rows.tolist())
        return self.images[rows]


@pytest.mark.parametrize("parts", [0, 1, 2, 7])
def test_batches_that_are_read_ahead_come_in_order(parts: int) -> None:
    images = torch.arange(28 * 3 * 4).view(28, 3, 2, 2).byte()
    order = torch.randperm(28)[: 4 * parts].split(4) if parts else ()
    slow = Slow(images)
    found = list(batches(slow, order))  # type: ignore[arg-type]
    assert all(map(torch.equal, found, batches(images, order)))
    assert len(found) == parts
    assert slow.asked == [rows.tolist() for rows in order]


def test_what_fails_while_it_is_read_ahead_ends_the_batches() -> None:
    coming = batches(Slow(torch.zeros(2, 3, 2, 2)), [torch.tensor([0]), torch.tensor([5])])  # type: ignore[arg-type]
    next(coming)
    with pytest.raises(IndexError):
        next(coming)
