"""Edge normalisation, and the search of PC-DARTS."""

from __future__ import annotations

import pytest
import torch

from tans.types import Architecture
from tans.zoo.zoo import Zoo
from tans_bench.methods.darts.pcdarts import FULL, SMALL, EdgeNormalised, PcDarts, normalised_edges
from tans_bench.methods.darts.search import derived
from tans_bench.methods.darts.settings import CellSearchSettings, Stage
from tans_bench.methods.method import Problem
from tans_bench.spaces import darts
from tests.small_zoo import drawn_task

TINY = CellSearchSettings(
    stages=(Stage(epochs=2, warm_up=1, parts=2, operations=8),),
    channels=4,
    cells=3,
    batch_size=32,
    stem_stride=4,
    images=16,
)


def test_the_edges_into_each_node_sum_to_one():
    edges = normalised_edges(
        torch.randn(2, darts.EDGES, generator=torch.Generator().manual_seed(0))
    )
    for own in edges.split([2, 3, 4, 5], -1):
        assert torch.allclose(own.sum(-1), torch.ones(2))
    assert edges.min() > 0


def test_an_edge_is_normalised_among_those_of_its_own_node_alone():
    betas = torch.zeros(2, darts.EDGES)
    betas[0, 2] = torch.tensor(2.0).log()  # first of the three edges into the second node
    assert torch.allclose(normalised_edges(betas)[0, :5], torch.tensor([2, 2, 2, 1, 1]) / 4)
    assert torch.allclose(normalised_edges(betas)[1, :5], torch.tensor([3, 3, 2, 2, 2]) / 6)


def test_operations_sum_to_one_and_both_kinds_of_weights_are_learnt():
    mixture = EdgeNormalised()
    weights = mixture()
    assert torch.allclose(weights.operations.sum(-1), torch.ones(2, darts.EDGES))
    (weights.operations[..., 3] * weights.edges).sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in mixture.parameters())


def test_a_weak_edge_is_left_out_whatever_its_operations():
    mixture = EdgeNormalised()
    with torch.no_grad():
        mixture.alphas[:, 2, 4] = 3.0  # edge from input 0 into the second node
        mixture.betas[:, 2] = -9.0
    normal, reduce = derived(mixture.expected())
    assert [source for _, source in normal[2:4]] == [source for _, source in reduce[2:4]] == [1, 2]


@pytest.mark.long
def test_the_search_gives_a_genotype_and_its_history(small_zoo: Zoo):
    proposal = PcDarts(TINY)(Problem(drawn_task("green", "three")), small_zoo)
    architecture = Architecture.parse(proposal.ref.name)
    assert proposal.details["genotype"] == darts.DARTS.listing(architecture)
    assert [epoch["epoch"] for epoch in proposal.details["history"]] == [1, 2]
    assert all(0 <= epoch["accuracy"] <= 1 for epoch in proposal.details["history"])


def test_the_full_search_is_the_published_one():
    (stage,) = FULL.stages
    assert (stage.epochs, stage.warm_up, stage.parts) == (50, 15, 4)
    assert (FULL.channels, FULL.cells, FULL.batch_size, FULL.learning_rate) == (16, 8, 256, 0.1)
    assert SMALL.epochs < FULL.epochs
