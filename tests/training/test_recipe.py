from collections import Counter

import pytest
import torch
from torch import Tensor, nn

from tans.errors import InputError
from tans.networks.network import Network
from tans.training import (
    PASSES,
    PUBLISHED,
    STEPS,
    Recipe,
    finetune,
)
from tests.training.bars import bars


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
        counted[module.training] += len(inputs[0])

    for place in (
        "tans.training.head",
        "tans.training.prediction",
        "tans.networks.features",
    ):
        monkeypatch.setattr(f"{place}.folded", lambda network: network.eval())  # it drops hooks
    network.body.stem.register_forward_hook(count)  # copies take it along
    finetune(network, task, 32, recipe)
    trained, seen = recipe.seen(*counts)
    assert counted[True] == trained
    # once more for the temperature, and one image that shows how wide the stages are
    assert counted[False] == seen + counts[1] + 1


@pytest.mark.parametrize(
    "wrong", [{"epochs": 0}, {"batch_size": 1}, {"learning_rate": 0.0}, {"clip": 0.0}]
)
def test_a_senseless_recipe_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match="expected at least"):
        Recipe(**wrong)  # type: ignore[arg-type]


def test_the_papers_recipe_has_its_settings() -> None:
    settings = (PUBLISHED.learning_rate, PUBLISHED.momentum, PUBLISHED.weight_decay)
    assert settings == (1e-2, 0.9, 4e-5)
    assert (PUBLISHED.batch_size, PUBLISHED.epochs) == (32, 10)
    ours = ("deep_head", "fit_head", "weigh_classes", "average", "clip")
    assert not any(getattr(PUBLISHED, name) for name in ours)
