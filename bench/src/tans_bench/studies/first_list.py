"""How long it takes from a folder to a list of networks, by what cannot be done without."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from tans_bench.runs.drawing import Drawing, Table
from tans_bench.runs.experiment import Experiment
from tans_bench.runs.results import Result, Results
from tans_bench.runs.turns import BEFORE, NONE, NOW, Timed, Turns, table
from tans_bench.studies.scripts import list_folder

CLASSES = 5
KINDS = {
    "large": (60, (2000, 1500), ".jpg"),
    "small": (2000, (48, 48), ".png"),
    "usual": (420, (640, 480), ".jpg"),
}
WARM = (40, (64, 64), ".png")
"""Images of each folder, their width and height, and how they are stored."""


def folders(folder: Path) -> None:
    """Random smooth pictures with a little grain, as a camera makes them, whose tint is the class;
    a folder of each kind."""
    drawn = np.random.default_rng(0)
    for kind, (count, size, suffix) in {**KINDS, list_folder.WARM: WARM}.items():
        for number in range(count):
            of_class = number % CLASSES
            coarse = drawn.integers(0, 200, (6, 8, 3)) + 10 * of_class * np.array([1, 0, -1])
            image = Image.fromarray(coarse.clip(0, 255).astype(np.uint8))
            smooth = np.asarray(image.resize(size, Image.Resampling.BICUBIC)).astype(np.int16)
            smooth += drawn.integers(-8, 9, smooth.shape, dtype=np.int16)
            path = folder / kind / f"class {of_class}" / f"{number}{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(smooth.clip(0, 255).astype(np.uint8)).save(path, quality=90)


def draw(plan: Turns, results: Results) -> Sequence[Drawing]:
    stored = results.read(plan.timed.name)
    if stored is None:
        return []
    caption = (
        "Seconds of the processor, with other work beside, one thread for networks. "
        + "; ".join(f"{kind}: {n:,} images of {w} by {h}" for kind, (n, (w, h), _) in KINDS.items())
        + f". The search, with its looks, is for the folder {list_folder.SEARCHED!r}."
    )
    return [_shares(stored), table(stored, caption)]


def _shares(stored: Result) -> Table:
    """What a step takes, as a multiple of what cannot be done without."""
    versions = [version for version in (BEFORE, NOW) if version in stored["seconds"]]
    rows = [
        ["search until the first image", "import torch", *_start(stored, versions)],
        *(
            [f"{kind}: read and embed", "decode and pass", *_embedding(stored, versions, kind)]
            for kind in KINDS
        ),
    ]
    caption = "How many times as long a step takes as what it stands by, in the same run."
    return Table("shares", caption, ("step", "stands by", *versions), rows)


def _start(stored: Result, versions: Sequence[str]) -> list[str]:
    return [_ratio(stored["seconds"][v], "search until the first image") for v in versions]


def _embedding(stored: Result, versions: Sequence[str], kind: str) -> list[str]:
    found = []
    for seconds in (stored["seconds"][version] for version in versions):
        taken = seconds[f"{kind}: read"] + seconds[f"{kind}: embed"]
        found.append(f"{taken / seconds[f'{kind}: decode and pass']:.2f}")
    return found


def _ratio(seconds: Result, step: str) -> str:
    torch = seconds["import torch"]
    return f"{seconds[step] / torch:.2f}" if torch else NONE


EXPERIMENT = Experiment(
    name="first_list",
    title="Seconds from a folder to a list",
    question=(
        "How long does it take until a search sees the first image, has an embedding, and gives "
        "its list? With `--against PATH`, the `src` of an earlier checkout takes turns."
    ),
    plan=Turns(Timed("first_list", Path(list_folder.__file__), folders, rounds=1)),
    drawn=draw,
)
