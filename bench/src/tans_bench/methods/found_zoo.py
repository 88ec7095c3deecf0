"""A small zoo of the architectures that MetaD2A finds for each source task (Figure 6 e).

It holds as many networks as the small zoo of random architectures: subnets of the same stored
supernets, retrieved by the same embeddings.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from tans.build.measure import Meter
from tans.meta.data import structures
from tans.types import ZooEntry
from tans.zoo.rows import VECTORS
from tans.zoo.zoo import Zoo
from tans_bench.methods.ablations import SHARE, scored
from tans_bench.methods.budget import affordable
from tans_bench.methods.metad2a.learning import FULL, SMALL, MetaD2ASettings
from tans_bench.methods.metad2a.method import best_generated, learnt_on
from tans_bench.methods.method import Problem, Proposal
from tans_bench.methods.stored import within
from tans_bench.spaces.families import ref_of


@dataclass(frozen=True)
class OfFound:
    """Embeddings in a zoo of architectures that were found for its tasks, not drawn."""

    settings: MetaD2ASettings | None = None
    """Of MetaD2A; what the problem's budget allows when None."""

    def __call__(self, problem: Problem, zoo: Zoo) -> Proposal:
        """The best predicted of the most similar networks.

        Raises:
            LimitError: none is within the limits.
        """
        began = time.perf_counter()
        found = _networks(zoo.path, self.settings or affordable(problem.budget, FULL, SMALL))
        seconds = time.perf_counter() - began
        kept = within(found, problem)
        parts = {name: torch.tensor(_column(kept, name)) for name in VECTORS}  # (n, w) each
        parts["structure"] = structures([entry.ref for entry in kept])
        whole = scored(problem, zoo)
        models = whole.retriever.encode_models(parts)  # (n, w)
        small = replace(whole, entries=kept, models=models, once_s=whole.once_s + seconds)
        return small.best()


@lru_cache(maxsize=2)
def _networks(folder: Path, settings: MetaD2ASettings) -> tuple[ZooEntry, ...]:
    """Of each source task as many subnets, of its own weights; together ``1 / SHARE`` of a zoo."""
    zoo = Zoo.open(folder)
    learnt = learnt_on(folder, settings)
    entries = zoo.entries(vectors=False)
    sources = {e.task: e for e in entries if e.task in {t.name for t in zoo.tasks() if t.features}}
    each = max(1, round(len(entries) / SHARE / len(sources)))
    found: list[ZooEntry] = []
    for place, (task, stored) in enumerate(sources.items()):
        architectures = best_generated(learnt, zoo.features(task), each, seed=place)
        meter = Meter.read(zoo, task, stored.weights, stored.licence)
        found += (meter.entry(ref_of(one, zoo.resolution)) for one in architectures)
    return tuple(found)


def _column(entries: Sequence[ZooEntry], part: str) -> np.ndarray:
    """One part of each network, float32 (n, w)."""
    return np.array([getattr(entry, part) for entry in entries], dtype=np.float32)
