"""The NAS-Bench-201 space: its forms, and networks with the published costs."""

import random
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tans.errors import InputError
from tans.networks.family import build, counted, describe
from tans.types import Architecture, Costs
from tans_bench.spaces.families import CellFamily, ref_of
from tans_bench.spaces.nasbench201 import EDGES, NAS_BENCH_201, PUBLISHED, SMALL, NasBench201Network

cells = st.lists(st.integers(0, 4), min_size=EDGES, max_size=EDGES).map(NAS_BENCH_201.cell)
TEXT = "nas-bench-201:3x0|0x0,1x1|1x0,2x1,4x2"
LISTING = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|nor_conv_1x1~1|avg_pool_3x3~2|"


@given(cells)
def test_every_form_of_a_cell_leads_back_to_it(cell):
    assert NAS_BENCH_201.from_listing(NAS_BENCH_201.listing(cell)) == cell
    assert Architecture.parse(str(cell)) == cell
    topology = torch.tensor(NAS_BENCH_201.topology(cell)).view(EDGES, 5)
    assert NAS_BENCH_201.cell(topology.argmax(1).tolist()) == cell
    assert topology.sum(1).tolist() == [1] * EDGES


def test_the_published_form_names_operations_and_inputs():
    assert NAS_BENCH_201.listing(Architecture.parse(TEXT)) == LISTING


def test_all_cells_are_there_once():
    everyone = list(NAS_BENCH_201.all())
    assert len(everyone) == len(set(everyone)) == 15_625
    assert {NAS_BENCH_201.sample(random.Random(seed)) for seed in range(20)} <= set(everyone)


@pytest.mark.parametrize(
    ("operation", "params", "flops"), [(3, 1_531_546, 220.11969e6), (0, 73_306, 7.78305e6)]
)
def test_the_largest_and_the_smallest_have_the_published_costs(operation, params, flops):
    # the benchmark's extremes for CIFAR-10; it also counts the ten biases of the head
    cell = NAS_BENCH_201.cell([operation] * EDGES)
    published = CellFamily(partial(NasBench201Network, size=PUBLISHED))
    found = counted(published, ref_of(cell, 32)).costs(10)
    assert found == Costs(params, round(flops) - 10)


def test_small_networks_run_and_are_costed_by_the_name_of_their_space():
    for seed in range(4):
        ref = ref_of(NAS_BENCH_201.sample(random.Random(seed)), 31)
        network = build(ref, 3)
        assert network.features(torch.rand(2, 3, 31, 31)).shape == (2, 4 * SMALL.channels)
        assert sum(p.numel() for p in network.parameters()) == describe(ref).costs(3).params
    largest = ref_of(NAS_BENCH_201.cell([3] * EDGES), 64)
    assert describe(largest).costs(20).flops < 24e6


def test_a_cell_without_any_connection_still_gives_scores():
    network = build(ref_of(NAS_BENCH_201.cell([0] * EDGES), 16), 3).eval()
    scores = network(torch.rand(2, 3, 16, 16))
    assert torch.equal(scores[0], scores[1])


@pytest.mark.parametrize(
    "text",
    [
        "lite0:3x0|0x0,1x1|1x0,2x1,4x2",
        "nas-bench-201:3x0|0x0,1x1",
        "nas-bench-201:5x0|0x0,1x1|1x0,2x1,4x2",
        "nas-bench-201:-1x0|0x0,1x1|1x0,2x1,4x2",
        "nas-bench-201:3x0|1x1,0x0|1x0,2x1,4x2",
    ],
)
def test_what_is_not_in_the_space_is_refused(text):
    with pytest.raises(InputError, match="is not in the space 'nas-bench-201'"):
        NAS_BENCH_201.check(Architecture.parse(text))


@pytest.mark.parametrize(
    "listing", ["", "nonsense", LISTING.replace("none", "nor_conv_7x7"), LISTING.replace("~1", "")]
)
def test_what_is_not_a_listing_is_refused(listing):
    with pytest.raises(InputError, match="is not a cell of 'nas-bench-201'; expected a form like"):
        NAS_BENCH_201.from_listing(listing)
