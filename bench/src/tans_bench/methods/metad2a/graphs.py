"""Architectures as directed acyclic graphs of typed vertices, and back.

A space fixes how many vertices there are, which edges a right graph has, and which type may stand
where. In an elastic space the vertices are the layer slots in a chain, a type is a layer's kernel
size and expand ratio, and a slot may be absent. In a space of cells they are the cell's edges, a
type is an operation, and one leads to the next where it ends at the other's beginning.

Reference: Zhang et al., D-VAE: A Variational Autoencoder for Directed Acyclic Graphs, NeurIPS 2019.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from tans.networks.families.elastic.specification import Specification
from tans.types import Architecture, Layer
from tans_bench.spaces.nasbench201 import EDGES, NAS_BENCH_201, NODES, OPERATIONS

INPUT, OUTPUT = 0, 1
"""Types of the first and the last vertex, in every space."""
FIRST = 2
"""Of the types that a space has of its own."""


class Vocabulary(Protocol):
    """Types of the vertices between input and output, counted from 0."""

    def types(self, architecture: Architecture) -> list[int]:
        """Of an architecture's vertices.

        Raises:
            InputError: it is not in the space.
        """
        ...

    def architecture(self, types: Sequence[int]) -> Architecture:
        """Inverse of ``types``, for types that may stand so."""
        ...


@dataclass(frozen=True, eq=False)
class Graphs:
    """The graphs of a space."""

    vocabulary: Vocabulary
    edges: Tensor
    """bool (v, v), whether the row's vertex leads to the column's, a later one."""
    allowed: Tensor = field(repr=False)
    """bool (v, k, k), whether vertex v may be of the column's type after a vertex of the row's."""

    @property
    def vertices(self) -> int:
        """Input and output included."""
        return self.allowed.shape[0]

    @property
    def kinds(self) -> int:
        """Types, those of input and output included."""
        return self.allowed.shape[1]

    def types(self, architectures: Sequence[Architecture]) -> Tensor:
        """Types of the vertices, int64 (n, v).

        Raises:
            InputError: one is not in the space.
        """
        own = torch.tensor([self.vocabulary.types(a) for a in architectures])  # (n, v - 2)
        ends = own.new_tensor([INPUT, OUTPUT]).expand(len(own), 2)
        return torch.cat([ends[:, :1], own + FIRST, ends[:, 1:]], 1)

    def architectures(self, types: Tensor) -> list[Architecture]:
        """Inverse of ``types``, of valid rows."""
        return [self.vocabulary.architecture(row) for row in (types[:, 1:-1] - FIRST).tolist()]

    def valid(self, types: Tensor, edges: Tensor) -> Tensor:
        """Whether graphs are of the space, bool (n,).

        Args:
            types: int64 (n, v).
            edges: bool (n, v, v).
        """
        places = torch.arange(1, self.vertices)
        stand = self.allowed[places, types[:, :-1], types[:, 1:]].all(1)  # (n,)
        return stand & (types[:, 0] == INPUT) & (edges == self.edges).flatten(1).all(1)


@dataclass(frozen=True)
class _Slots:
    """Layer slots of an elastic space; the last type is that of an absent layer."""

    space: Specification

    @property
    def layers(self) -> list[Layer]:
        """Every layer that a slot allows."""
        return sorted({layer for slot in self.space.slots for layer in slot.layers})

    @property
    def absent(self) -> int:
        return len(self.layers)

    def types(self, architecture: Architecture) -> list[int]:
        held, layers = self.space.to_slots(architecture), self.layers
        return [self.absent if layer is None else layers.index(layer) for layer in held]

    def architecture(self, types: Sequence[int]) -> Architecture:
        layers: list[Layer | None] = [*self.layers, None]
        return self.space.from_slots(layers[kind] for kind in types)


class _Edges:
    """The edges of a cell of NAS-Bench-201, in its order."""

    def types(self, architecture: Architecture) -> list[int]:
        NAS_BENCH_201.check(architecture)
        return [operation for layers in architecture.stages for operation, _ in layers]

    def architecture(self, types: Sequence[int]) -> Architecture:
        return NAS_BENCH_201.cell(types)


def elastic_graphs(space: Specification) -> Graphs:
    """A chain: input, a vertex for each layer slot, output."""
    slots = _Slots(space)
    kinds = FIRST + len(slots.layers) + 1
    absent = FIRST + slots.absent
    tables = []
    for slot in space.slots:
        table = torch.zeros(kinds, kinds, dtype=torch.bool)
        table[:, [FIRST + slots.layers.index(layer) for layer in slot.layers]] = True
        if slot.place:
            table[absent] = False  # a stage that has ended stays ended
            table[absent, absent] = True
        table[FIRST:absent, absent] = slot.place in space.stages[slot.stage].depths
        tables.append(table)
    return _graphs(slots, tables, torch.ones(len(tables) + 1).diag(1).bool())


def cell_graphs() -> Graphs:
    """The line graph of a cell: input, a vertex for each of its six edges, output."""
    kinds = FIRST + len(OPERATIONS)
    table = torch.zeros(kinds, kinds, dtype=torch.bool)
    table[:, FIRST:] = True
    ends = [(source, node) for node in range(1, NODES + 1) for source in range(node)]
    ends = [(-1, 0), *ends, (NODES, NODES + 1)]  # the input ends at node 0
    edges = torch.tensor([[a[1] == b[0] for b in ends] for a in ends])
    return _graphs(_Edges(), [table] * EDGES, edges)


def _graphs(vocabulary: Vocabulary, tables: Sequence[Tensor], edges: Tensor) -> Graphs:
    """Put input and output before and behind the tables of what may stand where."""
    first, last = torch.zeros_like(tables[0]), torch.zeros_like(tables[0])
    first[:, INPUT], last[:, OUTPUT] = True, True
    return Graphs(vocabulary, edges, torch.stack([first, *tables, last]))
