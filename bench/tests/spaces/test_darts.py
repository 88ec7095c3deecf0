"""The DARTS space: its forms, and networks with the published costs."""

import random
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tans.errors import InputError
from tans.networks.family import build, counted, describe
from tans.types import Architecture, Costs
from tans_bench.spaces.darts import DARTS, OPERATIONS, PUBLISHED, SIZES, DartsNetwork, operation
from tans_bench.spaces.families import CellFamily, ref_of

drawn = st.tuples(st.integers(0, 2**32), st.sampled_from(SIZES)).map(
    lambda pair: DARTS.sample(random.Random(pair[0]), pair[1])
)
CELL = ((4, 0), (4, 1)) * 4
PC_DARTS = {
    "normal": [
        ("sep_conv_3x3", 1),
        ("skip_connect", 0),
        ("sep_conv_3x3", 0),
        ("dil_conv_3x3", 1),
        ("sep_conv_5x5", 0),
        ("sep_conv_3x3", 1),
        ("avg_pool_3x3", 0),
        ("dil_conv_3x3", 1),
    ],
    "normal_concat": range(2, 6),
    "reduce": [
        ("sep_conv_5x5", 1),
        ("max_pool_3x3", 0),
        ("sep_conv_5x5", 1),
        ("sep_conv_5x5", 2),
        ("sep_conv_3x3", 0),
        ("sep_conv_3x3", 3),
        ("sep_conv_3x3", 1),
        ("sep_conv_3x3", 2),
    ],
    "reduce_concat": range(2, 6),
}
"""Of Xu et al., ICLR 2020, for CIFAR-10."""


@given(drawn)
def test_every_form_of_a_network_leads_back_to_it(architecture):
    size = architecture.stages[2][0]
    assert DARTS.from_listing(DARTS.listing(architecture), size) == architecture
    assert Architecture.parse(str(architecture)) == architecture
    DARTS.check(architecture)


@given(drawn, drawn)
def test_topologies_have_sixteen_choices_and_tell_networks_apart(one, other):
    topology = DARTS.topology(one)
    assert len(topology) == 198
    assert sum(topology[:-2]) == 16
    assert topology[-2:] == one.stages[2][0]
    assert (topology == DARTS.topology(other)) == (one == other)


def test_the_order_of_a_nodes_layers_does_not_matter():
    mirrored = DARTS.of(((4, 1), (4, 0)) * 4, CELL)
    assert mirrored == DARTS.of(CELL, CELL)


@pytest.mark.long
def test_the_published_network_has_the_published_size():
    # 3.63 million without the auxiliary head
    published = CellFamily(partial(DartsNetwork, stem_stride=1))
    ref = ref_of(DARTS.from_listing(PC_DARTS, PUBLISHED), 32)
    assert counted(published, ref).costs(10).params == 3_634_678


@pytest.mark.parametrize("index", range(len(OPERATIONS)), ids=OPERATIONS)
def test_operations_of_every_name_keep_the_width(index):
    for stride, side in ((1, 5), (2, 3)):
        for affine in (True, False):
            module = operation(index, 4, stride, affine)
            assert module(torch.rand(2, 4, 5, 5)).shape == (2, 4, side, side)


@pytest.mark.long
def test_drawn_networks_run_and_have_the_costs_counted():
    for seed, size in enumerate(SIZES):
        ref = ref_of(DARTS.sample(random.Random(seed), size), 33)
        network = build(ref, 5)
        assert network.features(torch.rand(2, 3, 33, 33)).shape == (2, 16 * size[0])
        assert sum(p.numel() for p in network.parameters()) == describe(ref).costs(5).params


def costs(architecture: Architecture) -> Costs:
    return describe(ref_of(architecture, 64)).costs(50)


# of the cells that the paper of PC-DARTS found on CIFAR-10
FOUND = DARTS.from_listing(
    {
        "normal": [
            *(("sep_conv_3x3", 1), ("skip_connect", 0), ("sep_conv_3x3", 0), ("dil_conv_3x3", 1)),
            *(("sep_conv_5x5", 0), ("sep_conv_3x3", 1), ("avg_pool_3x3", 0), ("dil_conv_3x3", 1)),
        ],
        "reduce": [
            *(("sep_conv_5x5", 1), ("max_pool_3x3", 0), ("sep_conv_5x5", 1), ("sep_conv_5x5", 2)),
            *(("sep_conv_3x3", 0), ("sep_conv_3x3", 3), ("sep_conv_3x3", 1), ("sep_conv_3x3", 2)),
        ],
    }
).stages[:2]


@pytest.mark.long
def test_published_cells_have_half_a_million_parameters_within_forty_million_multiply_adds():
    assert list(SIZES) == sorted(SIZES)
    fits, exceeds = (costs(DARTS.of(*FOUND, size)) for size in ((28, 8), (32, 8)))
    assert fits.flops < 40e6 < exceeds.flops
    assert 0.5e6 < fits.params < 4e6


@pytest.mark.long
def test_no_network_needs_less_than_the_lightest():
    lightest = costs(DARTS.lightest(SIZES[0]))
    for seed in range(2):
        drawn_costs = costs(DARTS.sample(random.Random(seed), SIZES[0]))
        assert lightest.params <= drawn_costs.params
        assert lightest.flops <= drawn_costs.flops


@pytest.mark.parametrize(
    ("normal", "size"),
    [
        (CELL[:-2], (8, 5)),
        (((0, 0), (4, 1)) * 4, (8, 5)),
        (((len(OPERATIONS), 0), (4, 1)) * 4, (8, 5)),
        (((4, 0), (4, 2)) * 4, (8, 5)),
        (((4, 1), (4, 1)) * 4, (8, 5)),
        (((4, -1), (4, 1)) * 4, (8, 5)),
        (CELL, (1, 5)),
        (CELL, (8, 2)),
    ],
    ids=["short", "none", "operation", "input", "twice", "negative", "narrow", "shallow"],
)
def test_what_is_not_in_the_space_is_refused(normal, size):
    with pytest.raises(InputError, match="is not in the space 'darts'; expected two cells of 8"):
        DARTS.of(normal, CELL, size)


@pytest.mark.parametrize(
    "text", ["darts:4x0", "nowhere:4x0|4x0|8x5", "darts:" + "|".join(["4x1,4x0"] * 3)]
)
def test_other_architectures_are_refused(text):
    with pytest.raises(InputError, match="is not in the space 'darts'"):
        DARTS.check(Architecture.parse(text))


def test_listings_of_other_spaces_are_refused():
    for wrong in (
        {"normal": PC_DARTS["normal"]},
        {**PC_DARTS, "reduce": [("conv_7x1_1x7", 0)] * 8},
        {**PC_DARTS, "normal": [3] * 8},
    ):
        with pytest.raises(InputError, match="is not a genotype"):
            DARTS.from_listing(wrong)
    with pytest.raises(InputError, match=r"the cells output nodes .*; expected \[2, 3, 4, 5\]"):
        DARTS.from_listing({**PC_DARTS, "normal_concat": [4, 5]})
