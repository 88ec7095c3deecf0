"""Training supernets: by the sandwich rule, and after a teacher."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tans.build.settings import BuildSettings
from tans.build.supernets import distil, train_supernet, trained_at_once
from tans.networks.families.elastic.imagenet import imagenet_network
from tans.networks.families.elastic.specification import LITE0
from tans.networks.families.elastic.supernet import Supernet
from tans.training import Recipe
from tests.pretended import pretend
from tests.small_zoo import drawn_task


@pytest.mark.long
def test_a_stopped_run_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    def train(checkpoint: Path | None, stop_after: int | None = None) -> Tensor:
        torch.manual_seed(0)
        supernet = Supernet(LITE0, classes=3, size=32)
        images, labels = drawn_task("red", "one", n=36).split("train", 32)

        def listen(epoch: int, _: float) -> None:
            if epoch == stop_after:
                raise KeyboardInterrupt

        train_supernet(supernet, images, labels, Recipe(epochs=3, batch_size=8), listen, checkpoint)
        return supernet.full.body.tail.conv.weight.detach()

    checkpoint = tmp_path / "run.pt"
    with pytest.raises(KeyboardInterrupt):
        train(checkpoint, stop_after=2)
    assert checkpoint.exists()
    whole = train(None)
    assert torch.equal(train(checkpoint), whole)
    assert torch.equal(train(checkpoint), whole)  # finished: nothing is left to do


@pytest.mark.long
def test_distilling_brings_slices_towards_the_whole() -> None:
    teacher = imagenet_network()
    supernet = Supernet(LITE0, classes=1000, size=32)
    supernet.full.load_weights(teacher.weights())
    images, _ = drawn_task("red", "one", n=50).split("train", 64)
    losses: list[float] = []
    head = supernet.full.classifier.weight.clone()
    recipe = Recipe(epochs=4, learning_rate=1e-3, batch_size=8, augment=False)
    distil(supernet, teacher, images, recipe, lambda _, loss: losses.append(loss))
    assert losses[-1] < 0.9 * losses[0]
    assert torch.equal(supernet.full.classifier.weight, head)
    assert supernet.full.classifier.weight.requires_grad


@pytest.mark.parametrize(("gigabytes", "fitting"), [(16, 6), (1, 2)])
def test_so_many_supernets_are_trained_at_once_as_cards_hold(
    gigabytes: int, fitting: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, 2, gigabytes * 2**30)  # where each takes a tenth of what is free
    monkeypatch.setattr("tans.build.supernets.train_supernet", lambda *_: None)
    assert trained_at_once(20, BuildSettings()) == fitting
    assert trained_at_once(2, BuildSettings()) == 2
    monkeypatch.setenv("TANS_DEVICE", "cpu")
    assert trained_at_once(20, BuildSettings()) == 20
