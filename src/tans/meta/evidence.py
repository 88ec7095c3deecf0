"""What speaks for a network on a task: probes on its images, and facts of the network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tans.errors import InputError, ZooError
from tans.types import ZooEntry
from tans.zoo.store import IMAGENET, Zoo

COLUMNS = ("probe", "whole imagenet", "elastic base", "size", "images a class")
"""Columns of the evidence: the source's probe in log odds, whether it is ImageNet's, the logarithm
of the parameters as a share of the source's largest network, and of the images for each class."""
EDGE = 0.01
"""Accuracies are kept this far from 0 and 1, where their logit has no bound."""


@dataclass(frozen=True)
class Subject:
    """A task that networks are judged for, and what was seen on it."""

    classes: int
    images: int
    """For training."""
    probes: Mapping[str, float]
    """Entry id to probe accuracy, in [0, 1]."""


@dataclass(frozen=True)
class Sources:
    """The networks of a zoo that are probed, each for all of its source."""

    largest: Mapping[str, ZooEntry]
    """The largest network of each source task."""
    base: ZooEntry
    """The elastic base at full size."""
    whole: tuple[ZooEntry, ...]
    """The ImageNet network as published, an entry for each resolution, lowest first."""

    @classmethod
    def of(cls, zoo: Zoo) -> Sources:
        """Find them among a zoo's entries.

        Raises:
            ZooError: the zoo lacks the elastic base or the ImageNet network.
        """
        entries = sorted(zoo.entries(vectors=False), key=lambda e: (e.params, -e.resolution))
        base = [e for e in entries if e.task == IMAGENET and e.weights == zoo.base]
        whole = [e for e in entries if e.task == IMAGENET and e.weights != zoo.base]
        if not base or not whole:
            raise ZooError(
                f"the zoo in {zoo.path} lacks the elastic base or the ImageNet network; expected "
                f"both as entries of {IMAGENET!r}, as 'tans zoo build' makes them"
            )
        largest = {e.task: e for e in entries if e.task != IMAGENET}
        return cls(largest, base[-1], tuple(reversed(whole)))

    @property
    def always(self) -> tuple[ZooEntry, ...]:
        """Those that are probed whatever was retrieved."""
        return (self.base, *self.whole)

    def stand_in(self, entry: ZooEntry) -> ZooEntry:
        """The network whose probe counts for an entry."""
        if entry.task != IMAGENET:
            return self.largest[entry.task]
        return self.base if entry.weights == self.base.weights else entry

    def evidence(self, entries: Sequence[ZooEntry], subject: Subject) -> Tensor:
        """What speaks for each entry, float64 (n, len(COLUMNS)).

        Raises:
            InputError: the source of an entry was not probed.
        """
        if missing := {self.stand_in(e).id for e in entries} - subject.probes.keys():
            raise InputError(
                f"{sorted(missing)[0]} was not probed on the task; expected a probe of the "
                "largest network of every source that is judged"
            )
        rows = [self._row(entry, subject) for entry in entries]
        return torch.tensor(rows, dtype=torch.float64).view(-1, len(COLUMNS))

    def _row(self, entry: ZooEntry, subject: Subject) -> tuple[float, ...]:
        own = self.stand_in(entry)
        return (
            logit(subject.probes[own.id]),
            float(entry in self.whole),
            float(own == self.base),
            math.log(entry.params / own.params),
            math.log(subject.images / subject.classes),
        )


def logit(accuracy: float) -> float:
    """Log odds of an accuracy in [0, 1], kept ``EDGE`` from its ends."""
    kept = min(max(accuracy, EDGE), 1 - EDGE)
    return math.log(kept / (1 - kept))
