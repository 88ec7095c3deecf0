"""Write the example images: Greek letters, as folders of PNG files split by font family.

    python examples/make_greek.py

They come from the packaged source ``script-greek``; no zoo task has its classes or images.
"""

from pathlib import Path

import torch
from PIL import Image

from tans.tasks.splits import balanced_subset
from tans.tasks.task import SPLITS
from tans_bench.sources.registry import fetch

FOLDER = Path(__file__).parent / "greek"
PER_CLASS = {"train": 15, "val": 5, "test": 12}


def main() -> None:
    task = fetch("script-greek")
    for split in SPLITS:
        images, labels = task.split(split, 64)
        chosen = balanced_subset(labels, PER_CLASS[split] * len(task.classes), seed=0)
        for number, row in enumerate(torch.sort(chosen).values.tolist()):
            folder = FOLDER / split / task.classes[int(labels[row])].removeprefix("greek ")
            folder.mkdir(parents=True, exist_ok=True)
            picture = Image.fromarray(images[row].permute(1, 2, 0).numpy()).convert("L")
            picture.save(folder / f"{number:03d}.png", optimize=True)


if __name__ == "__main__":
    main()
