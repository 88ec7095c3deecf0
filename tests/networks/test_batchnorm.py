"""Running statistics are taken from images, and folded into convolutions for looking."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint

import pytest
import torch
from torch import Tensor, nn

from tans.networks.batchnorm import folded, recalibrate
from tans.networks.families.elastic import specification
from tans.networks.families.elastic.specification import LITE0, OFA_MBV3, Specification, ref_of
from tans.networks.family import BUILT_IN, GROUP, Description, build, counted
from tans.networks.network import Network, Weights, prepare
from tans.types import InputSpec, NetworkRef
from tests.networks.families.elastic.strategies import TOY
from tests.networks.plain import PlainFamily, plain_ref, with_statistics


def noise(n: int, size: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, 3, size, size), dtype=torch.uint8, generator=generator)


def norms(network: Network) -> int:
    return sum(isinstance(m, nn.BatchNorm2d) for m in network.modules())


# Statistics


def test_statistics_become_those_of_the_images() -> None:
    images = noise(8, 32)
    network = build(ref_of(LITE0.smallest, 32), classes=3)
    stem = network.body.get_submodule("stem")
    assert isinstance(stem.norm, nn.BatchNorm2d)
    momentum = stem.norm.momentum
    recalibrate(network, images)
    with torch.no_grad():
        padded = torch.nn.functional.pad(prepare(images, network.input), (0, 1, 0, 1))
        responses = stem.conv(padded)  # type: ignore[operator]
    assert torch.allclose(stem.norm.running_mean, responses.mean((0, 2, 3)), atol=1e-4)  # type: ignore[arg-type]
    assert torch.allclose(stem.norm.running_var, responses.var((0, 2, 3)), rtol=1e-3)  # type: ignore[arg-type]
    assert not any(m.training for m in network.modules())
    assert stem.norm.momentum == momentum


def test_statistics_are_those_of_images_as_the_network_takes_them(plain: PlainFamily) -> None:
    images = noise(8, 32)
    network = plain.build(plain_ref(12), 3)
    recalibrate(network, images)
    first, norm = network.body.get_submodule("first.0"), network.body.get_submodule("first.1")
    with torch.no_grad():
        responses = first(prepare(images, plain_ref(12).input))
    assert torch.allclose(norm.running_mean, responses.mean((0, 2, 3)), atol=1e-4)  # type: ignore[arg-type]


# Folding


@pytest.mark.parametrize("space", [LITE0, OFA_MBV3, TOY], ids=lambda space: space.name)
@torch.no_grad()
@pytest.mark.long
def test_a_folded_elastic_network_computes_the_same_without_batch_norms(
    space: Specification, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(specification.SPACES, TOY.name, TOY)
    torch.manual_seed(0)
    for architecture in (space.smallest, space.sample(random.Random(0))):
        network = with_statistics(build(ref_of(architecture, 40), 3))
        x = prepare(noise(2, 40), network.input)
        found, expected = folded(network)(x), network(x)
        assert norms(network) > norms(folded(network)) == 0
        assert (expected[0] - expected[1]).abs().max() > 1e-2
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


@torch.no_grad()
def test_a_network_of_any_family_is_folded(plain: PlainFamily) -> None:
    network = with_statistics(plain.build(plain_ref(12), 3))
    x = prepare(noise(2, 32), network.input)
    assert norms(folded(network)) == 0
    torch.testing.assert_close(folded(network)(x), network(x), rtol=1e-4, atol=1e-5)


def test_folding_leaves_the_network_as_it_was(plain: PlainFamily) -> None:
    network = plain.build(plain_ref(12), 3).train()
    before = {name: tensor.clone() for name, tensor in network.weights().items()}
    looked = folded(network)
    assert network.training
    assert not any(module.training for module in looked.modules())
    assert norms(network) == 2
    assert all(torch.equal(t, before[name]) for name, t in network.weights().items())


class Branching(nn.Module):
    """Reads its input to decide what to compute, so that no graph of it can be drawn."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.conv(x)).mean((2, 3))
        return y if x.sum() > 0 else -y


class ReadTwice(nn.Module):
    """Also adds what comes before the batch-norm."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)
        self.last, self.last_norm = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return self.last_norm(self.last(self.norm(y) + y)).mean((2, 3))


class CalledTwice(nn.Module):
    """Uses one convolution before two batch-norms."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.other = (
            nn.Conv2d(3, 3, 1),
            nn.BatchNorm2d(3),
            nn.BatchNorm2d(3),
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.conv(x))
        z: Tensor = nn.functional.pad(self.other(self.conv(y)).mean((2, 3)), (0, 1))
        return z


class NormAct(nn.BatchNorm2d):
    """A batch-norm that holds its activation, as those of timm do."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.drop, self.act = nn.Identity(), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.drop(super().forward(x)))


class HoldsActivation(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 1), NormAct(4)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.conv(x)).mean((2, 3))
        return y


BODIES: dict[str, Callable[[], nn.Module]] = {
    body.__name__: body for body in (Branching, ReadTwice, CalledTwice, HoldsActivation)
}


class OddFamily:
    """One network of each body above, of 4 features."""

    def build(self, ref: NetworkRef, classes: int) -> Network:
        return Network(ref, BODIES[ref.name](), 4, classes)

    def describe(self, ref: NetworkRef) -> Description:
        return counted(self, ref)

    def select(self, weights: Mapping[str, Tensor], ref: NetworkRef) -> Weights:  # noqa: ARG002
        return dict(weights)


ODD = OddFamily()


@pytest.mark.parametrize(
    ("body", "left"), [(Branching, 1), (ReadTwice, 1), (CalledTwice, 2), (HoldsActivation, 0)]
)
@torch.no_grad()
def test_only_what_changes_nothing_is_folded(
    body: type[nn.Module], left: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BUILT_IN, "odd", EntryPoint("odd", f"{__name__}:ODD", GROUP))
    network = build(NetworkRef("odd", body.__name__, InputSpec(8)), 3)
    with_statistics(network)
    x = prepare(noise(2, 8), network.input)
    assert norms(folded(network)) == left
    torch.testing.assert_close(folded(network)(x), network(x), rtol=1e-4, atol=1e-5)
