"""What every network of every space must keep to."""

from __future__ import annotations

import random

import pytest
import torch
from torch import nn

from tans.errors import InputError
from tans.networks.batchnorm import folded
from tans.networks.families.elastic.specification import LITE0, architecture_of
from tans.networks.family import build, describe, get_family
from tans.types import InputSpec, NetworkRef
from tans_bench.spaces.darts import DARTS, SIZES
from tans_bench.spaces.families import ref_of
from tans_bench.spaces.fbnet import FBNET_A
from tans_bench.spaces.nasbench201 import NAS_BENCH_201

DRAWN = random.Random(0)
NETWORKS = {
    "fbnet": FBNET_A,
    "nas-bench-201": NAS_BENCH_201.sample(DRAWN),
    "darts": DARTS.sample(DRAWN, SIZES[0]),
}
EVERY = pytest.mark.parametrize("family", NETWORKS)


@EVERY
def test_a_network_is_called_after_its_space_and_its_architecture(family: str) -> None:
    ref = ref_of(NETWORKS[family], 48)
    assert ref == NetworkRef(family, str(NETWORKS[family]), InputSpec(48))
    assert build(ref, 2).ref == ref


def test_an_elastic_architecture_is_of_the_elastic_family() -> None:
    ref = ref_of(LITE0.smallest, 48)
    assert ref.family == "elastic"
    assert architecture_of(ref) == LITE0.smallest


@EVERY
@pytest.mark.parametrize("classes", [1, 7])
@pytest.mark.long
def test_every_parameter_gets_a_gradient_and_is_counted(family: str, classes: int) -> None:
    ref = ref_of(NETWORKS[family], 32)
    network = build(ref, classes)
    scores = network(torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    assert scores.shape == (4, classes)
    scores.square().sum().backward()
    assert all(p.grad is not None for p in network.parameters())
    assert describe(ref).width == network.width
    assert describe(ref).costs(classes).params == sum(p.numel() for p in network.parameters())


@EVERY
def test_weights_are_stored_by_name_and_come_back(family: str) -> None:
    ref = ref_of(NETWORKS[family], 32)
    one, other = build(ref, 3).eval(), build(ref, 3).eval()
    other.load_weights(get_family(family).select(one.weights(), ref))
    x = torch.rand(2, 3, 32, 32)
    assert torch.equal(one(x), other(x))


@EVERY
def test_without_batch_norms_it_computes_the_same(family: str) -> None:
    network = build(ref_of(NETWORKS[family], 32), 3)
    x = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    network(x)  # sets running statistics
    plain = folded(network)
    norms = [sum(isinstance(m, nn.BatchNorm2d) for m in n.modules()) for n in (plain, network)]
    assert norms[0] < norms[1]
    assert torch.allclose(plain(x), network.eval()(x), atol=1e-4)


@EVERY
def test_a_network_of_another_space_is_refused(family: str) -> None:
    for use in (lambda ref: build(ref, 3), describe):
        with pytest.raises(InputError, match=f"is not in the space '{family}'"):
            use(NetworkRef(family, str(LITE0.smallest), InputSpec(32)))
        with pytest.raises(InputError, match="not an architecture"):
            use(NetworkRef(family, "resnet", InputSpec(32)))
