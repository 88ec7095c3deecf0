"""How far the order of a supernet's slices can be trusted: subnets fine-tuned one by one.

A zoo's accuracies are those of slices of one supernet. Here subnets are cut from the elastic base
instead and fine-tuned alone, on the images and for the epochs that the supernet had, and judged on
the same test images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from scipy.stats import spearmanr

from tans.build.engine import BuildSettings
from tans.training import finetune
from tans.types import ZooEntry
from tans.zoo.zoo import IMAGENET, Zoo
from tans_bench.methods.onceforall import base_of
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Drawing, Plot, Table, canvas
from tans_bench.runs.experiment import Experiment
from tans_bench.runs.results import LINES, Result, Results

RUNS = "slices"


@dataclass(frozen=True)
class Alone:
    """Fine-tune the architecture of a stored slice by itself."""

    slice: ZooEntry

    @property
    def task(self) -> str:
        return self.slice.task

    @property
    def name(self) -> str:
        return f"{RUNS}{LINES}/{self.slice.id}"

    @property
    def _key(self) -> Result:
        return {"task": self.task, "architecture": self.slice.ref.name}

    def done(self, bench: Bench) -> bool:
        return bench.results.find(RUNS, self._key) is not None

    def run(self, bench: Bench) -> Result:
        task, zoo, settings = bench.tasks(self.task, None), bench.zoo, BuildSettings()
        limit = settings.images_per_task
        epochs = settings.epochs(len(task.split("train", zoo.resolution, limit)[1]))
        network = zoo.load_network(self.slice.ref, base_of(zoo), IMAGENET)
        recipe = replace(settings.recipe, epochs=epochs, fit_head=False)
        tuned = finetune(network, task, recipe=recipe, limit=limit)
        return {
            **self._key,
            "params": self.slice.body_params,
            "epochs": epochs,
            "slice": self.slice.accuracy,
            "alone": tuned.test_accuracy,
            "seconds": round(tuned.seconds, 1),
        }


@dataclass(frozen=True)
class Slices:
    """A plan: some of each task's subnets."""

    tasks: tuple[str, ...]
    subnets: int

    def jobs(self, bench: Bench) -> Sequence[Alone]:
        return [Alone(entry) for task in self.tasks for entry in self._spread(bench.zoo, task)]

    def scaled(self, preset: str) -> Slices:
        del preset
        return self

    def _spread(self, zoo: Zoo, task: str) -> list[ZooEntry]:
        """Subnets of a task at equal steps from its smallest to its largest."""
        own = sorted(zoo.entries(task=task, vectors=False), key=lambda e: e.body_params)
        steps = range(self.subnets) if own else ()
        return [own[round(k * (len(own) - 1) / (self.subnets - 1))] for k in steps]


def draw(plan: Slices, results: Results) -> Sequence[Drawing]:
    stored = results.lines(RUNS)
    found = {task: [run for run in stored if run["task"] == task] for task in plan.tasks}
    found = {task: runs for task, runs in found.items() if len(runs) > 1}
    return [_table(found), _figure(found)] if found else []


def _table(found: dict[str, list[Result]]) -> Table:
    rows = []
    for task, runs in found.items():
        slices, alone, params = ([run[key] for run in runs] for key in ("slice", "alone", "params"))
        ranks = [spearmanr(values, alone).statistic for values in (slices, params)]
        means = [100 * sum(values) / len(values) for values in (slices, alone)]
        numbers = [*(f"{mean:.1f}" for mean in means), *(f"{rank:.2f}" for rank in ranks)]
        rows.append([task, str(len(runs)), *numbers])
    caption = (
        "Test accuracy of a supernet's slices against the same architectures fine-tuned alone."
    )
    columns = (
        *("task", "subnets", "mean slice", "mean alone"),
        *("Spearman, slices", "Spearman, parameters"),
    )
    return Table("slices", caption, columns, rows)


def _figure(found: dict[str, list[Result]]) -> Plot:
    figure = canvas(5, 4.5)
    axes = figure.subplots()
    for task, runs in found.items():
        slices, alone = ([100 * run[key] for run in runs] for key in ("slice", "alone"))
        axes.scatter(slices, alone, label=task)
    axes.set(xlabel="slice of the supernet (%)", ylabel="fine-tuned alone (%)")
    axes.axline((50, 50), slope=1, color="grey", linewidth=0.8)
    axes.legend()
    return Plot(
        "slices", "Slices of supernets, and the same architectures fine-tuned alone.", figure
    )


EXPERIMENT = Experiment(
    name="slices",
    title="Slices of a supernet against networks fine-tuned alone",
    question="How far can the order of a supernet's slices be trusted?",
    plan=Slices(("emoji-twitter", "script-ethiopic"), subnets=10),
    drawn=draw,
)
