"""How to fine-tune few images: learning rates, and a fitted against a random head.

On train tasks, from the ImageNet network and the best-probed source of the zoo. What wins here is
the default of every fine-tune, of the baselines too.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product

from tans.training import finetune
from tans.types import ZooEntry
from tans.zoo.sources import Sources
from tans.zoo.zoo import Zoo
from tans_bench.recipes import plain
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Drawing, Table
from tans_bench.runs.experiment import Experiment, Fixed
from tans_bench.runs.results import LINES, Result, Results

RUNS = "recipes"
TASKS = ("clipart", "flags", "icons-places", "script-latin-small", "textile")
IMAGES = 300
"""Training images of a task, at most."""
RATES = (0.003, 0.01, 0.03)
GRID = (
    *((5, rate, fitted) for rate in RATES for fitted in (True, False)),
    (10, RATES[-1], True),
)
"""Epochs, learning rate, and whether the head is fitted before."""
IMAGENET, PROBED = NETWORKS = ("ImageNet", "best-probed source")
NONE = "–"  # noqa: RUF001


@dataclass(frozen=True)
class Trial:
    """Fine-tune one network by one recipe."""

    task: str
    network: str
    """One of ``NETWORKS``."""
    epochs: int
    rate: float
    fit_head: bool

    @property
    def name(self) -> str:
        head = "fitted" if self.fit_head else "random"
        return f"{RUNS}{LINES}/{self.task}-{self.network}-e{self.epochs}-r{self.rate:g}-{head}"

    def done(self, bench: Bench) -> bool:
        return bench.results.find(RUNS, asdict(self)) is not None

    def run(self, bench: Bench) -> Result:
        task, zoo = bench.tasks(self.task, IMAGES), bench.zoo
        whole = Sources.of(zoo).whole[0]
        entry = whole if self.network == IMAGENET else _best_probed(zoo, self.task)
        recipe = plain(self.epochs, learning_rate=self.rate, fit_head=self.fit_head)
        network = zoo.load(entry.id, len(task.classes))
        tuned = finetune(network, task, entry.resolution, recipe)
        return {**asdict(self), "source": entry.task, "accuracy": tuned.test_accuracy}


def _best_probed(zoo: Zoo, task: str) -> ZooEntry:
    """Of the other tasks' largest networks, the one with the best stored probe on this task."""
    found = [t for t in zoo.transfers(newest=True) if t.target == task and not t.epochs]
    probes = {transfer.source: transfer.accuracy for transfer in found}
    others = [e for name, e in Sources.of(zoo).largest.items() if name != task]
    return max(others, key=lambda e: probes.get(e.id, 0.0))


def draw(plan: Fixed, results: Results) -> Sequence[Drawing]:
    del plan  # whatever is stored
    runs = results.lines(RUNS)
    kinds = dict.fromkeys((epochs, fitted) for epochs, _, fitted in GRID)
    rows = [
        [
            network,
            str(epochs),
            "fitted" if fitted else "random",
            *(_mean(runs, Trial("", network, epochs, rate, fitted)) for rate in RATES),
        ]
        for network, (epochs, fitted) in product(NETWORKS, kinds)
    ]
    caption = (
        f"Test accuracy in % on {IMAGES} training images, mean over {', '.join(TASKS)}, one seed. "
        "A dash is what the grid leaves out."
    )
    columns = ("network", "epochs", "head", *(f"rate {rate}" for rate in RATES))
    return [Table("accuracy", caption, columns, rows)] if runs else []


def _mean(runs: Sequence[Result], trial: Trial) -> str:
    """Mean over tasks, a dash while one is missing."""
    key = {name: value for name, value in asdict(trial).items() if name != "task"}
    found = {run["task"]: run["accuracy"] for run in runs if key.items() <= run.items()}
    return f"{100 * statistics.fmean(found.values()):.1f}" if len(found) == len(TASKS) else NONE


EXPERIMENT = Experiment(
    name="recipes",
    title="Learning rates, and the head",
    question=(
        "How are few images best fine-tuned on: at which learning rate, and from a head that is "
        "fitted to frozen features or from a random one?"
    ),
    plan=Fixed(
        tuple(
            Trial(task, network, *recipe)
            for task, network, recipe in product(TASKS, NETWORKS, GRID)
        )
    ),
    drawn=draw,
)
