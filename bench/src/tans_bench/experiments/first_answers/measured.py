"""What is stored of each task, and how two methods compare on it.

Accuracies are compared in points (1/100). A run that is not stored gives None, never zero.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tans.training import Recipe
from tans_bench.methods.entrants import get_method
from tans_bench.recipes import EPOCHS
from tans_bench.runs.comparison import Cell, cells
from tans_bench.runs.experiment import Arm
from tans_bench.runs.results import Result, Results
from tans_bench.runs.roles import is_sibling

WHOLE = EPOCHS
COMMON = "40M-flops"
"""The limit within which epochs of all methods cost about the same."""
SIZES = ("1M", "2M", "3M")
KINDS = ("siblings", "strangers")
WORDINGS = {
    ("tans", ""): "tans at any cost",
    ("imagenet", "130M-flops"): "ImageNet at 128 px",
    ("imagenet", ""): "ImageNet at 224 px",
}
NOISE = 1.05
"""Times that differ by less count as equal."""
TICK = 0.01
"""Seconds are stored to this."""


@dataclass(frozen=True)
class Contender:
    """A method within limits, and how long its network is fine-tuned."""

    method: str
    limits: str = COMMON
    """One of ``tans_bench.runs.jobs.LIMITS``."""
    epochs: int = WHOLE

    @property
    def title(self) -> str:
        """As tables and figures show it, without the epochs."""
        title = f"{get_method(self.method).title}{f' {self.limits}' if self.sized else ''}"
        return WORDINGS.get((self.method, self.limits), title)

    @property
    def sized(self) -> bool:
        """Whether its limit is one of size."""
        return self.limits in SIZES

    def at(self, epochs: int) -> Contender:
        """The same after other epochs."""
        return replace(self, epochs=epochs)


TANS, IMAGENET, ELASTIC_BASE = (Contender(name) for name in ("tans", "imagenet", "elastic-base"))
RANDOM_HEAD = Contender("imagenet-random-head")


@dataclass(frozen=True)
class Measured:
    """What is stored of one task."""

    name: str
    seeds: tuple[int, ...]
    """That every method is to be run at."""
    cells: Mapping[Contender, Cell]
    runs: Sequence[Result]
    """After the whole length, of every network that was fine-tuned, whatever for."""

    @property
    def kind(self) -> str:
        """One of ``KINDS``."""
        return KINDS[not is_sibling(self.name)]

    def of(self, contender: Contender) -> Sequence[Result]:
        """One run for each seed that was run."""
        return cell.runs if (cell := self.cells.get(contender)) else ()

    def accuracy(self, contender: Contender) -> float | None:
        """Mean over seeds, in points."""
        return mean(100 * run["accuracy"] for run in self.of(contender))

    def gain(self, own: Contender, peer: Contender) -> float | None:
        """Points by which one is better than another, at the seeds that both have."""
        return mean(100 * (x["accuracy"] - y["accuracy"]) for x, y in self._pairs(own, peer))

    def errors(self, own: Contender, peer: Contender) -> float | None:
        """Errors as a multiple of the peer's; None too where that makes none."""
        return self._ratio(own, peer, lambda run: 1 - run["accuracy"])

    def time(self, own: Contender, peer: Contender) -> float | None:
        """Seconds of fine-tuning as a multiple of the peer's."""
        return self._ratio(own, peer, lambda run: run["seconds"])

    def gain_in_time(self, own: Contender, peer: Contender) -> float | None:
        """Points by which one is better, at whatever length, within the seconds of its peer."""
        lengths = [each for each in self.cells if each.at(own.epochs) == own]
        runs = [run for each in lengths for run in self.of(each)]
        return mean(
            _in_time([run for run in runs if run["seed"] == rival["seed"]], rival)
            for rival in self.of(peer)
        )

    def oracle(self, resolution: int | None = None) -> float | None:
        """Best mean over the seeds of every network that was run at all of them, in points."""
        found: dict[tuple[str, bool], list[float]] = {}
        for run in self.runs:
            if run["seed"] in self.seeds and resolution in (None, run["resolution"]):
                own = found.setdefault((run["network"], run["fit_head"]), [])
                own.append(100 * run["accuracy"])
        return max(
            (statistics.fmean(own) for own in found.values() if len(own) == len(self.seeds)),
            default=None,
        )

    def regret(self, contender: Contender, resolution: int | None = None) -> float | None:
        """Points that a method lies below the oracle at a resolution, or at any."""
        own, best = self.accuracy(contender), self.oracle(resolution)
        complete = len(self.of(contender)) == len(self.seeds)
        return best - own if own is not None and best is not None and complete else None

    def _pairs(self, own: Contender, peer: Contender) -> list[tuple[Result, Result]]:
        return [(x, y) for x in self.of(own) for y in self.of(peer) if x["seed"] == y["seed"]]

    def _ratio(
        self, own: Contender, peer: Contender, value: Callable[[Result], float]
    ) -> float | None:
        pairs = self._pairs(own, peer)
        least = sum(value(run) for _, run in pairs)
        return sum(value(run) for run, _ in pairs) / least if least > 0 else None


def _in_time(runs: Sequence[Result], rival: Result) -> float | None:
    """Points over a run within its seconds, between lengths linear in the logarithm of time."""
    runs = sorted(runs, key=lambda run: run["seconds"])
    times = [math.log(max(run["seconds"], TICK)) for run in runs]
    limit = max(rival["seconds"], TICK)
    if not runs or math.log(limit * NOISE) < times[0]:
        return None
    reached = np.interp(math.log(limit), times, [run["accuracy"] for run in runs])
    return 100 * (float(reached) - rival["accuracy"])


def read(arms: Sequence[Arm], results: Results) -> list[Measured]:
    """Every task of some arms, siblings first.

    A network counts at each length it was run for, whichever of the arms asked for it. The first
    arm says which seeds and how many images.
    """
    lengths = tuple({epochs for arm in arms for epochs in arm.epochs})
    found: dict[str, dict[Contender, Cell]] = {task: {} for arm in arms for task in arm.tasks}
    for cell in cells([replace(arm, epochs=lengths) for arm in arms], results):
        found[cell.task][Contender(cell.method, cell.limits, cell.epochs)] = cell
    recipe = {"learning_rate": Recipe.learning_rate, "images": arms[0].images, "epochs": WHOLE}
    tasks = []
    for name, own in found.items():
        runs = [run for run in results.below(f"runs/{name}") if recipe.items() <= run.items()]
        tasks.append(Measured(name, arms[0].seeds, own, runs))
    return sorted(tasks, key=lambda task: (task.kind, task.name))


def of_kind(tasks: Sequence[Measured], kind: str) -> list[Measured]:
    """Those of one of ``KINDS``, or all."""
    return [task for task in tasks if kind in ("all", task.kind)]


def kinds(tasks: Sequence[Measured]) -> list[str]:
    """The kinds that occur, and all of them where they are several."""
    found = [kind for kind in KINDS if of_kind(tasks, kind)]
    return [*found, "all"] if len(found) > 1 else found


def known(values: Iterable[float | None]) -> list[float]:
    """Those that were measured."""
    return [value for value in values if value is not None]


def mean(values: Iterable[float | None]) -> float | None:
    """Mean of those that were measured; None where none was."""
    measured = known(values)
    return statistics.fmean(measured) if measured else None
