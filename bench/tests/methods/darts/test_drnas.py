"""Dirichlet weights: their gradient, what is pruned of them, and the progressive search."""

from __future__ import annotations

import pytest
import torch

from tans.types import Architecture
from tans.zoo.zoo import Zoo
from tans_bench.methods.darts.drnas import FULL, SMALL, DirichletWeights, DrNas
from tans_bench.methods.darts.settings import CellSearchSettings, Stage
from tans_bench.methods.method import Problem
from tans_bench.spaces import darts
from tests.small_zoo import drawn_task

TINY = CellSearchSettings(
    stages=(
        Stage(epochs=1, warm_up=0, parts=2, operations=7),
        Stage(epochs=1, warm_up=0, parts=1, operations=3),
    ),
    channels=4,
    cells=3,
    batch_size=32,
    stem_stride=4,
    images=16,
)
DRAWS = 300
ALPHAS = torch.tensor([-0.5, 0.0, 1.0, -2.0])


@pytest.fixture
def mixture() -> DirichletWeights:
    """Four operations, the same concentrations on all 28 edges."""
    operations = torch.tensor([2, 3, 4, 5]).expand(2, darts.EDGES, -1).contiguous()
    return DirichletWeights(ALPHAS.expand(2, darts.EDGES, -1).clone(), operations)


def test_the_mean_and_its_gradient_are_the_analytic_ones(mixture: DirichletWeights):
    beta = torch.where(ALPHAS > 0, ALPHAS + 1, ALPHAS.exp())
    total = beta.sum()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        drawn = torch.stack([mixture().operations[..., 4] for _ in range(DRAWS)])
    # E[x_i] = beta_i / total, and its derivative by beta_j is (total * [i = j] - beta_i) / total^2
    assert drawn.mean().item() == pytest.approx((beta[2] / total).item(), abs=0.01)
    (drawn.sum() / DRAWS).backward()
    found = mixture.alphas.grad.mean((0, 1))  # (4,)
    by_beta = (total * torch.tensor([0.0, 0, 1, 0]) - beta[2]) / total**2
    expected = by_beta * torch.where(ALPHAS > 0, torch.ones(4), ALPHAS.exp())
    assert torch.allclose(found, expected, atol=0.01)


def test_weights_are_on_the_kept_operations_and_sum_to_one(mixture: DirichletWeights):
    for weights in (mixture(), mixture.expected()):
        assert torch.allclose(weights.operations.sum(-1), torch.ones(2, darts.EDGES))
        assert (weights.operations[..., [0, 1, 6, 7]] == 0).all()
        assert (weights.edges == 1).all()


def test_draws_differ_and_their_mean_does_not(mixture: DirichletWeights):
    assert not torch.equal(mixture().operations, mixture().operations)
    assert torch.equal(mixture.expected().operations, mixture.expected().operations)


def test_the_operations_of_the_highest_concentration_are_kept(mixture: DirichletWeights):
    with torch.no_grad():
        mixture.alphas[1, 5] = torch.tensor([3.0, 2.0, 1.0, 4.0])
    pruned = mixture.pruned(2)
    assert pruned.kept[0] == ((3, 4),) * darts.EDGES
    assert pruned.kept[1][5] == (2, 5)
    assert pruned.concentration[1, 5].tolist() == [5, 4]
    assert (pruned.expected().operations[1, 5] > 0).nonzero().flatten().tolist() == [2, 5]


def test_no_connection_is_not_among_the_operations():
    start = DirichletWeights.start()
    assert start.kept == (((1, 2, 3, 4, 5, 6, 7),) * darts.EDGES,) * 2
    assert torch.allclose(start.concentration, torch.ones(2, darts.EDGES, 7), atol=0.02)


@pytest.mark.long
def test_the_second_stage_goes_on_with_fewer_operations(small_zoo: Zoo):
    proposal = DrNas(TINY)(Problem(drawn_task("green", "three")), small_zoo)
    architecture = Architecture.parse(proposal.ref.name)
    assert proposal.details["genotype"] == darts.DARTS.listing(architecture)
    first, second = (epoch["entropy"] for epoch in proposal.details["history"])
    seven, three = torch.tensor([7.0, 3.0]).log().tolist()
    assert three < first <= seven + 1e-4
    assert second <= three + 1e-4


def test_the_full_search_is_the_published_one():
    assert [(s.epochs, s.warm_up, s.parts, s.operations) for s in FULL.stages] == [
        (25, 10, 6, 7),
        (25, 10, 4, 4),
    ]
    assert (FULL.channels, FULL.cells, FULL.batch_size) == (36, 20, 64)
    assert SMALL.epochs < FULL.epochs
