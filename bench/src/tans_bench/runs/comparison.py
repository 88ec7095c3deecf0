"""Read a comparison's results: each fine-tune beside the choice that led to it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scipy.stats import t as student

from tans_bench.methods.entrants import get_method
from tans_bench.runs.experiment import Arm
from tans_bench.runs.jobs import proposal_of
from tans_bench.runs.results import Result, Results


@dataclass(frozen=True)
class Cell:
    """What a method gave on a task at one budget."""

    task: str
    method: str
    limits: str
    epochs: int
    choice: Result
    runs: tuple[Result, ...]
    """One for each seed that was run, at least one."""
    imported: bool = False
    """Whether it is a user's own result of a service, which is then named as the method."""

    @property
    def title(self) -> str:
        """As tables and figures show it."""
        return f"{self.method} (imported)" if self.imported else get_method(self.method).title

    @property
    def accuracy(self) -> float:
        """Mean over seeds, in [0, 1]."""
        return statistics.fmean(run["accuracy"] for run in self.runs)

    @property
    def training_s(self) -> float:
        """Seconds of a fine-tune, the least over seeds: what else the machine does only adds."""
        return min(float(run["seconds"]) for run in self.runs)

    @property
    def search_s(self) -> float:
        """Seconds of the choice; NaN where it was not timed."""
        seconds = self.choice["seconds"]
        return math.nan if seconds is None else float(seconds)

    @property
    def total_s(self) -> float:
        """Seconds from the images to the fine-tuned network."""
        return self.search_s + self.training_s


def cells(arms: Iterable[Arm], results: Results) -> list[Cell]:
    """What is stored of some arms, in their order."""
    found = []
    for arm in arms:
        for wanted in arm.choices():
            choice = results.read(wanted.name)
            if choice is None:
                continue
            for epochs in arm.epochs:
                jobs = [
                    arm.finetune(wanted.task, proposal_of(choice), epochs, seed)
                    for seed in arm.seeds
                ]
                runs = tuple(run for job in jobs if (run := results.read(job.name)) is not None)
                if runs:
                    cell = Cell(wanted.task, wanted.method, wanted.limits, epochs, choice, runs)
                    found.append(cell)
    return found


def confidence(values: Sequence[float]) -> float:
    """Half width of the mean's 95 % interval (Student's t); NaN for fewer than two values."""
    if len(values) < 2:
        return math.nan
    spread = statistics.stdev(values) / math.sqrt(len(values))
    return float(student.ppf(0.975, len(values) - 1)) * spread


def percent(value: float, half: float = math.nan) -> str:
    """As in ``87.1 ± 1.2``."""
    return f"{100 * value:.1f}" + ("" if math.isnan(half) else f" ± {100 * half:.1f}")


def averaged(values: Sequence[float], form: str = ".1f", unit: float = 100) -> str:
    """Their mean and its 95 % interval, as in ``87.1 ± 1.2``; the mean alone of a single value."""
    half = confidence(values)
    interval = "" if math.isnan(half) else f" ± {unit * half:{form.lstrip('+')}}"
    return f"{unit * statistics.fmean(values):{form}}{interval}"
