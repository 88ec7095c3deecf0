"""How many copies are found among images, and how many images are taken for copies that are none?

Every packaged task that was fetched is searched for copies. What is joined and not equal to the
last bit is drawn side by side, to be looked at. Of some tasks and of noise, altered copies of
images are hidden among all others, and counted when found.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageEnhance
from torch import Tensor

from tans.files import cache_dir
from tans.tasks.copies import find_copies
from tans.tasks.decoding import Picture
from tans.tasks.reading import Reading
from tans.tasks.task import Task
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Drawing, Table
from tans_bench.runs.experiment import Experiment, Fixed
from tans_bench.runs.results import Result, Results
from tans_bench.sources.registry import sources

ALTERED = 100
"""Images of a task that are altered."""
SIDE = 64
PAIRS = 96
"""Joined pairs that are drawn, at most."""
ACROSS = 12
NOISE = "noise"
Pair = tuple[Tensor, Tensor]
"""Images, uint8 (3, ``SIDE``, ``SIDE``)."""
Alter = Callable[[Image.Image], Image.Image]


def jpeg(quality: int) -> Alter:
    """As stored in JPEG."""

    def alter(image: Image.Image) -> Image.Image:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality)
        return Image.open(file).convert("RGB")

    return alter


ALTERATIONS: dict[str, Alter] = {
    "JPEG 90": jpeg(90),
    "JPEG 75": jpeg(75),
    "JPEG 50": jpeg(50),
    "0.83 of the size": lambda image: image.resize((53, 53), Image.Resampling.BICUBIC),
    "twice the size": lambda image: image.resize((128, 128), Image.Resampling.BICUBIC),
    "10 % brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.1),
    "64 colours": lambda image: image.quantize(64).convert("RGB"),
}


@dataclass(frozen=True)
class Copies:
    """Look for copies in all fetched tasks, and for altered ones in some."""

    targets: tuple[str, ...]
    """Tasks whose images are altered."""
    name: str = "copies"
    task: str = ""
    """None in particular."""

    def done(self, bench: Bench) -> bool:
        return bench.results.read(self.name) is not None

    def run(self, bench: Bench) -> Result:
        images = {task.name: task.pixels.at(SIDE) for task in fetched()}
        joined, pairs = [], list[Pair]()
        for name, own in images.items():
            joined.append(_joined(name, own))
            pairs += _differing(own)
        generator = torch.Generator().manual_seed(0)
        images[NOISE] = torch.randint(0, 256, (400, 3, SIDE, SIDE), generator=generator).byte()
        found = [_recall(name, images[name]) for name in self.targets if name in images]
        bench.results.folder.mkdir(parents=True, exist_ok=True)
        _sheet(pairs).save(bench.results.folder / f"{self.name}.png")
        return {"tasks": joined, "altered": found}


def fetched() -> Iterator[Task]:
    """The packaged tasks that are at hand."""
    for source in sources():
        folder = cache_dir("tasks") / source.name
        if (folder / "task.json").exists():
            yield Task.load(folder)


def _joined(name: str, images: Tensor) -> dict[str, Any]:
    """Shares of images (n, 3, r, r) that are equal to another, or taken for a copy of one."""
    sets, equal = find_copies(images), _equal(images)  # (n,) each
    exact = np.bincount(equal)[equal] > 1
    several = np.bincount(sets)[sets] > 1
    return {
        "task": name,
        "images": len(images),
        "exact": float(exact.mean()),
        "near": float((several & ~exact).mean()),
    }


def _differing(images: Tensor) -> Iterator[Pair]:
    """Images that are taken for copies, beside the first of their set where they differ."""
    sets, equal = find_copies(images), _equal(images)
    for number in np.flatnonzero(np.bincount(sets) > 1):
        first, *others = np.flatnonzero(sets == number)
        for other in others:
            if equal[other] != equal[first]:
                yield images[first], images[other]


def _equal(images: Tensor) -> np.ndarray:
    """Numbers (n,) that images have in common which are equal to the last bit."""
    flat = images.flatten(1).numpy()
    return np.unique(flat, axis=0, return_inverse=True)[1].ravel()


def _recall(name: str, images: Tensor) -> dict[str, Any]:
    """The share of altered copies that are found among all images of a task."""
    rows = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:ALTERED]
    shares = {}
    for what, alter in ALTERATIONS.items():
        copies = torch.stack([_altered(image, alter) for image in images[rows]])
        sets = find_copies(torch.cat([images, copies]))
        shares[what] = float((sets[len(images) :] == sets[rows]).mean())
    return {"task": name, "images": len(images), "found": shares}


def _altered(image: Tensor, alter: Alter) -> Tensor:
    """An image, uint8 (3, r, r), altered and read again."""
    changed = alter(Image.fromarray(image.permute(1, 2, 0).numpy()))
    return torch.from_numpy(Reading().square(Picture(np.array(changed)), SIDE)).permute(2, 0, 1)


def _sheet(pairs: Sequence[Pair]) -> Image.Image:
    """Some of the pairs side by side, for the eye to judge."""
    shown = [pairs[k] for k in torch.linspace(0, len(pairs) - 1, min(PAIRS, len(pairs))).int()]
    rows = max(1, -(-len(shown) // ACROSS))
    sheet = torch.full((3, rows * (SIDE + 6), ACROSS * (2 * SIDE + 8)), 255, dtype=torch.uint8)
    for place, pair in enumerate(shown):
        row, column = divmod(place, ACROSS)
        top, left = row * (SIDE + 6), column * (2 * SIDE + 8)
        sheet[:, top : top + SIDE, left : left + 2 * SIDE] = torch.cat(pair, dim=2)
    return Image.fromarray(sheet.permute(1, 2, 0).numpy()).quantize(64)


@dataclass(frozen=True)
class Sheet:
    """A picture that was made when the result was."""

    name: str
    caption: str
    source: Path

    def save(self, folder: Path) -> None:
        shutil.copyfile(self.source, folder / f"{self.name}.png")

    def markdown(self, folder: str) -> str:
        return f"![{self.caption}]({folder}/{self.name}.png)\n\n*{self.caption}*"


def draw(plan: Fixed, results: Results) -> Sequence[Drawing]:
    del plan  # one result
    stored, picture = results.read(EXPERIMENT.name), results.folder / f"{EXPERIMENT.name}.png"
    if stored is None:
        return []
    caption = "Pairs that are taken for copies and differ in some bit."
    sheets = [Sheet("pairs", caption, picture)] if picture.exists() else []
    return [_shares(stored["tasks"]), *sheets, _found(stored["altered"])]


def _shares(joined: Sequence[Result]) -> Table:
    images = sum(line["images"] for line in joined)
    near = sum(line["near"] * line["images"] for line in joined)
    rows = [
        [line["task"], str(line["images"]), f"{line['exact']:.2%}", f"{line['near']:.2%}"]
        for line in sorted(joined, key=lambda line: -line["near"])
        if line["near"] or line["exact"]
    ]
    none = [line["task"] for line in joined if not (line["near"] or line["exact"])]
    caption = (
        f"Images of the packaged tasks that are taken for copies of others. Of {images:,} images "
        f"in {len(joined)} tasks, {near / max(1, images):.2%} are joined to one that differs from "
        f"them in some bit. None in {', '.join(none)}."
    )
    return Table("shares", caption, ("task", "images", "equal to another", "nearly equal"), rows)


def _found(altered: Sequence[Result]) -> Table:
    rows = [
        [line["task"], *(f"{share:.0%}" for share in line["found"].values())] for line in altered
    ]
    caption = f"Altered copies of {ALTERED} images that are found among all images of the task."
    return Table("altered", caption, ("task", *ALTERATIONS), rows)


EXPERIMENT = Experiment(
    name="copies",
    title="Copies that are found, and images that are taken for copies",
    question=(
        "How many copies are found among the images of the packaged tasks that were fetched, and "
        "how many images are taken for copies that are none?"
    ),
    plan=Fixed(
        (Copies(("digits", "script-greek", "icons-apps", "stamps-photos", "textile", NOISE)),)
    ),
    drawn=draw,
)
