"""What speaks for a network on a task: probes on its images, and facts of the network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tans.errors import InputError
from tans.types import ZooEntry
from tans.zoo.sources import Sources

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


def evidence(sources: Sources, entries: Sequence[ZooEntry], subject: Subject) -> Tensor:
    """What speaks for each entry, float64 (n, len(COLUMNS)).

    Raises:
        InputError: the source of an entry was not probed.
    """
    if missing := {sources.stand_in(e).id for e in entries} - subject.probes.keys():
        raise InputError(
            f"{sorted(missing)[0]} was not probed on the task; expected a probe of the "
            "largest network of every source that is judged"
        )
    rows = [_row(sources, entry, subject) for entry in entries]
    return torch.tensor(rows, dtype=torch.float64).view(-1, len(COLUMNS))


def _row(sources: Sources, entry: ZooEntry, subject: Subject) -> tuple[float, ...]:
    own = sources.stand_in(entry)
    return (
        logit(subject.probes[own.id]),
        float(entry in sources.whole),
        float(own == sources.base),
        math.log(entry.params / own.params),
        math.log(subject.images / subject.classes),
    )


def logit(accuracy: float) -> float:
    """Log odds of an accuracy in [0, 1], kept ``EDGE`` from its ends."""
    kept = min(max(accuracy, EDGE), 1 - EDGE)
    return math.log(kept / (1 - kept))
