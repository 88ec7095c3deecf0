"""How many copies are found among images, and how many images are taken for copies that are none?

    python bench/studies/copies.py         # results/copies.json, copies.md and copies.png; minutes

Every packaged task that was fetched is searched for copies. What is joined and not equal to the
last bit is drawn side by side, to be looked at. Of some tasks and of noise, altered copies of
images are hidden among all others, and counted when found.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator

import numpy as np
import torch
from PIL import Image, ImageEnhance
from torch import Tensor

from common import RESULTS, Line, environment
from tans.files import cache_dir
from tans.tasks.copies import find_copies
from tans.tasks.decoding import Picture
from tans.tasks.reading import Reading
from tans.tasks.task import Task
from tans_bench.sources.registry import sources

ALTERED = 100
"""Images of a task that are altered."""
SIDE = 64
PAIRS = 96
"""Joined pairs that are drawn, at most."""
ACROSS = 12
TARGETS = ("digits", "script-greek", "icons-apps", "stamps-photos", "textile", "noise")
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


def main() -> None:
    tasks = {task.name: task for task in fetched()}
    joined = [joins(task) for task in tasks.values()]
    noise = torch.randint(0, 256, (400, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(0))
    images = {name: task.pixels.at(SIDE) for name, task in tasks.items()} | {"noise": noise.byte()}
    found = [recall(name, images[name]) for name in TARGETS if name in images]
    draw([pair for line in joined for pair in line.pop("pairs")])
    result = {"tasks": joined, "altered": found, **environment()}
    (RESULTS / "copies.json").write_text(json.dumps(result, indent=1) + "\n")
    (RESULTS / "copies.md").write_text(page(joined, found))


def fetched() -> Iterator[Task]:
    """The packaged tasks that are at hand."""
    for source in sources():
        folder = cache_dir("tasks") / source.name
        if (folder / "task.json").exists():
            yield Task.load(folder)


def joins(task: Task) -> Line:
    """Images of a task that are taken for copies, and the pairs that differ."""
    images = task.pixels.at(SIDE)
    sets = find_copies(images)
    counts = np.bincount(sets)
    flat = images.flatten(1).numpy()
    _, equal = np.unique(flat, axis=0, return_inverse=True)
    equal = equal.ravel()
    several = counts[sets] > 1
    pairs = [
        (images[rows[0]], images[row])
        for number in np.flatnonzero(counts > 1)
        for rows in [np.flatnonzero(sets == number)]
        for row in rows[1:]
        if equal[row] != equal[rows[0]]
    ]
    exact = np.bincount(equal)[equal] > 1
    return {
        "task": task.name,
        "images": len(images),
        "exact": float(exact.mean()),
        "near": float((several & ~exact).mean()),
        "pairs": pairs,
    }


def recall(name: str, images: Tensor) -> Line:
    """The share of altered copies that are found among all images of a task."""
    rows = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:ALTERED]
    shares = {}
    for what, alter in ALTERATIONS.items():
        copies = torch.stack([altered(image, alter) for image in images[rows]])
        sets = find_copies(torch.cat([images, copies]))
        shares[what] = float((sets[len(images) :] == sets[rows]).mean())
    return {"task": name, "images": len(images), "found": shares}


def altered(image: Tensor, alter: Alter) -> Tensor:
    """An image, uint8 (3, r, r), altered and read again."""
    changed = alter(Image.fromarray(image.permute(1, 2, 0).numpy()))
    return torch.from_numpy(Reading().square(Picture(np.array(changed)), SIDE)).permute(2, 0, 1)


def draw(pairs: list[tuple[Tensor, Tensor]]) -> None:
    """Joined pairs side by side, for the eye to judge."""
    shown = [pairs[k] for k in torch.linspace(0, len(pairs) - 1, min(PAIRS, len(pairs))).int()]
    rows = -(-len(shown) // ACROSS)
    sheet = torch.full((3, rows * (SIDE + 6), ACROSS * (2 * SIDE + 8)), 255, dtype=torch.uint8)
    for place, pair in enumerate(shown):
        row, column = divmod(place, ACROSS)
        top, left = row * (SIDE + 6), column * (2 * SIDE + 8)
        sheet[:, top : top + SIDE, left : left + 2 * SIDE] = torch.cat(pair, dim=2)
    Image.fromarray(sheet.permute(1, 2, 0).numpy()).quantize(64).save(RESULTS / "copies.png")


def page(joined: list[Line], found: list[Line]) -> str:
    """The tables."""
    images = sum(line["images"] for line in joined)
    near = sum(line["near"] * line["images"] for line in joined)
    rows = [
        f"| {line['task']} | {line['images']} | {line['exact']:.2%} | {line['near']:.2%} |"
        for line in sorted(joined, key=lambda line: -line["near"])
        if line["near"] or line["exact"]
    ]
    none = [line["task"] for line in joined if not (line["near"] or line["exact"])]
    heads = "".join(f" {name} |" for name in ALTERATIONS)
    recalls = [
        f"| {line['task']} |" + "".join(f" {share:.0%} |" for share in line["found"].values())
        for line in found
    ]
    return f"""Images of the packaged tasks that are taken for copies of others. Of {images:,}
images in {len(joined)} tasks, {near / images:.2%} are joined to one that differs from them in some
bit; the picture shows such pairs side by side.

| task | images | equal to another | nearly equal |
|---|---|---|---|
{chr(10).join(rows)}

None in {", ".join(none)}.

![Pairs that are taken for copies](copies.png)

Altered copies of {ALTERED} images that are found among all images of the task:

| task |{heads}
|---|{"---|" * len(ALTERATIONS)}
{chr(10).join(recalls)}
"""


if __name__ == "__main__":
    main()
