"""How long `tans zoo build` takes on two tiny datasets.

    python bench/studies/building.py [--against PATH] [--rounds N] [--options "--subnets 20 ..."]

Draws two datasets of three classes with twelve images each, and builds a zoo of them by the
command line, in a process of its own each time. With ``--against``, the ``src`` of an earlier
checkout takes turns with this one. ``results/building.json`` has for each set of options the median
seconds, and how many times as fast this source is.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import shlex
import statistics
import tempfile
import time
from pathlib import Path

from PIL import Image, ImageDraw

from common import BEFORE, NOW, RESULTS, SOURCE, commit, in_turns
from tans.cli import main as tans

DATASETS, CLASSES, IMAGES, SIDE = ("first", "second"), 3, 12, 96


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", type=Path, help="src of an earlier checkout")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--options", default="", help="of `tans zoo build`")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)  # build once, and stop
    given = parser.parse_args()
    if given.folder:
        print(json.dumps({"seconds": _build(given.folder, given.options)}))
        return
    with tempfile.TemporaryDirectory() as folder:
        _draw(Path(folder))
        arguments = ["--folder", folder, f"--options={given.options}"]
        rounds = in_turns(__file__, arguments, given.against, given.rounds)
    seconds = {
        version: round(statistics.median(each["seconds"] for each in runs), 1)
        for version, runs in rounds.items()
    }
    result = {"rounds": given.rounds, "commits": {NOW: commit(SOURCE)}, "seconds": seconds}
    if BEFORE in seconds:
        result["commits"][BEFORE] = commit(given.against)
        result["times_as_fast"] = round(seconds[BEFORE] / seconds[NOW], 2)
    path = RESULTS / "building.json"
    stored = json.loads(path.read_text()) if path.exists() else {}
    text = json.dumps({**stored, given.options or "as it is": result}, indent=1)
    path.write_text(text + "\n")
    print(text)


def _build(folder: Path, options: str) -> float:
    """Seconds of the whole command."""
    with tempfile.TemporaryDirectory() as zoo:
        command = ["zoo", "build", f"{zoo}/zoo", "--tasks", str(folder), *shlex.split(options)]
        began = time.perf_counter()
        with contextlib.suppress(SystemExit):
            tans(command)
        seconds = time.perf_counter() - began
        if not list(Path(zoo, "zoo", "entries.lance").glob("data/*")):
            raise RuntimeError("nothing was built")
        return seconds


def _draw(folder: Path) -> None:
    """Ellipses, boxes and triangles of any colour and place."""
    for name in DATASETS:
        drawn = random.Random(name)
        for number in range(CLASSES * IMAGES):
            image = Image.new("RGB", (SIDE, SIDE), tuple(drawn.randrange(100, 256) for _ in "rgb"))
            ink, colour = ImageDraw.Draw(image), tuple(drawn.randrange(100) for _ in "rgb")
            x, y = drawn.randrange(10, 40), drawn.randrange(10, 40)
            corners = [(x, y), (x + 40, y), (x + 20, y + 40)]
            figures = (ink.ellipse, ink.rectangle, ink.polygon)
            shape = corners if number % CLASSES == 2 else (x, y, x + 40, y + 40)
            figures[number % CLASSES](shape, fill=colour)
            path = folder / name / f"class {number % CLASSES}" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            image.save(path)


if __name__ == "__main__":
    main()
