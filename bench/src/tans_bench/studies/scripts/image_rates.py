"""Print how many images a second come from tans and from torchvision's loader, as JSON."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import Compose, PILToTensor, Resize

from tans.tasks import stored
from tans.tasks.images import FilePixels
from tans.tasks.reading import Reading
from tans.tasks.shards import read_shards
from tans.tasks.stored import StoredImages
from tans.training.loop import batches

WORKERS, BATCH = 2, 32


def main(folder: str, shards: str, side: int) -> None:
    stored.IN_MEMORY = 0
    files = ImageFolder(folder, Compose([Resize((side, side)), PILToTensor()]))
    paths = [Path(path) for path, _ in files.samples]
    within = [record.path for record in read_shards(shards).records]
    order = torch.randperm(len(paths), generator=torch.Generator().manual_seed(0))
    loader = DataLoader(files, BATCH, shuffle=True, num_workers=WORKERS)
    rates = {"torchvision": _rate(len(paths), (images for images, _ in loader))}
    began = time.perf_counter()
    images = _opened(paths).on_disk(side, paths)
    rates["tans, first"] = len(paths) / (time.perf_counter() - began)
    began = time.perf_counter()
    _opened(within).on_disk(side, within)
    rates["tans, first, from shards"] = len(within) / (time.perf_counter() - began)
    parts = order.split(BATCH)
    rates["tans, later"] = _rate(len(paths), batches(images, parts))
    _forget(images)
    rates["tans, later, cold"] = _rate(len(paths), batches(images, parts))
    print(json.dumps(rates))


def _opened(paths: list) -> FilePixels:
    return FilePixels(paths, Reading(), torch.empty(0, 3, 64, 64, dtype=torch.uint8))


def _rate(count: int, parts: Iterable[Tensor]) -> float:
    began = time.perf_counter()
    seen = sum(len(part) for part in parts)
    assert seen == count
    return count / (time.perf_counter() - began)


def _forget(images: StoredImages) -> None:
    """Let the system forget what it holds of the blocks, which are on the disk already."""
    for path in images.files:
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
