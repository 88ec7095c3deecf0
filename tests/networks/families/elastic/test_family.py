"""Slices of supernets as a family: how they are selected, spread, and what they cost a device."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import nn

from tans.errors import InputError
from tans.networks.families.elastic import specification
from tans.networks.families.elastic.family import ELASTIC
from tans.networks.families.elastic.specification import (
    LITE0,
    SPACES,
    Specification,
    architecture_of,
    ref_of,
)
from tans.networks.families.elastic.supernet import Supernet
from tans.networks.family import WORKLOAD, describe
from tans.types import Architecture
from tests.networks.families.elastic.strategies import TOY, architectures


@pytest.fixture(autouse=True, scope="module")
def toy_space():  # type: ignore[no-untyped-def]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(specification.SPACES, TOY.name, TOY)
        yield


def charged(architecture: Architecture, classes: int, size: int) -> dict[str, float]:
    """Workload by name."""
    workload = ELASTIC.workload(ref_of(architecture, size), classes)
    return dict(zip(WORKLOAD, workload.tolist(), strict=True))


# Slices


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_the_largest_is_no_slice(space: Specification) -> None:
    largest = ELASTIC.largest(space.name, 48)
    assert largest == ref_of(space.largest, 48)
    assert ELASTIC.is_largest(largest)
    assert not ELASTIC.is_largest(ref_of(space.smallest, 48))
    assert ELASTIC.space_of(largest) == space.name


def test_a_subnet_is_selected_from_its_supernet() -> None:
    supernet = Supernet(LITE0, 3, size=32).eval()
    ref = ref_of(LITE0.smallest, 32)
    network = ELASTIC.build(ref, 3)
    assert network.load_weights(ELASTIC.select(supernet.full.weights(), ref)) == []
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = supernet(x, LITE0.smallest)
        torch.testing.assert_close(network.eval()(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("ask", [ELASTIC.largest, lambda s, size: ELASTIC.spread(s, size, 4)])
def test_an_unknown_space_has_no_networks(ask) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match="no search space 'nowhere'"):
        ask("nowhere", 32)


def test_spread_holds_both_ends_and_is_evenly_spaced() -> None:
    chosen = ELASTIC.spread("lite0", 64, 8, seed=3)
    flops = [describe(ref).body_flops for ref in chosen]
    ends = (architecture_of(chosen[0]), architecture_of(chosen[-1]))
    assert ends == (LITE0.smallest, LITE0.largest)
    assert {ref.input.size for ref in chosen} == {64}
    assert len(set(chosen)) == 8
    assert flops == sorted(flops)
    assert max(np.diff(flops)) < 0.5 * (flops[-1] - flops[0])
    assert chosen == ELASTIC.spread("lite0", 64, 8, seed=3)
    assert chosen != ELASTIC.spread("lite0", 64, 8, seed=4)


# What a device may charge for


@settings(max_examples=20, deadline=None)
@given(architectures(LITE0), architectures(TOY))
def test_workload_agrees_with_the_counted_costs(lite0: Architecture, toy: Architecture) -> None:
    for space, architecture in ((LITE0, lite0), (TOY, toy)):
        charges = charged(architecture, 7, 64)
        costs = space.costs(architecture, 7, 64)
        assert charges["weights"] * 1e6 == pytest.approx(costs.params)
        assert (charges["dense"] + charges["depthwise"]) * 1e6 == pytest.approx(costs.flops)


def test_layers_are_the_built_network_s_convolutions_and_head() -> None:
    network = ELASTIC.build(ref_of(LITE0.largest, 64), 10)
    built = sum(isinstance(m, nn.Conv2d | nn.Linear) for m in network.modules())
    assert charged(LITE0.largest, 10, 64)["layers"] == built


def test_spilled_activations_are_counted_for_large_images_only() -> None:
    assert charged(LITE0.largest, 10, 64)["spilled"] == 0
    assert charged(LITE0.largest, 10, 224)["spilled"] > 0
