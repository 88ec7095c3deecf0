"""A generalist as where to begin: one network that learnt all train tasks at once.

Compared with ImageNet's network and the elastic base on the judge's cells. For strangers a
generalist learns without all families that are kin of any of them.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

from safetensors.torch import load_file, save_file

from tans.build.generalist import GeneralistSettings, train_generalist
from tans.files import cache_dir, replacing
from tans.networks.network import Network, without_head
from tans.tasks.splits import TRAIN
from tans.training import finetune
from tans_bench.experiments.judged import field
from tans_bench.experiments.judged.jobs import TUNED, Cell, Tuned, recipe_of
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Drawing, Table
from tans_bench.runs.experiment import Experiment, Fixed
from tans_bench.runs.judge import SEEDS
from tans_bench.runs.results import LINES, Result, Results
from tans_bench.runs.roles import prepared
from tans_bench.sources.registry import sources

RUNS = "generalist"
STEPS, SIZE = 1110, 64
"""Of its training, and pixels a side of the fine-tunes."""
RECIPE = "deep"
"""That all were fine-tuned by, so that a run that is made again can stand beside them."""
KEEPS = (1.0, 0.1)
"""How much staying near ImageNet's features counts."""
RIVALS = {"ImageNet": field.LITE0, "elastic base": field.BASE}
KIN = frozenset().union(*field.KIN.values())


@dataclass(frozen=True)
class Trial:
    """Fine-tune a generalist on a cell."""

    task: str
    seed: int
    keep: float
    """One of ``KEEPS``."""

    @property
    def name(self) -> str:
        return f"{RUNS}{LINES}/{self.task}-s{self.seed}-{self.keep}"

    def done(self, bench: Bench) -> bool:
        return bench.results.find(RUNS, asdict(self)) is not None

    def run(self, bench: Bench) -> Result:
        cell = Cell(self.task, self.seed)
        task = cell.read(bench)
        recipe = recipe_of(Tuned(cell, RUNS, SIZE, recipe=RECIPE), task.split_sizes[TRAIN])
        network = generalist(self.task in field.STRANGERS, self.keep, bench)
        tuned = finetune(network, task, recipe=recipe)
        return {
            **asdict(self),
            "accuracy": round(tuned.test_accuracy, 5),
            "test_images": int(tuned.confusion.sum()),
            "seconds": round(tuned.seconds, 2),
        }


def generalist(stranger: bool, keep: float, bench: Bench) -> Network:
    """ImageNet's network after learning all train tasks, or those that are kin of no stranger."""
    network = field.load(field.LITE0, SIZE, bench.zoo)
    network.load_weights(load_file(generalist_file(stranger, keep, bench)), strict=False)
    return network


def generalist_file(stranger: bool, keep: float, bench: Bench) -> Path:
    """File of its body's weights, trained once."""
    settings = GeneralistSettings(steps=STEPS, keep=keep)
    name = f"{'strangers' if stranger else 'siblings'}-{keep}-{STEPS}"
    file = cache_dir("generalists") / f"{name}.safetensors"
    if not file.exists():
        names = [
            source.name
            for source in sources()
            if source.role == "train" and not (stranger and source.family in KIN)
        ]
        network = field.load(field.LITE0, SIZE, bench.zoo)
        checkpoint = file.with_suffix(".checkpoint")
        tasks = [prepared(name) for name in names]
        train_generalist(network, tasks, settings, checkpoint=checkpoint)
        with replacing(file) as fresh:
            save_file(without_head(network.weights()), fresh)
        checkpoint.unlink(missing_ok=True)
    return file


def draw(plan: Fixed, results: Results) -> Sequence[Drawing]:
    del plan  # whatever is stored
    own = {(r["task"], r["seed"], r["keep"]): r["accuracy"] for r in results.lines(RUNS)}
    if not own:
        return []
    rivals = {
        (run["task"], run["seed"], run["network"]): run["accuracy"]
        for run in results.lines(TUNED)
        if (run["images"], run["size"], run["steps"], run["recipe"])
        == (field.IMAGES, SIZE, field.STEPS, RECIPE)
    }
    rows = []
    for (kind, tasks), keep in product(field.KINDS.items(), KEEPS):
        cells = {t: [s for s in SEEDS if (t, s, keep) in own] for t in tasks}
        gains = [_gain(own, rivals, cells, keep, network) for network in RIVALS.values()]
        rows.append([kind, f"{keep:g}", str(sum(map(len, cells.values()))), *gains])
    devices = ", ".join(sorted({run["card"] for run in results.lines(RUNS)}))
    caption = (
        f"A trial: points of a generalist of {STEPS} steps over others, paired by task and seed: "
        f"mean over tasks, and its standard error. {field.IMAGES} training images, {field.STEPS} "
        f"steps, {SIZE} pixels. Measured on {devices}."
    )
    columns = ("tasks", "stays near, weight", "runs", *(f"over {name}" for name in RIVALS))
    return [Table("gains", caption, columns, rows)]


def _gain(
    own: Mapping[tuple[str, int, float], float],
    rivals: Mapping[tuple[str, int, str], float],
    cells: Mapping[str, Sequence[int]],
    keep: float,
    network: str,
) -> str:
    apart = [
        statistics.fmean(
            100 * (own[task, seed, keep] - rivals[task, seed, network])
            for seed in seeds
            if (task, seed, network) in rivals
        )
        for task, seeds in cells.items()
        if any((task, seed, network) in rivals for seed in seeds)
    ]
    if len(apart) < 2:
        return ""
    return f"{statistics.fmean(apart):+.1f} ± {statistics.stdev(apart) / len(apart) ** 0.5:.1f}"


EXPERIMENT = Experiment(
    name="generalist",
    title="A generalist as where to begin",
    question=(
        "Is a network that learnt all train tasks at once, held near ImageNet's features, a better "
        "place to begin than ImageNet's network, or than the elastic base?"
    ),
    plan=Fixed(tuple(Trial(*cell) for cell in product(field.TASKS, SEEDS, KEEPS))),
    drawn=draw,
)
