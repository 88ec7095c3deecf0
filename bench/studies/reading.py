"""How long it takes to read a folder of photographs, and the images of a look at each resolution.

    python bench/studies/reading.py [--against PATH] [--images N] [--rounds N]

Draws smooth pictures as JPEG files of 640 by 480 pixels in five class folders. A round is a process
of its own, which reads the folder as a task and then takes the 300 training images of a look at 64,
96, 128, 160 and 224 pixels. With ``--against``, the ``src`` of an earlier checkout takes turns with
this one. ``results/reading.json`` has the median seconds of each, and how many times as fast this
source is.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from common import BEFORE, NOW, RESULTS, SOURCE, Line, commit, environment, in_turns
from tans.tasks.task import Task

RESOLUTIONS = (64, 96, 128, 160, 224)
LOOK = 300
"""Training images of a look."""
CLASSES = 5
SIZE = (640, 480)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", type=Path, help="src of an earlier checkout")
    parser.add_argument("--images", type=int, default=1500)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)  # read it once, and stop
    given = parser.parse_args()
    if given.folder:
        print(json.dumps(_read(given.folder)))
        return
    with tempfile.TemporaryDirectory() as folder:
        _draw(Path(folder), given.images)
        arguments = ["--folder", folder]
        rounds = in_turns(__file__, arguments, given.against, given.rounds)
    versions = {name: _medians(each) for name, each in rounds.items()}
    result = {
        "images": given.images,
        "rounds": given.rounds,
        "commits": {NOW: commit(SOURCE)}
        | ({BEFORE: commit(given.against)} if given.against else {}),
        "seconds": versions,
    }
    if BEFORE in versions:
        now, before = versions[NOW], versions[BEFORE]
        result["times_as_fast"] = {step: round(before[step] / now[step], 2) for step in now}
    text = json.dumps({**result, **environment()}, indent=1)
    (RESULTS / "reading.json").write_text(text + "\n")
    print(text)


def _read(folder: Path) -> Line:
    """Seconds of each step."""
    began = time.perf_counter()
    task = Task.from_folder(folder)
    seconds = {"from_folder": time.perf_counter() - began}
    for resolution in RESOLUTIONS:
        began = time.perf_counter()
        task.folds(resolution, LOOK)
        seconds[f"look_{resolution}"] = time.perf_counter() - began
    return {**seconds, "whole": sum(seconds.values())}


def _medians(rounds: list[Line]) -> Line:
    return {step: round(statistics.median(each[step] for each in rounds), 4) for step in rounds[0]}


def _draw(folder: Path, count: int) -> None:
    """Random smooth pictures with a little grain, as a camera makes them."""
    drawn = np.random.default_rng(0)
    for number in range(count):
        coarse = drawn.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        smooth = np.asarray(Image.fromarray(coarse).resize(SIZE, Image.Resampling.BICUBIC))
        grain = drawn.integers(-8, 9, smooth.shape)
        picture = Image.fromarray((smooth + grain).clip(0, 255).astype(np.uint8))
        path = folder / f"class {number % CLASSES}" / f"{number}.jpg"
        path.parent.mkdir(exist_ok=True)
        picture.save(path, quality=90)


if __name__ == "__main__":
    main()
