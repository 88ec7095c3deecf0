"""Architectures of an elastic space as integer vectors, and how evolution varies them.

Reference: Cai et al., Once-for-All: Train One Network and Specialize it for Efficient Deployment,
ICLR 2020.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tans.costs.limits import fits, needs
from tans.networks.families.elastic.specification import Specification
from tans.types import Architecture
from tans_bench.methods.method import Problem
from tans_bench.spaces.families import ref_of

Genes = NDArray[np.int64]
"""(n, g): per architecture, the index of each choice that makes it up."""
ROUNDS = 30
"""Batches drawn, at most, in the search for architectures within the limits."""


@dataclass(frozen=True)
class Genome:
    """The genes of a space: a depth for each stage, then a layer for each slot of a stage.

    Genes of slots beyond a stage's depth have no effect, but are passed on to children.
    """

    space: Specification

    @cached_property
    def sizes(self) -> Genes:
        """Choices of each gene (g,)."""
        depths = [len(stage.depths) for stage in self.space.stages]
        return np.array([*depths, *(len(slot.layers) for slot in self.space.slots)])

    def encode(self, architecture: Architecture) -> Genes:
        """Genes (g,) of an architecture; those without effect are 0.

        Raises:
            InputError: the architecture is not in the space.
        """
        held = zip(self.space.slots, self.space.to_slots(architecture), strict=True)
        layers = [0 if layer is None else slot.layers.index(layer) for slot, layer in held]
        pairs = zip(self.space.stages, architecture.stages, strict=True)
        return np.array([*(stage.depths.index(len(own)) for stage, own in pairs), *layers])

    def decode(self, genes: Genes) -> Architecture:
        """The architecture of one vector of genes (g,)."""
        own = genes.tolist()
        depths = [stage.depths[gene] for stage, gene in zip(self.space.stages, own, strict=False)]
        chosen = zip(self.space.slots, own[len(depths) :], strict=True)
        return self.space.from_slots(
            slot.layers[gene] if slot.place < depths[slot.stage] else None for slot, gene in chosen
        )

    def features(self, genes: Genes) -> NDArray[np.float64]:
        """What a predictor sees, (n, f): per slot its kernel, then its ratio, each one-hot.

        Slots of layers that do not exist are 0, so equal features mean equal networks.
        """
        present = self.present(genes)  # (n, s)
        layers = genes[:, len(self.space.stages) :]  # (n, s)
        parts = []
        for row, slot in enumerate(self.space.slots):
            stage = self.space.stages[slot.stage]
            kernel, expand = np.divmod(layers[:, row], len(stage.expands))  # (n,) each
            pair = (np.eye(len(stage.kernels))[kernel], np.eye(len(stage.expands))[expand])
            parts.append(np.concatenate(pair, axis=1) * present[:, row, None])
        return np.concatenate(parts, axis=1)

    def present(self, genes: Genes) -> NDArray[np.bool_]:
        """Which slots hold a layer (n, s)."""
        depths = [
            np.array(stage.depths)[genes[:, number]]  # (n,)
            for number, stage in enumerate(self.space.stages)
        ]
        return np.stack([depths[slot.stage] > slot.place for slot in self.space.slots], axis=1)

    def sample(self, n: int, rng: np.random.Generator) -> Genes:
        """Genes (n, g), each drawn uniformly."""
        return rng.integers(0, self.sizes, size=(n, len(self.sizes)))

    def mutate(self, genes: Genes, probability: float, rng: np.random.Generator) -> Genes:
        """Draw each gene anew with a probability; (n, g) to (n, g)."""
        changed = rng.random(genes.shape) < probability
        return np.where(changed, self.sample(len(genes), rng), genes)

    def cross(self, mothers: Genes, fathers: Genes, rng: np.random.Generator) -> Genes:
        """Take each gene from either parent with equal chance; (n, g) twice to (n, g)."""
        return np.where(rng.random(mothers.shape) < 0.5, mothers, fathers)


@dataclass(frozen=True)
class Room:
    """What a problem's limits leave of a space; costs are counted once for each architecture."""

    genome: Genome
    problem: Problem
    resolution: int
    """Pixels a side of the input."""
    _known: dict[Architecture, dict[str, float]] = field(default_factory=dict, repr=False)

    def check(self) -> None:
        """Refuse limits that are below what the smallest architecture needs.

        Raises:
            LimitError: they are.
        """
        limits = self.problem.limits
        fits(self._needs([self.genome.space.smallest]), limits)

    def costs(self, architectures: Sequence[Architecture]) -> dict[str, NDArray[np.float64]]:
        """Per limit, what each architecture needs (n,)."""
        new = [a for a in dict.fromkeys(architectures) if a not in self._known]
        if new:
            found = self._needs(new)
            for row, architecture in enumerate(new):
                self._known[architecture] = {name: float(c[row]) for name, c in found.items()}
        rows = [self._known[architecture] for architecture in architectures]
        return {name: np.array([row[name] for row in rows]) for name in (rows[0] if rows else ())}

    def _needs(self, architectures: Sequence[Architecture]) -> dict[str, NDArray[np.float64]]:
        refs = [ref_of(architecture, self.resolution) for architecture in architectures]
        return needs(refs, self.problem.task, self.problem.limits)

    def allows(self, architectures: Sequence[Architecture]) -> NDArray[np.bool_]:
        """Which are within every limit (n,)."""
        limits = {k: v for k, v in vars(self.problem.limits).items() if v is not None}
        within = np.ones(len(architectures), dtype=bool)
        if limits and architectures:
            costs = self.costs(architectures)
            for name, limit in limits.items():
                within &= costs[name] <= limit
        return within

    def fill(self, n: int, draw: Callable[[int], Genes]) -> Genes:
        """Genes (m, g), m <= n, within the limits, by rejection: fewer where the draws run out.

        Args:
            draw: makes so many candidates.
        """
        kept = np.zeros((0, len(self.genome.sizes)), dtype=np.int64)
        for _ in range(ROUNDS):
            if len(kept) >= n:
                break
            drawn = draw(n)
            within = self.allows([self.genome.decode(row) for row in drawn])
            kept = np.concatenate([kept, drawn[within]])
        return kept[:n]

    def sample(self, n: int, rng: np.random.Generator) -> Genes:
        """Genes (m, g), 1 <= m <= n, within the limits; the smallest where no draw is.

        Raises:
            LimitError: not even the smallest is within the limits.
        """
        self.check()
        drawn = self.fill(n, lambda count: self.genome.sample(count, rng))
        return drawn if len(drawn) else self.genome.encode(self.genome.space.smallest)[None]
