"""How long it takes to read a folder of photographs, and the images of a look."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from tans_bench.runs.drawing import Drawing
from tans_bench.runs.experiment import Experiment
from tans_bench.runs.results import Results
from tans_bench.runs.turns import Timed, Turns, table
from tans_bench.studies.scripts import read_folder

IMAGES, CLASSES = 1500, 5
SIZE = (640, 480)


def photographs(folder: Path, count: int = IMAGES) -> None:
    """Random smooth pictures with a little grain, as a camera makes them, in JPEG."""
    drawn = np.random.default_rng(0)
    for number in range(count):
        coarse = drawn.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        smooth = np.asarray(Image.fromarray(coarse).resize(SIZE, Image.Resampling.BICUBIC))
        grain = drawn.integers(-8, 9, smooth.shape)
        picture = Image.fromarray((smooth + grain).clip(0, 255).astype(np.uint8))
        path = folder / f"class {number % CLASSES}" / f"{number}.jpg"
        path.parent.mkdir(exist_ok=True)
        picture.save(path, quality=90)


def draw(plan: Turns, results: Results) -> Sequence[Drawing]:
    stored = results.read(plan.timed.name)
    if stored is None:
        return []
    caption = (
        f"Median seconds of {stored['rounds']} rounds: {IMAGES} photographs of {SIZE[0]} by "
        f"{SIZE[1]} pixels read as a task, and the {read_folder.LOOK} training images of a look at "
        "each resolution."
    )
    return [table(stored, caption)]


EXPERIMENT = Experiment(
    name="reading",
    title="Seconds of reading photographs",
    question=(
        "How long does a folder of photographs take to be read, and the images of a look? With "
        "`--against PATH`, the `src` of an earlier checkout takes turns."
    ),
    plan=Turns(Timed("reading", Path(read_folder.__file__), photographs, rounds=5)),
    drawn=draw,
)
