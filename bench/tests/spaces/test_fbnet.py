"""FBNet-A is the published network, and its space takes what the paper's does."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tans.errors import InputError
from tans.networks.family import build, counted, describe
from tans.types import Architecture, Costs, Layer
from tans_bench.spaces.families import CellFamily, ref_of
from tans_bench.spaces.fbnet import (
    BLOCKS,
    FBNET_A,
    SKIP,
    STAGES,
    Block,
    ChannelShuffle,
    FBNet,
    check,
)

few = settings(max_examples=15, deadline=None)


def costs(architecture: Architecture, classes: int, resolution: int) -> Costs:
    return describe(ref_of(architecture, resolution)).costs(classes)


def test_its_costs_are_near_those_published() -> None:
    """Wu et al. state 249 M multiply-adds and 4.3 M parameters; their repository 249.4 M."""
    found = costs(FBNET_A, 1000, 224)
    assert found.params == pytest.approx(4.3e6, rel=0.01)
    assert found.flops == pytest.approx(249.4e6, rel=0.005)
    assert found == Costs(4_321_464, 249_921_848)


def later(architecture: Architecture) -> FBNet:
    """Without the first convolutions of ratio 1."""
    body = FBNet(architecture)
    for module in body.modules():
        if isinstance(module, Block):
            first, _, _, *rest = module.body  # convolution, batch-norm, ReLU
            if first.in_channels == first.out_channels:
                module.body = nn.Sequential(*rest)
    return body


def test_without_the_first_convolution_of_ratio_1_it_is_the_later_release() -> None:
    """Their later code states 244.5 M."""
    found = counted(CellFamily(later), ref_of(FBNET_A, 224)).costs(1000)
    assert found.flops == pytest.approx(244.5e6, rel=0.0005)


def test_it_classifies_and_takes_a_new_head() -> None:
    network = build(ref_of(FBNET_A, 32), 5)
    x = torch.zeros(2, 3, 32, 32)
    assert network(x).shape == (2, 5)
    assert network.features(x).shape == (2, 1504)
    network.replace_head(3)
    assert network(x).shape == (2, 3)
    network(x).sum().backward()
    assert all(p.grad is not None for p in network.parameters())


def test_a_shuffle_lets_each_group_see_the_other() -> None:
    x = torch.arange(6.0).view(1, 6, 1, 1)
    assert ChannelShuffle(2)(x).flatten().tolist() == [0, 3, 1, 4, 2, 5]
    grouped = [m for m in FBNet(FBNET_A).modules() if isinstance(m, nn.Conv2d) and m.groups == 2]
    assert len(grouped) == 2 * 3  # two pointwise convolutions in each of three blocks


def stages(number: int) -> st.SearchStrategy[tuple[Layer, ...]]:
    first = st.sampled_from(BLOCKS)
    others = st.sampled_from([block for block in BLOCKS if block != SKIP])
    return st.tuples(first, st.lists(others, max_size=STAGES[number].layers - 1)).map(
        lambda drawn: (drawn[0], *drawn[1])
    )


architectures = st.tuples(*map(stages, range(len(STAGES)))).map(lambda s: Architecture("fbnet", s))


@pytest.mark.long
@few
@given(architectures)
def test_all_of_the_space_is_built_and_has_a_text_form(architecture: Architecture) -> None:
    assert Architecture.parse(str(architecture)) == architecture
    shallow = Architecture("fbnet", tuple(layers[:1] for layers in architecture.stages))
    least, found = costs(shallow, 7, 64), costs(architecture, 7, 64)
    assert (found == least) == (architecture == shallow)
    assert found.params >= least.params
    assert found.flops >= least.flops


@pytest.mark.parametrize(
    "text",
    [
        str(FBNET_A).replace("fbnet", "lite0"),
        str(FBNET_A).replace("0x0|", ""),
        str(FBNET_A).replace("3x3,3x1", "3x3,0x0"),
        str(FBNET_A).replace("3x3,3x1", "3x3,7x1"),
        str(FBNET_A).replace("3x3,3x1", "3x3,3x4"),
        str(FBNET_A).replace("0x0|", "3x1,3x1|"),
    ],
)
def test_what_is_not_in_the_space_is_refused(text: str) -> None:
    for use in (check, FBNet):
        with pytest.raises(InputError, match="is not in the space 'fbnet'; expected the form of"):
            use(Architecture.parse(text))


def test_an_empty_stage_is_refused() -> None:
    with pytest.raises(InputError, match="is not in the space 'fbnet'"):
        check(Architecture("fbnet", ((), *FBNET_A.stages[1:])))
