"""A family of networks that are no slices of larger ones."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint

import pytest
import torch
from torch import Tensor, nn

from tans.errors import InputError
from tans.networks.batchnorm import recalibrate
from tans.networks.family import BUILT_IN, GROUP, Description, counted
from tans.networks.network import Network, Weights
from tans.types import InputSpec, NetworkRef


class PlainBody(nn.Module):
    """Two convolutions with batch-norms, and pooling."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU())
        self.last = nn.Sequential(nn.Conv2d(8, width, 1, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.first(x)).relu().mean((2, 3))  # (n, width)


class PlainFamily:
    """Of a network the name is the width of its features."""

    def build(self, ref: NetworkRef, classes: int) -> Network:
        if not ref.name.isdigit():
            raise InputError(f"no plain network {ref.name!r}; expected a width")
        width = int(ref.name)
        return Network(ref, PlainBody(width), width, classes, ("first", "last"))

    def describe(self, ref: NetworkRef) -> Description:
        return counted(self, ref)

    def select(self, weights: Mapping[str, Tensor], ref: NetworkRef) -> Weights:  # noqa: ARG002
        return dict(weights)


PLAIN = PlainFamily()


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> PlainFamily:
    """Is among the families, under the name ``plain``."""
    point = EntryPoint("plain", "tests.networks.plain:PLAIN", GROUP)
    monkeypatch.setitem(BUILT_IN, "plain", point)
    return PLAIN


def plain_ref(width: int, size: int = 32) -> NetworkRef:
    """With an input of its own."""
    return NetworkRef("plain", str(width), InputSpec(size, (120.0, 110.0, 100.0), (60.0, 50, 40)))


def with_statistics(network: Network, seed: int = 0) -> Network:
    """The network with batch-norms that matter to what it computes, in evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    shape = (16, 3, network.input.size, network.input.size)
    recalibrate(network, torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator))
    with torch.no_grad():
        for norm in (m for m in network.modules() if isinstance(m, nn.BatchNorm2d)):
            for tensor in (norm.weight, norm.bias, norm.running_mean):
                assert tensor is not None
                tensor.add_(0.2 * torch.randn(tensor.shape, generator=generator))
    return network
