"""Figure 4: images of unseen tasks beside images of the tasks that were retrieved for them."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image
from torch import Tensor

from tans.zoo.zoo import IMAGENET
from tans_bench.runs.bench import Bench
from tans_bench.runs.comparison import cells
from tans_bench.runs.drawing import Drawing, Plot, Table, canvas
from tans_bench.runs.experiment import Arm, Experiment
from tans_bench.runs.jobs import Choose, Job
from tans_bench.runs.results import Result, Results
from tans_bench.runs.roles import FIRST_DEV, FORMERLY_SEALED

METHOD, RIVAL, EPOCHS = "tans-embeddings", "imagenet", 10
"""The gain that tells good cases from bad ones is of the first over the second."""
SHOWN = 8
"""Images of a task."""


@dataclass(frozen=True)
class Show:
    """Keep some images of a task and of the source that was retrieved for it."""

    task: str
    source: str
    images: int
    """Training images of the task, at most."""

    @property
    def name(self) -> str:
        return f"pictures/{self.task}/{self.source}-n{self.images}"

    def done(self, bench: Bench) -> bool:
        return bench.results.read(self.name) is not None

    def run(self, bench: Bench) -> Result:
        task, source = bench.tasks(self.task, self.images), bench.zoo.task(self.source)
        own = None if self.source == IMAGENET else bench.zoo.thumbnails(self.source)
        return {
            "task": self.task,
            "source": self.source,
            "query": _strip(task.thumbnails()) if _shareable(task.card.licence) else None,
            "retrieved": None if own is None else _strip(own),
            "licences": [task.card.licence, source.card["licence"]],
        }


def _shareable(licence: str) -> bool:
    """Whether its images may go wherever these pictures go, into a product too."""
    return "-NC" not in licence.upper()


def _strip(thumbnails: Tensor) -> str:
    """A WebP in base 64 of some of the thumbnails, uint8 (64, 3, 64, 64), side by side."""
    some = thumbnails[:: len(thumbnails) // SHOWN][:SHOWN]  # (SHOWN, 3, 64, 64)
    pixels = some.permute(2, 0, 3, 1).flatten(1, 2).contiguous().numpy()  # (64, SHOWN * 64, 3)
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", quality=85)
    return base64.b64encode(buffer.getvalue()).decode()


@dataclass(frozen=True)
class Shown:
    """A plan: retrieve a source for each task, and keep images of both."""

    arm: Arm

    def jobs(self, bench: Bench) -> Sequence[Job]:
        choices = [choice for choice in self.arm.choices() if choice.method == METHOD]
        return [*choices, *(show for c in choices if (show := _show(c, bench.results)))]

    def scaled(self, preset: str) -> Shown:
        return Shown(self.arm.scaled(preset))


def _show(choice: Choose, results: Results) -> Show | None:
    """What follows from a choice that was made."""
    stored = results.read(choice.name)
    return Show(choice.task, stored["source"], choice.images) if stored else None


def draw(plan: Shown, results: Results) -> Sequence[Drawing]:
    accuracy = {(c.task, c.method): c.accuracy for c in cells([plan.arm], results)}
    found = []
    for choice in plan.arm.choices():
        show = _show(choice, results) if choice.method == METHOD else None
        if show is not None and (stored := results.read(show.name)):
            own, rival = (accuracy.get((choice.task, m)) for m in (METHOD, RIVAL))
            gain = None if own is None or rival is None else 100 * (own - rival)
            found.append((gain, stored))
    found.sort(key=lambda pair: math.inf if pair[0] is None else -pair[0])
    return [_figure(found), _table(found)] if found else []


def _figure(found: Sequence[tuple[float | None, Result]]) -> Plot:
    figure = canvas(6.2, 0.53 * len(found) + 0.3)
    axes = figure.subplots(len(found), 2, squeeze=False)
    for row, (gain, stored) in zip(axes, found, strict=True):
        for axis, strip in zip(row, (stored["query"], stored["retrieved"]), strict=True):
            axis.set_axis_off()
            if strip is None:
                axis.text(0, 0.4, "(not shown)", size=7, color="0.5", transform=axis.transAxes)
            else:
                axis.imshow(np.asarray(Image.open(BytesIO(base64.b64decode(strip)))))
        written = "" if gain is None else f" ({gain:+.1f})"
        row[0].set_title(stored["task"], fontsize=7, loc="left", pad=2)
        row[1].set_title(f"{stored['source']}{written}", fontsize=7, loc="left", pad=2)
    caption = (
        "Left: images of an unseen task. Right: images of the source whose network the embeddings "
        f"retrieve, and its points over ImageNet after {EPOCHS} epochs, best cases first. Images "
        "whose licence forbids commercial use are not shown, and ImageNet's are not here."
    )
    return Plot("queries", caption, figure)


def _table(found: Sequence[tuple[float | None, Result]]) -> Table:
    rows = [[s["task"], s["source"], *s["licences"]] for _, s in found]
    columns = ("task", "retrieved", "licence of its images", "licence of the retrieved ones")
    return Table("licences", "Where the images come from, by their packages.", columns, rows)


EXPERIMENT = Experiment(
    name="queries",
    title="Queries and what is retrieved for them (Figure 4)",
    question="Are the retrieved tasks like the unseen ones, and does it pay?",
    plan=Shown(Arm((METHOD, RIVAL), (*FIRST_DEV, *FORMERLY_SEALED), (EPOCHS,))),
    drawn=draw,
)
