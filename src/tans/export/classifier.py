"""Classify images with a fine-tuned network: files, PIL images and arrays, read as it was tuned."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from tans.errors import InputError
from tans.networks.network import Network
from tans.tasks.decoding import DETAIL, Picture, UnreadableError, picture_of
from tans.tasks.folder import images_below
from tans.tasks.images import each_picture
from tans.tasks.reading import Range, Reading
from tans.training import device, predict

BATCH = 256
"""Images decoded and classified at a time."""
EMPTY_FOLDER = "a folder that holds no images"

NO_NUMBER = "the network gives no number for it, so its weights are of no use; fine-tune again"

Item = str | Path | Image.Image | NDArray[Any]
"""A file, an image in memory, or an array (h, w), (h, w, 3) or (h, w, 4)."""


@dataclass(frozen=True)
class Prediction:
    """What a network says of one image; label and probability are None where it is unreadable."""

    path: Path | None
    """None for an image in memory."""
    label: str | None
    probability: float | None
    """In [0, 1], after the temperature."""
    error: str | None = None
    ranked: tuple[tuple[str, float], ...] = ()
    """The likeliest labels and their probabilities, as many as were asked for."""


@dataclass(frozen=True, eq=False)
class Classifier:
    """A fine-tuned network, with all that it takes to use it."""

    network: Network
    classes: tuple[str, ...]
    reading: Reading = field(default_factory=Reading)
    """What samples of pictures mean to it."""
    temperature: float = 1.0
    """That scores are divided by before they are probabilities (Guo et al., On Calibration of
    Modern Neural Networks, ICML 2017)."""
    card: Mapping[str, Any] = field(default_factory=dict)
    """The whole description."""

    @property
    def resolution(self) -> int:
        """Pixels a side of the network's input."""
        return self.network.input.size

    def predict(
        self,
        items: Iterable[Item],
        *,
        top: int = 1,
        ranges: Mapping[str, Range] | None = None,
        max_pixels: int | None = None,
    ) -> list[Prediction]:
        """Classify images; one that cannot be read gets a prediction that says why.

        Args:
            top: labels to rank for each image.
            ranges: of sample types that the network did not learn from, or other ones for those
                that it did; ``any`` stands for all of more than 8 bits.
            max_pixels: of a picture, at most; Pillow's limit of 89 million when None.

        Raises:
            InputError: ``top`` is below 1, a range has no width, or an array is no image.
        """
        if top < 1:
            raise InputError(f"top is {top}; expected at least 1")
        self.network.to(device(), memory_format=torch.channels_last)  # type: ignore[call-overload]
        asked, predictions = iter(items), []
        while batch := list(islice(asked, BATCH)):
            predictions += self._batch(batch, top, ranges or {}, max_pixels)
        return predictions

    def _batch(
        self,
        items: Sequence[Item],
        top: int,
        ranges: Mapping[str, Range],
        max_pixels: int | None,
    ) -> list[Prediction]:
        images = torch.zeros(len(items), 3, self.resolution, self.resolution, dtype=torch.uint8)
        paths = {i: Path(item) for i, item in enumerate(items) if isinstance(item, str | Path)}
        files = list(paths)
        errors: dict[int, str] = {}

        def render(index: int, picture: Picture) -> None:
            reading = self.reading.widened([picture.sample], ranges)
            if reading.knows(picture):
                square = reading.square(picture, self.resolution)  # (r, r, 3)
                images[index] = torch.from_numpy(square).permute(2, 0, 1)
            else:
                errors[index] = reading.asks(picture.sample)

        failures = each_picture(
            list(paths.values()),
            lambda at, picture: render(files[at], picture),
            detail=max(DETAIL, 2 * self.resolution),
            max_pixels=max_pixels,
        )
        errors |= {files[at]: _why(paths[files[at]], error) for at, error in failures.items()}
        for index, item in enumerate(items):
            if not isinstance(item, str | Path):
                render(index, _in_memory(item))
        kept = [index for index in range(len(items)) if index not in errors]
        ranked = dict(zip(kept, self._ranked(images[kept], top), strict=True))
        errors |= {index: NO_NUMBER for index, labels in ranked.items() if not _finite(labels)}
        return [
            Prediction(paths.get(index), None, None, errors[index])
            if index in errors
            else Prediction(paths.get(index), *ranked[index][0], None, ranked[index])
            for index in range(len(items))
        ]

    def _ranked(self, images: Tensor, top: int) -> list[tuple[tuple[str, float], ...]]:
        """The likeliest labels of images, uint8 (n, 3, r, r)."""
        if not len(images):
            return []
        shares = (predict(self.network, images) / self.temperature).softmax(1)  # (n, classes)
        best = shares.topk(min(top, len(self.classes)), dim=1)
        return [
            tuple((self.classes[label], share) for label, share in zip(labels, values, strict=True))
            for labels, values in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        ]


def find_files(paths: Sequence[str | Path]) -> tuple[list[Path], dict[str, tuple[str, ...]]]:
    """The files that paths stand for, and by reason what was left out of folders.

    A folder stands for all images below it, or for itself where there is none.

    Raises:
        InputError: a folder cannot be listed.
    """
    files: list[Path] = []
    left_out: dict[str, tuple[str, ...]] = {}
    for path in (Path(path).expanduser() for path in paths):
        if not path.is_dir():
            files.append(path)
            continue
        images, others = images_below(path)
        files += images or (path,)
        for why, left in others.items():
            left_out[why] = left_out.get(why, ()) + tuple(map(str, left))
    return files, left_out


def _finite(ranked: Iterable[tuple[str, float]]) -> bool:
    return all(math.isfinite(share) for _, share in ranked)


def _why(path: Path, error: UnreadableError) -> str:
    return EMPTY_FOLDER if path.is_dir() else str(error)


def _in_memory(item: Image.Image | NDArray[Any]) -> Picture:
    """The samples of an image or an array.

    Raises:
        InputError: it is neither, or of another shape.
    """
    if isinstance(item, Image.Image):
        return picture_of(ImageOps.exif_transpose(item))
    array = np.asarray(item)
    grey = array.ndim == 2
    if array.dtype.kind not in "biuf" or not (
        grey or (array.ndim == 3 and array.shape[2] in (3, 4))
    ):
        raise InputError(
            f"an image is {array.dtype} {array.shape}; expected numbers (height, width), "
            "(height, width, 3) or (height, width, 4)"
        )
    if array.dtype.kind == "b":
        array = array.astype(np.uint8) * 255
    if array.dtype.kind == "f":
        array = array.astype(np.float32)
    if grey or array.shape[2] == 3:
        return Picture(array)
    if array.dtype != np.uint8:
        raise InputError(
            f"an image is {array.dtype} {array.shape}; transparency is read of uint8 alone; give "
            "three channels"
        )
    return Picture(array[..., :3], array[..., 3])
