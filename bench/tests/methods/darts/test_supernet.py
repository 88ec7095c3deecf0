"""Mixed operations and derived cells against values worked out by hand, and against networks."""

import random

import pytest
import torch
from torch import Tensor, nn

from tans.networks.family import build
from tans.types import Architecture
from tans_bench.methods.darts.supernet import (
    NORMAL,
    REDUCE,
    MixedOperation,
    Supernet,
    Weights,
    derived_cell,
    widened,
)
from tans_bench.spaces import darts
from tans_bench.spaces.darts import DARTS, EDGES, OPERATIONS
from tans_bench.spaces.families import ref_of

AVERAGE, SKIP = OPERATIONS.index("avg_pool_3x3"), OPERATIONS.index("skip_connect")
MAX_POOL, SEPARABLE = OPERATIONS.index("max_pool_3x3"), OPERATIONS.index("sep_conv_3x3")
NORMED = (1 + 1e-5) ** -0.5
"""What an untrained batch-norm in evaluation mode multiplies by."""


SIZE = (4, 5)
REDUCES = [shape.reduces for shape in darts.cell_shapes(SIZE)]
PLACES = {edge: index for index, edge in enumerate(darts.edges())}


def of_operations(**weights: float) -> Tensor:
    """Weights (8,), zero where they are not named."""
    return torch.tensor([weights.get(name, 0.0) for name in OPERATIONS])


def test_the_first_part_is_mixed_and_the_channels_are_interleaved_thereafter():
    mixed = MixedOperation(8, stride=1, parts=4, kept=range(len(OPERATIONS))).eval()
    x = torch.arange(1.0, 9).view(1, 8, 1, 1).expand(1, 8, 3, 3)  # channel i is all i + 1
    weights = of_operations(none=0.1, max_pool_3x3=0.2, avg_pool_3x3=0.3, skip_connect=0.4)
    share = 0.4 + (0.2 + 0.3) * NORMED
    # four parts of two: worked (1, 2), passed by (3, 4), (5, 6), (7, 8); firsts, then seconds
    expected = torch.tensor([share * 1, 3, 5, 7, share * 2, 4, 6, 8])
    found = mixed(x, weights)
    assert torch.allclose(found, expected.view(1, 8, 1, 1).expand(1, 8, 3, 3))


def test_with_a_stride_what_passes_by_is_max_pooled():
    mixed = MixedOperation(4, stride=2, parts=2, kept=[AVERAGE]).eval()
    x = torch.zeros(1, 4, 2, 2)
    x[0, :, 1, 0] = torch.tensor([4.0, 8, 12, 16])
    found = mixed(x, of_operations(avg_pool_3x3=0.5))
    assert torch.allclose(found.flatten(), torch.tensor([0.5 * NORMED, 12, 1 * NORMED, 16]))


def test_the_weights_gradient_is_what_the_operations_gave():
    mixed = MixedOperation(4, stride=1, parts=2, kept=[darts.NONE, SKIP, MAX_POOL]).eval()
    weights = of_operations(skip_connect=1).requires_grad_()
    mixed(torch.ones(1, 4, 1, 1), weights).sum().backward()
    assert torch.allclose(weights.grad, of_operations(skip_connect=2, max_pool_3x3=2 * NORMED))


def chosen(architecture: Architecture) -> Weights:
    """All weight on the operations and edges of an architecture without pools."""
    operations, edges = torch.zeros(2, EDGES, len(OPERATIONS)), torch.zeros(2, EDGES)
    for row, cell in ((NORMAL, architecture.stages[0]), (REDUCE, architecture.stages[1])):
        for index, (operation, source) in enumerate(cell):
            edge = PLACES[index // darts.PER_NODE, source]
            operations[row, edge, operation] = edges[row, edge] = 1
    return Weights(operations, edges)


def name_in_supernet(name: str, architecture: Architecture) -> str:
    """Of a network's weight."""
    parts = name.split(".")
    if parts[0] != "cells" or parts[2] != "operations":
        return name
    cell, index = int(parts[1]), int(parts[3])
    operation, source = architecture.stages[REDUCES[cell]][index]
    edge = PLACES[index // darts.PER_NODE, source]
    return ".".join(
        ["cells", parts[1], "edges", str(edge), "operations", str(operation), *parts[4:]]
    )


@pytest.mark.long
def test_with_all_weight_on_one_cell_the_supernet_is_the_network():
    torch.manual_seed(0)
    rng = random.Random(3)
    while True:
        architecture = DARTS.sample(rng, SIZE)
        if all(operation >= SKIP for cell in architecture.stages[:2] for operation, _ in cell):
            break
    supernet = Supernet(SIZE, 3, stem_stride=2, parts=1).eval()
    network = build(ref_of(architecture, 32), 3).eval()
    network.body.norm = nn.Identity()  # the supernet has none
    state = supernet.state_dict()
    own = network.weights()  # scales and shifts, which the supernet lacks, start alike
    network.load_weights({n: state.get(name_in_supernet(n, architecture), own[n]) for n in own})
    x = torch.rand(2, 3, 32, 32)
    found, expected = supernet(x, chosen(architecture)), network(x)
    assert expected.std() > 1e-3
    assert torch.allclose(found, expected, atol=1e-4)


def test_the_two_strongest_edges_into_a_node_are_derived_with_their_strongest_operation():
    strengths = torch.full((EDGES, len(OPERATIONS)), 0.1)
    strengths[:, darts.NONE] = 0.9  # does not count
    strengths[0, SEPARABLE], strengths[1, SKIP] = 0.3, 0.2  # node 2
    strengths[2, MAX_POOL], strengths[4, AVERAGE] = 0.2, 0.4  # node 3, inputs 0 to 2
    strengths[6, SKIP], strengths[8, SKIP] = 0.3, 0.3  # node 4, inputs 0 to 3
    strengths[9:, SKIP] = torch.tensor([0.5, 0.2, 0.3, 0.4, 0.6])  # node 5, inputs 0 to 4
    assert derived_cell(strengths) == [
        *((SEPARABLE, 0), (SKIP, 1)),
        *((MAX_POOL, 0), (AVERAGE, 2)),
        *((SKIP, 1), (SKIP, 3)),
        *((SKIP, 0), (SKIP, 4)),
    ]


@pytest.mark.parametrize("seed", range(3))
def test_what_is_derived_is_always_in_the_space(seed):
    generator = torch.Generator().manual_seed(seed)
    cell = derived_cell(torch.rand(EDGES, len(OPERATIONS), generator=generator))
    DARTS.check(DARTS.of(cell, cell))


def test_a_wider_supernet_keeps_the_weights_and_adds_copies():
    few = tuple((SKIP, SEPARABLE) for _ in range(EDGES))
    narrow, wide = Supernet((12, 3), 3, parts=6), Supernet((12, 3), 3, parts=4, kept=(few, few))
    state = widened(narrow.state_dict(), wide.state_dict(), torch.Generator().manual_seed(0))
    wide.load_state_dict(state)
    old = narrow.cells[0].edges[0].operations[str(SEPARABLE)]
    new = wide.cells[0].edges[0].operations[str(SEPARABLE)]
    depthwise, before = new[0][1].weight, old[0][1].weight  # (channels, 1, 3, 3)
    assert (len(before), len(depthwise)) == (2, 3)
    assert torch.equal(depthwise[:2], before)
    copied = int((before == depthwise[2]).all((1, 2, 3)).int().argmax())
    assert torch.equal(depthwise[2], before[copied])
    # the pointwise convolution reads the copy as it reads the channel itself
    assert torch.equal(new[0][2].weight[:, 2], new[0][2].weight[:, copied])
    assert torch.equal(wide.classifier.weight, narrow.classifier.weight)


def test_entropy_is_of_the_operations_in_the_mean_over_edges():
    even = torch.full((2, EDGES, len(OPERATIONS)), 1 / len(OPERATIONS))
    even[NORMAL] = of_operations(skip_connect=1)
    weights = Weights(even, torch.ones(2, EDGES))
    assert weights.entropy == pytest.approx(torch.log(torch.tensor(8.0)).item() / 2)
