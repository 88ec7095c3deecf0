"""How long `tans zoo build` takes on two tiny datasets."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from tans_bench.runs.drawing import Drawing
from tans_bench.runs.experiment import Experiment
from tans_bench.runs.results import Result, Results
from tans_bench.runs.turns import Timed, Turns, table
from tans_bench.studies.scripts import build_zoo

DATASETS, CLASSES, IMAGES, SIDE = ("first", "second"), 3, 12, 96
BY_OPTIONS = "as it is"
"""In files that hold several ways to build, the one without options."""


def datasets(folder: Path) -> None:
    """Ellipses, boxes and triangles of any colour and place."""
    for name in DATASETS:
        drawn = random.Random(name)
        for number in range(CLASSES * IMAGES):
            path = folder / name / f"class {number % CLASSES}" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            _figure(drawn, number % CLASSES).save(path)


def _figure(drawn: random.Random, label: int) -> Image.Image:
    image = Image.new("RGB", (SIDE, SIDE), tuple(drawn.randrange(100, 256) for _ in "rgb"))
    ink, colour = ImageDraw.Draw(image), tuple(drawn.randrange(100) for _ in "rgb")
    x, y = drawn.randrange(10, 40), drawn.randrange(10, 40)
    corners = [(x, y), (x + 40, y), (x + 20, y + 40)]
    shape = corners if label == 2 else (x, y, x + 40, y + 40)
    (ink.ellipse, ink.rectangle, ink.polygon)[label](shape, fill=colour)
    return image


def draw(plan: Turns, results: Results) -> Sequence[Drawing]:
    stored = results.read(plan.timed.name)
    if stored is None:
        return []
    stored = _by_step(stored)
    caption = (
        f"Median seconds of {stored['rounds']} rounds of `tans zoo build` on {len(DATASETS)} "
        f"datasets of {CLASSES} classes with {IMAGES} images each."
    )
    return [table(stored, caption)]


def _by_step(stored: Result) -> Result:
    """The result as ``Timed`` gives it, of a file by options that has one number a version too."""
    if BY_OPTIONS not in stored:
        return stored
    told = dict(stored[BY_OPTIONS])
    told["seconds"] = {version: {"whole": each} for version, each in told["seconds"].items()}
    return {**told, "times_as_fast": {"whole": told.get("times_as_fast")}}


EXPERIMENT = Experiment(
    name="building",
    title="Seconds of building a zoo",
    question=(
        "How long does `tans zoo build` take on two tiny datasets? With `--against PATH`, the "
        "`src` of an earlier checkout takes turns."
    ),
    plan=Turns(Timed("building", Path(build_zoo.__file__), datasets, rounds=3)),
    drawn=draw,
)
