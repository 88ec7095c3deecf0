"""What speaks for a network on a task: probes on its images, and facts of the network."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from tans.errors import InputError
from tans.types import ZooEntry
from tans.zoo.ids import asked_size
from tans.zoo.sources import Sources

COLUMNS = ("probe", "best probe", "resolution", "size")
"""Columns of the evidence: the source's probe as an angle; the best of ``LOOKS`` probes at the
zoo's resolution, which tells how hard the task is; its resolution as doublings of the zoo's; and
the logarithm of its parameters as a share of the source's largest network."""
LOOKS = 7
"""Probes that a search makes, beside published networks: of more, the best is ahead by chance."""
DOUBLINGS = 1.0
"""Of the resolution, that fine-tunes were measured at; more of them count as these."""


def evidence(sources: Sources, entries: Sequence[ZooEntry], probes: Mapping[str, float]) -> Tensor:
    """What speaks for each entry on a task, float64 (n, len(COLUMNS)).

    Args:
        probes: by entry id, the accuracy of a probe on the task's images, in [0, 1].

    Raises:
        InputError: the source of an entry was not probed.
    """
    if missing := {sources.stand_in(e).id for e in entries} - probes.keys():
        raise InputError(
            f"{sorted(missing)[0]} was not probed on the task; expected a probe of the "
            "largest network of every source that is judged"
        )
    usual = sources.base.resolution
    higher = {entry.id for entry in sources.always if entry.resolution > usual}
    higher |= {id for id in probes if (asked_size(id) or usual) > usual}
    best = best_of(LOOKS, [angle(probed) for id, probed in probes.items() if id not in higher])
    rows = [_row(sources, entry, probes, best) for entry in entries]
    return torch.tensor(rows, dtype=torch.float64).view(-1, len(COLUMNS))


def best_of(count: int, values: Sequence[float]) -> float:
    """Mean of the best over all ways to draw so many values; the best where no more are there.

    So the evidence after the few probes of a search means what it does after those of all sources,
    which transfers are measured with. 0 where there are no values.
    """
    if len(values) <= count:
        return max(values, default=0.0)
    ways = [math.comb(below, count - 1) for below in range(len(values))]  # with it as the best
    return sum(map(operator.mul, sorted(values), ways)) / math.comb(len(values), count)


def _row(
    sources: Sources, entry: ZooEntry, probes: Mapping[str, float], best: float
) -> tuple[float, ...]:
    own, usual = sources.stand_in(entry), sources.base.resolution
    return (
        angle(probes[own.id]),
        best,
        min(math.log2(entry.resolution / usual), DOUBLINGS),
        math.log(entry.body_params / own.body_params),
    )


def angle(accuracy: float) -> float:
    """An accuracy in [0, 1] as the angle in [0, pi / 2] whose squared sine it is.

    Few images measure all angles about equally well, while they measure accuracies better towards
    0 and 1, and log odds far worse.
    """
    return math.asin(math.sqrt(min(max(accuracy, 0.0), 1.0)))


def share(angles: Tensor) -> Tensor:
    """Inverse of ``angle``, of angles of any shape; those beyond the ends count as the ends."""
    return angles.clamp(0, math.pi / 2).sin().square()
