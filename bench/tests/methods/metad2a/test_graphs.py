"""Architectures are graphs of typed vertices, and what is not one of a space is told apart."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tans.errors import InputError
from tans.networks.families.elastic.specification import LITE0
from tans.types import Architecture
from tans_bench.methods.metad2a.graphs import FIRST, Graphs, cell_graphs, elastic_graphs
from tans_bench.spaces.nasbench201 import NAS_BENCH_201

SPARSE = replace(
    LITE0, name="sparse", stages=(replace(LITE0.stages[4], depths=(2, 4)), *LITE0.stages[:2])
)
"""A stage of two or four layers, never three."""
SPACES = {space.name: (elastic_graphs(space), space.sample) for space in (LITE0, SPARSE)} | {
    NAS_BENCH_201.name: (cell_graphs(), NAS_BENCH_201.sample)
}


def right(graphs: Graphs, types: torch.Tensor) -> torch.Tensor:
    return graphs.valid(types, graphs.edges.expand(len(types), -1, -1))


@pytest.mark.parametrize("name", SPACES)
@given(seed=st.integers(0, 2**32))
def test_an_architecture_comes_back_from_its_graph(name: str, seed: int) -> None:
    graphs, sample = SPACES[name]
    drawn = random.Random(seed)
    architectures = [sample(drawn) for _ in range(3)]
    types = graphs.types(architectures)
    assert types.shape == (3, graphs.vertices)
    assert right(graphs, types).all()
    assert graphs.architectures(types) == architectures


@pytest.mark.parametrize("name", [LITE0.name, SPARSE.name])
@given(seed=st.integers(0, 2**32))
def test_valid_is_what_the_space_itself_accepts(name: str, seed: int) -> None:
    graphs, sample = SPACES[name]
    generator = torch.Generator().manual_seed(seed)
    types = graphs.types([sample(random.Random(seed))]).repeat(20, 1)
    places = torch.randint(1, graphs.vertices - 1, (20,), generator=generator)
    kinds = torch.randint(FIRST, graphs.kinds, (20,), generator=generator)
    types[torch.arange(20), places] = kinds
    for row, valid in zip(types, right(graphs, types).tolist(), strict=True):
        architecture = graphs.architectures(row[None])[0]
        try:  # what has holes comes back without them
            again = torch.equal(graphs.types([architecture])[0], row)
        except InputError:
            again = False
        assert again == valid


def test_the_golden_graphs() -> None:
    small = Architecture.parse("lite0:3x3|5x6,3x4|3x3|3x3|3x3|3x6")
    graphs = elastic_graphs(LITE0)
    # types 0 to 8: input, output, 3x3, 3x4, 3x6, 5x3, 5x4, 5x6, absent
    expected = [0, 2, 8, 7, 3, 2, 8, 8, 2, 8, 8, 2, 8, 8, 8, 4, 1]
    assert graphs.types([small]).tolist() == [expected]
    assert torch.equal(graphs.edges, torch.ones(16).diag(1).bool())
    cell = cell_graphs()
    edges = {tuple(pair) for pair in cell.edges.nonzero().tolist()}
    # vertices: input, 0-1, 0-2, 1-2, 0-3, 1-3, 2-3, output
    among = {(1, 3), (1, 5), (2, 6), (3, 6)}
    assert edges == {(0, 1), (0, 2), (0, 4), (4, 7), (5, 7), (6, 7)} | among
    assert cell.types([NAS_BENCH_201.cell([0, 1, 2, 3, 4, 0])]).tolist() == [
        [0, 2, 3, 4, 5, 6, 2, 1]
    ]


def test_wrong_edges_and_wrong_ends_are_not_valid() -> None:
    graphs = cell_graphs()
    types = graphs.types([NAS_BENCH_201.cell([0, 1, 2, 3, 4, 0])])
    edges = graphs.edges[None].clone()
    assert graphs.valid(types, edges).all()
    edges[0, 0, 3] = True
    assert not graphs.valid(types, edges).any()
    for place in (0, -1):
        other = types.clone()
        other[0, place] = FIRST
        assert not right(graphs, other).any()


def test_architectures_of_other_spaces_are_errors() -> None:
    for graphs in (elastic_graphs(LITE0), cell_graphs()):
        with pytest.raises(InputError, match="is not in the space"):
            graphs.types([Architecture.parse("other:3x3|3x3")])
