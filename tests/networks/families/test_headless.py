"""Classifiers without their last layer: its name, stages, and libraries that are not there."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import Tensor, nn

from tans.errors import InputError, MissingExtraError
from tans.networks.families.headless import UNUSUAL, Headless, as_body, last_layer, stage_ends
from tans.networks.families.torchvision import shape_of
from tans.networks.family import describe
from tans.types import InputSpec, NetworkRef


class Small(nn.Module):
    """Two halvings, the first of which is worked on in place."""

    def __init__(self, heads: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, 2, 1)
        self.again = nn.Conv2d(4, 4, 3, 1, 1)
        self.relu = nn.ReLU(inplace=True)
        self.second = nn.Sequential(nn.Conv2d(4, 6, 3, 1, 1), nn.Conv2d(6, 6, 3, 2, 1))
        self.heads = nn.ModuleList([nn.Linear(6, UNUSUAL) for _ in range(heads)])

    def forward(self, x: Tensor) -> Tensor:
        maps = self.second(self.relu(self.again(self.first(x))))
        return self.heads[0](maps.mean((2, 3)))


def test_the_last_layer_is_the_one_that_gives_scores() -> None:
    assert last_layer(Small(), "small") == "heads.0"
    with pytest.raises(InputError, match="small has 2 layers that give class scores"):
        last_layer(Small(2), "small")


def test_stages_end_where_maps_are_left_alone() -> None:
    with torch.device("meta"):
        body = Headless(Small(), "heads.0")
    # the convolution before the activation is changed by it, and one within the next half is no end
    assert stage_ends(body, 32) == ("network.relu", "network.second")


def test_weights_get_the_names_of_a_body_and_a_head() -> None:
    state = Small().state_dict()
    named = as_body(state, "heads.0")
    assert named["classifier.weight"] is state["heads.0.weight"]
    assert named["network.first.weight"] is state["first.weight"]
    assert len(named) == len(state)


def test_stages_of_a_network_of_torchvision() -> None:
    layers = ("relu", "layer1", "layer2", "layer3", "layer4")
    assert shape_of("resnet18").stages == tuple(f"network.{name}" for name in layers)


@pytest.mark.parametrize(
    ("library", "family", "name"),
    [
        ("torchvision", "torchvision", "resnet34"),
        ("transformers", "transformers", 'vit {"hidden_size":48}'),
    ],
)
def test_a_missing_library_is_told(
    library: str, family: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtraError, match=rf"pip install 'tans\[{library}\]'"):
        describe(NetworkRef(family, name, InputSpec(33)))
