"""The whole time from a folder of images to a fine-tuned network, and what it goes into."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from tans.export.finetuned import save_finetuned
from tans.search import search
from tans.tasks.splits import SPLITS
from tans.tasks.task import Task
from tans.workflow import finetune_entry
from tans_bench.recipes import EPOCHS
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Drawing, Plot, Table, canvas
from tans_bench.runs.experiment import Experiment
from tans_bench.runs.results import Result, Results

TASKS = ("script-greek", "icons-apps", "fashion-mnist", "ufoai-textures")
PIXELS = 128
"""Pixels a side of the image files."""
STEPS = {
    "read": "read the images",
    "embed": "embed the task",
    "search": "search",
    "look": "second look",
    "finetune": "fine-tune",
    "export": "write the network",
}


@dataclass(frozen=True)
class Whole:
    """Write a task as image files; then read, search, fine-tune and export, as a user does."""

    task: str
    images: int
    """Training images of the task, at most."""

    @property
    def name(self) -> str:
        return f"whole/{self.task}-n{self.images}"

    def done(self, bench: Bench) -> bool:
        stored = bench.results.read(self.name)
        return stored is not None and stored["zoo"] == bench.digest

    def run(self, bench: Bench) -> Result:
        with tempfile.TemporaryDirectory() as folder:
            files = _write(bench.tasks(self.task, self.images), Path(folder, "images"))
            began = time.perf_counter()
            task = Task.from_folder(Path(folder, "images"), name=self.task)
            read_s = time.perf_counter() - began
            # the limit keeps epochs comparable between tasks; see ``tans_bench.runs.jobs.LIMITS``
            found = search(task, bench.zoo, max_flops=40e6)
            entry = bench.zoo.entry(found[0].id)
            tuned = finetune_entry(task, bench.zoo, entry)
            ended = time.perf_counter()
            save_finetuned(Path(folder, "tuned"), tuned, task)
            seconds = {
                "read": read_s,
                "embed": found.embedding_s,
                "search": found.search_s,
                "look": found.look_s,
                "finetune": tuned.seconds,
                "export": time.perf_counter() - ended,
                "whole": time.perf_counter() - began,
            }
        return {
            "task": self.task,
            "zoo": bench.digest,
            "files": files,
            "network": entry.id,
            "accuracy": tuned.test_accuracy,
            "seconds": {step: round(value, 4) for step, value in seconds.items()},
        }


def _write(task: Task, folder: Path) -> int:
    """Every image as a PNG in split/class/; return how many."""
    count = 0
    for split in SPLITS:
        images, labels = task.split(split, PIXELS)
        for image, label in zip(images, labels.tolist(), strict=True):
            path = folder / split / f"{label:02d}" / f"{count:05d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.permute(1, 2, 0).contiguous().numpy()).save(path)
            count += 1
    return count


@dataclass(frozen=True)
class Wholes:
    """A plan of some tasks."""

    tasks: tuple[str, ...]
    images: int = 300

    def all(self) -> list[Whole]:
        """One for each task."""
        return [Whole(task, self.images) for task in self.tasks]

    def jobs(self, bench: Bench) -> Sequence[Whole]:
        del bench  # all can be named at once
        return self.all()

    def scaled(self, preset: str) -> Wholes:
        """With twice the images on a GPU."""
        return self if preset == "cpu" else replace(self, images=2 * self.images)


def draw(plan: Wholes, results: Results) -> Sequence[Drawing]:
    stored = [results.read(job.name) for job in plan.all()]
    found = [run for run in stored if run is not None]
    return [_table(found), _figure(found)] if found else []


def _table(found: Sequence[Result]) -> Table:
    rows = [
        [
            run["task"],
            str(run["files"]),
            *(f"{100 * run['seconds'][step] / run['seconds']['whole']:.1f}" for step in STEPS),
            f"{run['seconds']['whole']:.1f}",
            f"{run['seconds']['search']:.3f}",
        ]
        for run in found
    ]
    caption = (
        f"Share of each step in the whole time in %, for folders of PNG files of {PIXELS} pixels a "
        f"side and {EPOCHS} epochs of fine-tuning; last the seconds of the whole, and of "
        "the search alone, which is what the paper counts as search time."
    )
    columns = ("task", "files", *STEPS.values(), "whole (s)", "search alone (s)")
    return Table("shares", caption, columns, rows)


def _figure(found: Sequence[Result]) -> Plot:
    figure = canvas(6.5, 0.4 * len(found) + 1)
    axis = figure.subplots()
    names = [run["task"] for run in found]
    left = [0.0] * len(found)
    for place, (step, title) in enumerate(STEPS.items()):
        values = [run["seconds"][step] for run in found]
        axis.barh(names, values, left=left, label=title, color=f"C{place}")
        left = [a + b for a, b in zip(left, values, strict=True)]
    axis.invert_yaxis()
    axis.set_xlabel("seconds")
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=7)
    return Plot("seconds", "Seconds from a folder of images to a network in a file.", figure)


EXPERIMENT = Experiment(
    name="whole",
    title="The whole time, from a folder to a network",
    question="A search takes milliseconds; how long does a user wait in all, and for what?",
    plan=Wholes(TASKS),
    drawn=draw,
)
