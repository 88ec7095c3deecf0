"""What tans should reach, and whether it does."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from tans_bench.experiments.first_answers.measured import (
    ELASTIC_BASE,
    IMAGENET,
    RANDOM_HEAD,
    SIZES,
    TANS,
    WHOLE,
    Contender,
    Measured,
    known,
    mean,
    of_kind,
)
from tans_bench.experiments.first_answers.tables import (
    LENGTHS,
    LONG,
    NEAR,
    NONE,
    RESOLUTION,
    length,
)
from tans_bench.runs.comparison import averaged
from tans_bench.runs.drawing import Table

RIVALS = (
    *("imagenet", "imagenet-random-head", "elastic-base", "nearest-dataset", "best-on-average"),
    *("largest", "random", "logme", "probe"),
)
"""What a user could take instead."""
Figure = Callable[[Measured], float | None]
Bound = tuple[str, Figure, str, float]
"""Wording, figure, rule and bound of a target."""
RULES = {"at most": operator.le, "at least": operator.ge, "more than": operator.gt}


@dataclass(frozen=True)
class Target:
    """A bound on a figure's mean over tasks."""

    kind: str
    """Siblings, strangers, or all."""
    wording: str
    figure: Figure
    rule: str
    """One of ``RULES``."""
    bound: float

    def meets(self, value: float) -> bool:
        """Whether a figure, or the mean of some, is within the bound."""
        return RULES[self.rule](value, self.bound)

    def row(self, tasks: Sequence[Measured]) -> list[str]:
        """Bound, what was found, whether it is met and by how much."""
        values = [self.figure(task) for task in of_kind(tasks, self.kind)]
        measured = known(values)
        missing = len(values) - len(measured)
        found = averaged(measured, ".2f", 1) if measured else NONE
        meeting = f"{sum(map(self.meets, measured))} of {len(measured)}"
        rule = f"{self.rule} {self.bound:g}"
        verdict = self.verdict(mean(values), missing)
        return [self.kind, self.wording, rule, found, verdict, meeting, str(missing)]

    def verdict(self, found: float | None, missing: int) -> str:
        """Yes or no, and by how much; open while tasks are missing, which may be the bad ones."""
        if found is None:
            return "not measured"
        text = f"{'yes' if self.meets(found) else 'no'}, by {abs(found - self.bound):.2f}"
        if missing:
            return f"open (so far {text})"
        return text if self.meets(found) else f"**{text}**"


def verdicts(name: str, tasks: Sequence[Measured]) -> Table:
    """A row for each target on tasks that there are."""
    caption = (
        "Found: mean over tasks with its 95 % interval; all seeds that both networks have, "
        f"{length(WHOLE)} unless it says otherwise."
    )
    columns = ("tasks", "of tans", "target", "found", "met", "tasks that meet it", "not measured")
    rows = [target.row(tasks) for target in _targets(tasks) if of_kind(tasks, target.kind)]
    return Table(name, caption, columns, rows)


def _targets(tasks: Sequence[Measured]) -> list[Target]:
    """The strongest baseline is found among these tasks."""
    best, whole = _strongest(tasks), length(WHOLE)
    share, over = "errors as a share of ImageNet's", "points over the"
    siblings: list[Bound] = [
        *((f"{share}, {length(n)}", _errors(IMAGENET, n), "at most", 0.5) for n in LENGTHS),
        (f"{share} from a random head, {whole}", _errors(RANDOM_HEAD), "at most", 0.5),
        (
            f"points after {whole} over ImageNet after {LONG}",
            _gain(IMAGENET.at(LONG)),
            "at least",
            0,
        ),
        (f"{over} elastic base", _gain(ELASTIC_BASE), "at least", 1),
    ]
    strangers: list[Bound] = [
        (f"{over} better of ImageNet and the elastic base", _over_both, "at least", -NEAR)
    ]
    every: list[Bound] = [
        *(bound for size in SIZES for bound in _within(size)),
        (f"{over} strongest baseline ({best.title})", _gain(best), "more than", 0),
        (f"regret to the oracle at {RESOLUTION} px", _regret(RESOLUTION), "at most", 2),
        ("regret to the oracle at any resolution", _regret(None), "at most", 2),
    ]
    by_kind = {"siblings": siblings, "strangers": strangers, "all": every}
    return [Target(kind, *bound) for kind, bounds in by_kind.items() for bound in bounds]


def _within(size: str) -> list[Bound]:
    """tans beside the ImageNet slice of a size, at equal epochs and at equal seconds."""
    own, peer = (replace(each, limits=size) for each in (TANS, ELASTIC_BASE))
    start = f"points over the elastic base's slice within {size} parameters, equal"
    in_time = partial(Measured.gain_in_time, own=own, peer=peer)
    return [
        (f"{start} epochs", _gain(peer, own), "more than", 0),
        (f"{start} seconds", in_time, "more than", 0),
    ]


def _errors(peer: Contender, epochs: int = WHOLE) -> Figure:
    return partial(Measured.errors, own=TANS.at(epochs), peer=peer.at(epochs))


def _gain(peer: Contender, own: Contender = TANS) -> Figure:
    return partial(Measured.gain, own=own, peer=peer)


def _regret(resolution: int | None) -> Figure:
    return partial(Measured.regret, contender=TANS, resolution=resolution)


def _over_both(task: Measured) -> float | None:
    """Points over the better of ImageNet and the elastic base, where both were run."""
    gains = known(task.gain(TANS, peer) for peer in (IMAGENET, ELASTIC_BASE))
    return min(gains) if len(gains) == 2 else None


def _strongest(tasks: Sequence[Measured]) -> Contender:
    """The baseline that leaves tans the least gain, on the tasks that both have."""

    def least(contender: Contender) -> float:
        found = mean(map(_gain(contender), tasks))
        return math.inf if found is None else found

    return min(map(Contender, RIVALS), key=least)
