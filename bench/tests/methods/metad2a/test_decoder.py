"""Graphs are read and written vertex by vertex, many at once."""

from __future__ import annotations

import random

import pytest
import torch

from tans.networks.families.elastic.specification import LITE0
from tans_bench.methods.metad2a.decoder import GraphDecoder, GraphEncoder
from tans_bench.methods.metad2a.graphs import Graphs, cell_graphs, elastic_graphs
from tans_bench.spaces.nasbench201 import NAS_BENCH_201

SPACES = {"elastic": (elastic_graphs(LITE0), LITE0), "cells": (cell_graphs(), NAS_BENCH_201)}
LATENT, WIDTH = 4, 12


def sampled(name: str, count: int) -> tuple[Graphs, torch.Tensor]:
    graphs, space = SPACES[name]
    drawn = random.Random(1)
    return graphs, graphs.types([space.sample(drawn) for _ in range(count)])


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("name", SPACES)
def test_a_batch_is_read_and_judged_as_each_graph_alone(name: str) -> None:
    graphs, types = sampled(name, 5)
    reader, writer = GraphEncoder(graphs, WIDTH), GraphDecoder(graphs, LATENT, WIDTH)
    latents = torch.randn(5, LATENT)
    read, losses = reader(types), writer.loss(latents, types)
    assert read.shape == (5, WIDTH)
    for k in range(5):
        assert torch.allclose(reader(types[k : k + 1])[0], read[k], atol=1e-5)
        alone = writer.loss(latents[k : k + 1], types[k : k + 1])
        assert torch.allclose(alone[0], losses[k], atol=1e-4)


@pytest.mark.parametrize("name", SPACES)
def test_every_vertex_counts_when_read(name: str) -> None:
    graphs, types = sampled(name, 1)
    reader = GraphEncoder(graphs, WIDTH)
    for place in range(1, graphs.vertices - 1):
        other = types.clone()
        other[0, place] = types[0, place] + (1 if types[0, place] < graphs.kinds - 1 else -1)
        assert not torch.allclose(reader(other), reader(types), atol=1e-4)


@pytest.mark.parametrize("name", SPACES)
def test_masked_graphs_are_valid_whatever_the_weights(name: str) -> None:
    graphs, _ = SPACES[name]
    writer, latents = GraphDecoder(graphs, LATENT, WIDTH), torch.randn(40, LATENT)
    types, edges = writer.sample(latents, torch.Generator().manual_seed(0), masked=True)
    assert graphs.valid(types, edges).all()
    free = writer.sample(latents, torch.Generator().manual_seed(0), masked=False)
    assert not graphs.valid(*free).any()


def test_draws_depend_on_their_generator_alone() -> None:
    graphs, _ = SPACES["cells"]
    writer, latents = GraphDecoder(graphs, LATENT, WIDTH), torch.randn(20, LATENT)
    state = torch.random.get_rng_state()
    drawn = [
        writer.sample(latents, torch.Generator().manual_seed(seed), masked=True)[0]
        for seed in (1, 1, 2)
    ]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert torch.equal(torch.random.get_rng_state(), state)
