"""Genes and architectures are two forms of one thing, and evolution stays inside the space."""

from __future__ import annotations

import numpy as np
import pytest
from bench.tests.methods.small_space import SMALL_SPACE, everyone
from hypothesis import given
from hypothesis import strategies as st

from tans.errors import InputError, LimitError
from tans.networks.families.elastic.specification import (
    LITE0,
    SPACES,
    Specification,
    ref_of,
)
from tans.networks.family import describe
from tans.types import Architecture, Constraints
from tans_bench.methods.genes import Genome, Room
from tans_bench.methods.method import Problem
from tests.networks.families.elastic.strategies import TOY, architectures
from tests.small_zoo import drawn_task

QUERY = drawn_task("green", "three", seed=3)
RNGS = st.integers(0, 2**32).map(np.random.default_rng)


@pytest.mark.parametrize("space", [LITE0, TOY], ids=lambda space: space.name)
@given(data=st.data())
def test_genes_and_back(space: Specification, data: st.DataObject) -> None:
    genome = Genome(space)
    architecture = data.draw(architectures(space))
    genes = genome.encode(architecture)
    assert genes.shape == genome.sizes.shape
    assert ((genes >= 0) & (genes < genome.sizes)).all()
    assert genome.decode(genes) == architecture


@pytest.mark.parametrize("space", [LITE0, TOY], ids=lambda space: space.name)
@given(rng=RNGS, probability=st.floats(0, 1))
def test_evolution_stays_inside_the_space(
    space: Specification, rng: np.random.Generator, probability: float
) -> None:
    genome = Genome(space)
    parents = genome.sample(6, rng)
    children = genome.cross(parents[:3], parents[3:], rng)
    assert ((children == parents[:3]) | (children == parents[3:])).all()
    for genes in (*parents, *children, *genome.mutate(children, probability, rng)):
        space.check(genome.decode(genes))


def test_mutation_changes_as_many_genes_as_it_is_told() -> None:
    genome, rng = Genome(LITE0), np.random.default_rng(0)
    parents = genome.sample(500, rng)
    assert np.array_equal(genome.mutate(parents, 0.0, rng), parents)
    changed = (genome.mutate(parents, 0.5, rng) != parents).mean()
    drawn_otherwise = (1 - 1 / genome.sizes).mean()
    assert changed == pytest.approx(0.5 * drawn_otherwise, abs=0.02)


@given(rng=RNGS)
def test_features_are_equal_for_equal_networks_alone(rng: np.random.Generator) -> None:
    genome = Genome(SMALL_SPACE)
    genes = genome.sample(20, rng)
    canonical = np.stack([genome.encode(genome.decode(row)) for row in genes])
    assert np.array_equal(genome.features(genes), genome.features(canonical))
    layers = [sum(map(len, genome.decode(row).stages)) for row in genes]
    assert genome.features(genes).sum(1).tolist() == [2 * n for n in layers]


def test_all_architectures_have_features_of_their_own() -> None:
    genome = Genome(SMALL_SPACE)
    genes = np.stack([genome.encode(architecture) for architecture in everyone()])
    assert len(np.unique(genome.features(genes), axis=0)) == 400


def test_another_spaces_architecture_has_no_genes() -> None:
    with pytest.raises(InputError, match="not in the space"):
        Genome(LITE0).encode(SMALL_SPACE.smallest)


def test_all_that_is_drawn_is_within_the_limits() -> None:
    room = Room(Genome(LITE0), Problem(QUERY, Constraints(max_flops=4e6)), 32)
    genes = room.sample(50, np.random.default_rng(0))
    assert len(genes) == 50
    flops = [LITE0.costs(room.genome.decode(row), 3, 32).flops for row in genes]
    assert max(flops) <= 4e6
    assert not room.allows([LITE0.largest]).any()


def test_where_no_draw_fits_there_is_the_smallest_and_below_it_an_error() -> None:
    least = describe(ref_of(LITE0.smallest, 32)).costs(3, deep=True).params
    room = Room(Genome(LITE0), Problem(QUERY, Constraints(max_params=least)), 32)
    drawn = room.sample(10, np.random.default_rng(0))
    assert {room.genome.decode(row) for row in drawn} == {LITE0.smallest}
    room = Room(Genome(LITE0), Problem(QUERY, Constraints(max_params=least - 1)), 32)
    with pytest.raises(LimitError, match="the nearest limit"):
        room.sample(10, np.random.default_rng(0))


def test_costs_are_those_of_the_space(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SPACES, "small", SMALL_SPACE)
    room = Room(Genome(SMALL_SPACE), Problem(QUERY), 32)
    pair: list[Architecture] = [SMALL_SPACE.largest, SMALL_SPACE.smallest, SMALL_SPACE.largest]
    wanted = [describe(ref_of(each, 32)).costs(3, deep=True).flops for each in pair]
    assert room.costs(pair)["max_flops"].tolist() == wanted
