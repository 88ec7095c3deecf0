"""Classify images with a fine-tuned network: files, PIL images and arrays, read as it was tuned."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from tans.errors import InputError
from tans.networks.device import place
from tans.networks.network import Network
from tans.novelty import RATE, Novelty
from tans.tasks.decoding import DETAIL, Picture, UnreadableError
from tans.tasks.folder import images_below
from tans.tasks.images import each_picture
from tans.tasks.memory import picture_in_memory
from tans.tasks.reading import Range, Reading
from tans.training import predict, scores_and_lengths

BATCH = 256
"""Images decoded and classified at a time."""
EMPTY_FOLDER = "a folder that holds no images"

NO_NUMBER = "the network gives no number for it, so its weights are of no use; fine-tune again"

Item = str | Path | Image.Image | NDArray[Any]
"""A file, an image in memory, or an array (h, w), (h, w, 3) or (h, w, 4)."""


Ranked = tuple[tuple[str, float], ...]
"""Labels and their probabilities, the likeliest first."""


@dataclass(frozen=True)
class Prediction:
    """What a network says of one image; label and probability are None where it is unreadable, or
    unlike all that the network learnt from."""

    path: Path | None
    """None for an image in memory."""
    label: str | None
    probability: float | None
    """In [0, 1], after the temperature."""
    error: str | None = None
    ranked: Ranked = ()
    """The likeliest labels and their probabilities, as many as were asked for, if it is known."""
    known: bool | None = None
    """False where it is unlike all that the network learnt from; None where that was not asked, or
    cannot be told."""


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
    novelty: Novelty = field(default_factory=Novelty)
    """What tells images that are none of the classes."""

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
        false_alarms: float | None = RATE,
    ) -> list[Prediction]:
        """Classify images; one that cannot be read gets a prediction that says why.

        Args:
            top: labels to rank for each image.
            ranges: of sample types that the network did not learn from, or other ones for those
                that it did; ``any`` stands for all of more than 8 bits.
            max_pixels: of a picture, at most; Pillow's limit of 89 million when None.
            false_alarms: share of images of its classes that are taken for none of them, which is
                the price of telling what is; None names a class for each image, as is done where
                there were too few validation images for such a share.

        Raises:
            InputError: ``top`` is below 1, a range has no width, an array is no image, or the
                share is not between 0 and 1.
        """
        if top < 1:
            raise InputError(f"top is {top}; expected at least 1")
        limit = None if false_alarms is None else self.novelty.threshold(false_alarms)
        return [
            each
            for batch in self._read(items, ranges, max_pixels)
            for each in self._predictions(batch, top, limit)
        ]

    def probabilities(
        self,
        items: Iterable[Item],
        *,
        ranges: Mapping[str, Range] | None = None,
        max_pixels: int | None = None,
    ) -> Tensor:
        """Probability of each class for images that can all be read, (n, classes).

        Args:
            ranges: of sample types, as ``predict`` takes them; likewise ``max_pixels``.

        Raises:
            InputError: an image cannot be read, or an array is no image.
        """
        found = [torch.empty(0, len(self.classes))]
        for batch in self._read(items, ranges, max_pixels):
            for index, why in batch.errors.items():
                raise InputError(f"{batch.name(index)} cannot be classified: {why}")
            found.append(self._shares(predict(self.network, batch.images)))
        return torch.cat(found)

    def _read(
        self,
        items: Iterable[Item],
        ranges: Mapping[str, Range] | None,
        max_pixels: int | None,
    ) -> Iterator[_Batch]:
        """Images as the network takes them, some at a time."""
        place(self.network)
        self.network.to(memory_format=torch.channels_last)
        asked, begin = iter(items), 0
        while batch := list(islice(asked, BATCH)):
            yield self._batch(batch, begin, ranges or {}, max_pixels)
            begin += len(batch)

    def _batch(
        self,
        items: Sequence[Item],
        begin: int,
        ranges: Mapping[str, Range],
        max_pixels: int | None,
    ) -> _Batch:
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
                render(index, picture_in_memory(item))
        return _Batch(begin, images, paths, errors)

    def _predictions(self, batch: _Batch, top: int, limit: float | None) -> list[Prediction]:
        """What is said of each image; strange is what lies above a limit."""
        kept = [index for index in range(len(batch.images)) if index not in batch.errors]
        said = dict(zip(kept, self._said(batch.images[kept], top, limit), strict=True))
        predictions = []
        for index in range(len(batch.images)):
            path, error = batch.paths.get(index), batch.errors.get(index)
            ranked, known = said.get(index, ((), None))
            if error is None and not _finite(ranked):
                error, ranked, known = NO_NUMBER, (), None
            if error is not None or known is False:
                predictions.append(Prediction(path, None, None, error, ranked, known))
            else:
                predictions.append(Prediction(path, *ranked[0], None, ranked, known))
        return predictions

    def _said(
        self, images: Tensor, top: int, limit: float | None
    ) -> list[tuple[Ranked, bool | None]]:
        """The likeliest labels of images, uint8 (n, 3, r, r), and whether each is known."""
        scores, lengths = scores_and_lengths(self.network, images)
        if not len(lengths):
            return []
        best = self._shares(scores).topk(min(top, len(self.classes)), dim=1)
        known: list[bool | None] = [None] * len(lengths)
        if limit is not None:
            known = (self.novelty.strangeness(scores, lengths) <= limit).tolist()
        ranked = (
            tuple((self.classes[label], share) for label, share in zip(labels, values, strict=True))
            for labels, values in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        )
        return list(zip(ranked, known, strict=True))

    def _shares(self, scores: Tensor) -> Tensor:
        """Probabilities (n, classes) of scores (n, classes)."""
        return (scores / self.temperature).softmax(1)


@dataclass(frozen=True, eq=False)
class _Batch:
    """Images as a network takes them."""

    begin: int
    """Place of the first among all that were asked for."""
    images: Tensor
    """uint8 (n, 3, r, r)."""
    paths: Mapping[int, Path]
    """Of those that are files, by index."""
    errors: Mapping[int, str]
    """Why others cannot be read, by index."""

    def name(self, index: int) -> str:
        """What a message calls an image."""
        return str(self.paths.get(index, f"image {self.begin + index}"))


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
