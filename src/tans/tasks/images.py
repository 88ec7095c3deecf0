"""Images of a task at any resolution, as one uint8 tensor of squares."""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from tans.errors import TaskError
from tans.tasks.content import Readable
from tans.tasks.decoding import (
    DETAIL,
    FAILED,
    Picture,
    UnreadableError,
    allowing,
    decode,
    decoders,
)
from tans.tasks.reading import BYTE, Evidence, Range, Reading, find_reading, samples_of_each
from tans.tasks.seen import Seen, alike
from tans.tasks.stored import (
    IMAGES,
    Arrays,
    LostError,
    Store,
    StoredImages,
    extras,
    identity_of,
    takes_much,
)
from tans.tasks.watching import READING, tell
from tans.types import Images

READER = 2
"""Version of how files and arrays become pixels, groups and splits; results made by another are
kept apart."""
THUMBNAIL = 64
"""Pixels a side at which all images of a task are held, and looked through for faults."""
MAX_UNREADABLE = 0.1
"""Fraction of unreadable files above which a dataset is refused."""
HELD_BYTES = 512 * 2**20
"""Of decoded pictures that are held, so that other resolutions need no second decoding."""
AT_ONCE = 64
"""Files that are decoded before what is not held of them is let go."""
LIGHT, SLACK = 0.8e-3, 16e-3
"""Seconds for a picture below which threads take longer than one, as they wait for Python's lock,
and seconds that a few may take in any case, as the first also loads what decodes it."""


class ArrayPixels:
    """Images in memory, uint8 (n, 3, h, w), resized when asked for."""

    def __init__(self, images: Tensor) -> None:
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
            raise TaskError(
                f"the images are {images.dtype} {tuple(images.shape)}; expected uint8 "
                "(n, 3, height, width); scale them to 0..255 and repeat a single channel"
            )
        self.images = images
        self._last: tuple[int, Tensor] | None = None

    def at(self, resolution: int, rows: Tensor | None = None) -> Tensor:
        """Images of some rows (m,), or all, as squares, antialiased, uint8 (m, 3, r, r)."""
        check_resolution(resolution)
        if self.images.shape[2:] == (resolution, resolution):
            return self.images if rows is None else self.images[rows]
        if self._last is None or self._last[0] != resolution:
            self._last = resolution, resize(self.images, resolution)
        return self._last[1] if rows is None else self._last[1][rows]

    def stored(self, resolution: int, rows: Tensor) -> Tensor:
        """As ``at``: what is in memory stays there."""
        return self.at(resolution, rows)

    def take(self, rows: Tensor) -> ArrayPixels:
        """The images of some rows, int64 (m,)."""
        return ArrayPixels(self.images[rows])


class FilePixels:
    """Images in files, decoded when asked for, and held as long as there is room.

    Args:
        paths: of the files.
        reading: what their samples mean.
        thumbnails: all of them at ``THUMBNAIL``, uint8 (n, 3, 64, 64).
        max_pixels: of a picture, at most; Pillow's own limit when None.
    """

    def __init__(
        self,
        paths: Sequence[Readable],
        reading: Reading,
        thumbnails: Images,
        max_pixels: int | None = None,
    ) -> None:
        self.paths, self.reading, self.max_pixels = tuple(paths), reading, max_pixels
        self.thumbnails = thumbnails

    def at(self, resolution: int, rows: Tensor | None = None) -> Tensor:
        """Images of some rows (m,), or all, as squares, antialiased, uint8 (m, 3, r, r).

        Raises:
            TaskError: a file that could be read earlier no longer can.
        """
        check_resolution(resolution)
        if resolution == THUMBNAIL:
            with suppress(LostError):  # by whoever emptied the cache
                return self.thumbnails[slice(None) if rows is None else rows]
        wanted = range(len(self.paths)) if rows is None else rows.tolist()
        return self._decoded(resolution, [self.paths[row] for row in wanted], hold=True)

    def stored(self, resolution: int, rows: Tensor) -> Images:
        """As ``at``, of some rows (m,); what takes much memory is decoded once, onto the disk.

        Raises:
            TaskError: as ``at``, or the disk has no room.
        """
        check_resolution(resolution)
        if resolution == THUMBNAIL and isinstance(self.thumbnails, StoredImages):
            return self.thumbnails.take(rows)
        if resolution == THUMBNAIL or not takes_much(len(rows), resolution):
            return self.at(resolution, rows)
        paths = [self.paths[row] for row in rows.tolist()]
        return self.on_disk(resolution, paths)

    def on_disk(self, resolution: int, paths: Sequence[Readable]) -> StoredImages:
        """Some of the files as squares, on the disk.

        Raises:
            TaskError: as ``stored``.
        """
        about = _about(self.max_pixels, self.reading.to_json())
        return Store(resolution, about, partial(self._block, resolution)).images(paths)[0]

    def take(self, rows: Tensor) -> FilePixels:
        """The images of some rows, int64 (m,)."""
        paths = [self.paths[row] for row in rows.tolist()]
        return FilePixels(paths, self.reading, _taken(self.thumbnails, rows), self.max_pixels)

    def _block(self, resolution: int, paths: Sequence[Readable]) -> Arrays:
        return {IMAGES: self._decoded(resolution, paths).numpy()}

    def _decoded(self, resolution: int, paths: Sequence[Readable], hold: bool = False) -> Tensor:
        """Files as squares, uint8 (m, 3, r, r)."""
        images = torch.empty(len(paths), 3, resolution, resolution, dtype=torch.uint8)

        def render(index: int, picture: Picture) -> None:
            images[index] = _square(self.reading, picture, resolution)

        detail = max(DETAIL, 2 * resolution)
        for index, failure in each_picture(
            paths, render, detail=detail, max_pixels=self.max_pixels, hold=hold
        ).items():
            raise TaskError(
                f"{paths[index]} could be read earlier and no longer can ({failure}); "
                "restore it, or make the task again"
            )
        return images


class Held:
    """Decoded pictures of files, the latest, up to so many bytes; a file that changed is none."""

    def __init__(self, limit: int = HELD_BYTES) -> None:
        self._limit, self._bytes = limit, 0
        self._pictures: OrderedDict[Hashable, Picture] = OrderedDict()

    def get(self, path: Readable) -> Picture | None:
        """The picture of a file, if it is held."""
        return self._pictures.get(identity_of(path))

    def put(self, path: Readable, picture: Picture) -> None:
        """Hold a picture, and let go of the oldest where there is no room."""
        key = identity_of(path)
        if key is None or key in self._pictures or picture.nbytes > self._limit:
            return
        self._pictures[key] = picture
        self._bytes += picture.nbytes
        while self._bytes > self._limit:
            _, oldest = self._pictures.popitem(last=False)
            self._bytes -= oldest.nbytes


HELD = Held()
"""Of all tasks of this process together."""


@dataclass(frozen=True, eq=False)
class Opened:
    """Files after the first look at all of them."""

    pixels: FilePixels
    """Of those that can be read."""
    failures: Mapping[int, UnreadableError]
    """Why each of the others cannot, by index."""
    evidence: tuple[Evidence, ...]
    """Of those that can be read."""
    pages: tuple[int, ...]
    """Indices of the files that hold further pictures."""


def open_files(
    paths: Sequence[Readable],
    ranges: Mapping[str, Range] | None = None,
    max_pixels: int | None = None,
    known: Reading | None = None,
) -> Opened:
    """Decode all files once, and find what their samples mean.

    Args:
        ranges: of sample types, where the user states them.
        max_pixels: of a picture, at most; Pillow's own limit when None.
        known: a reading whose other ranges and whose ground hold here too.

    Raises:
        InputError: a given range cannot be one.
        TaskError: the images take so much memory that they are to be stored, and cannot be.
    """
    kept = samples_of_each(len(paths))
    thumbnails, seen = (
        _looked_stored(paths, max_pixels, kept)
        if takes_much(len(paths), THUMBNAIL)
        else _looked(paths, max_pixels, kept, hold=True)
    )
    found = seen.evidence
    readable = sorted(found)
    reading = find_reading((found[index] for index in readable), ranges, known)
    waiting = [i for i in readable if found[i].sample != BYTE or found[i].contrasts is not None]
    again = [paths[index] for index in waiting]
    gone: dict[int, UnreadableError] = {}
    if isinstance(thumbnails, Tensor):
        gone = _render_late(thumbnails, waiting, again, reading, max_pixels)
    elif waiting:
        late = FilePixels(again, reading, thumbnails, max_pixels).on_disk(THUMBNAIL, again)
        thumbnails = thumbnails.replaced(waiting, late)
    failures = seen.failures | {waiting[index]: failure for index, failure in gone.items()}
    rows = torch.tensor([index for index in readable if index not in failures], dtype=torch.int64)
    pixels = FilePixels(
        [paths[row] for row in rows.tolist()], reading, _taken(thumbnails, rows), max_pixels
    )
    evidence = tuple(found[row] for row in rows.tolist())
    return Opened(pixels, failures, evidence, tuple(sorted(seen.pages)))


def _looked(
    paths: Sequence[Readable], max_pixels: int | None, kept: int, hold: bool = False
) -> tuple[Tensor, Seen]:
    """Thumbnails (n, 3, 64, 64) of files, where they depend on no other's, and what is seen.

    Args:
        kept: samples that a picture gives to the evidence.
        hold: as for ``each_picture``.
    """
    plain, seen = Reading(), Seen()
    thumbnails = torch.zeros(len(paths), 3, THUMBNAIL, THUMBNAIL, dtype=torch.uint8)

    def look(index: int, picture: Picture) -> None:
        seen.evidence[index] = Evidence.of(picture, kept)
        if picture.pages:
            seen.pages.append(index)
        if not _waits(picture):
            thumbnails[index] = _square(plain, picture, THUMBNAIL)

    seen.failures.update(each_picture(paths, look, max_pixels=max_pixels, hold=hold))
    return thumbnails, seen


def _looked_stored(
    paths: Sequence[Readable], max_pixels: int | None, kept: int
) -> tuple[StoredImages, Seen]:
    """As ``_looked``, on the disk."""

    def fill(part: Sequence[Readable]) -> Arrays:
        thumbnails, seen = _looked(part, max_pixels, kept)
        return {IMAGES: thumbnails.numpy(), **seen.arrays()}

    def fits(part: Sequence[Readable], found: Mapping[str, NDArray[Any]]) -> bool:
        """Whether what could not be read still cannot: rights and networks come back."""
        try:
            before = Seen.of(found).failures
        except (LookupError, ValueError, TypeError):
            return False
        rows = list(before)
        again = _looked([part[row] for row in rows], max_pixels, kept)[1].failures
        return alike(before, {rows[index]: failure for index, failure in again.items()})

    store = Store(THUMBNAIL, _about(max_pixels, {"kept": kept}), fill, fits)
    images, files = store.images(paths)
    seen, begin = Seen(), 0
    for file, count in zip(files, images.counts, strict=True):
        seen.add(Seen.of(extras(file)), begin)
        begin += count
    return images, seen


def _render_late(
    thumbnails: Tensor,
    rows: Sequence[int],
    paths: Sequence[Readable],
    reading: Reading,
    max_pixels: int | None,
) -> dict[int, UnreadableError]:
    """Put files into some rows of thumbnails, in place; why others can no longer be read."""

    def render(index: int, picture: Picture) -> None:
        thumbnails[rows[index]] = _square(reading, picture, THUMBNAIL)

    return each_picture(paths, render, max_pixels=max_pixels, hold=True)


def _about(max_pixels: int | None, more: Mapping[str, Any]) -> str:
    """All that decoded pictures depend on beside their files."""
    most = Image.MAX_IMAGE_PIXELS if max_pixels is None else max_pixels
    return repr((READER, decoders(), most, sorted(more.items())))


def _taken(images: Images, rows: Tensor) -> Images:
    """Images of some rows (m,); those on the disk stay there."""
    return images.take(rows) if isinstance(images, StoredImages) else images[rows]


def each_picture(
    paths: Sequence[Readable],
    act: Callable[[int, Picture], None],
    *,
    detail: int = DETAIL,
    max_pixels: int | None = None,
    hold: bool = False,
) -> dict[int, UnreadableError]:
    """Do something with the picture of each file; why others give none, by index.

    It begins in this thread, and goes on in many where a picture takes longer than ``LIGHT``.

    Args:
        act: given the index of a file and its picture.
        detail: as for ``decode``; pictures that are held have ``DETAIL``.
        hold: whether pictures are looked up before they are decoded, and held afterwards.
    """
    held = HELD if hold and detail == DETAIL else Held(0)

    def work(index: int) -> Picture | UnreadableError:
        picture = held.get(paths[index])
        try:
            picture = picture or decode(paths[index], detail)
        except UnreadableError as error:
            return error
        act(index, picture)
        return picture

    failures: dict[int, UnreadableError] = {}
    with allowing(max_pixels), ThreadPoolExecutor(os.cpu_count()) as pool:
        first, alone = 0, True
        while first < len(paths):
            # few in the beginning, lest many that are large are read by one thread
            most = first + 1 if alone else AT_ONCE
            indices = range(first, min(first + most, first - first % AT_ONCE + AT_ONCE, len(paths)))
            began = time.perf_counter()
            results = map(work, indices) if alone else pool.map(work, indices)
            for index, result in zip(indices, results, strict=True):
                if isinstance(result, UnreadableError):
                    failures[index] = result
                else:
                    held.put(paths[index], result)
            first = indices.stop
            alone = alone and time.perf_counter() - began < max(LIGHT * len(indices), SLACK)
            if first % AT_ONCE == 0 or first == len(paths):
                tell(READING, first, len(paths))
    return failures


def check_readable(name: str, failures: Mapping[str, UnreadableError], total: int) -> None:
    """Refuse a dataset with more unreadable files than an accident explains.

    Raises:
        TaskError: more than ``MAX_UNREADABLE`` of ``total`` images failed.
    """
    failed = {key: error for key, error in failures.items() if error.kind in FAILED}
    if len(failed) <= MAX_UNREADABLE * total:
        return
    listed = "; ".join(f"{key}: {error}" for key, error in list(failed.items())[:5])
    raise TaskError(
        f"{len(failed)} of {total} images of task {name!r} cannot be read: {listed}"
        f"{'; ...' if len(failed) > 5 else ''}; expected at most {MAX_UNREADABLE:.0%}; "
        "replace or remove these files"
    )


def resize(images: Tensor, resolution: int) -> Tensor:
    """Images uint8 (n, 3, h, w) as squares, antialiased, uint8 (n, 3, r, r)."""
    return functional.interpolate(
        images, size=(resolution, resolution), mode="bilinear", antialias=True
    )


def check_resolution(resolution: int) -> None:
    """Refuse a resolution that no image can have.

    Raises:
        TaskError: it is below 1.
    """
    if resolution < 1:
        raise TaskError(f"resolution is {resolution}; expected at least 1 pixel a side")


def _waits(picture: Picture) -> bool:
    """Whether how it looks depends on the other pictures of its task."""
    return picture.sample != BYTE or picture.alpha is not None


def _square(reading: Reading, picture: Picture, resolution: int) -> Tensor:
    """A picture as uint8 (3, r, r)."""
    return torch.from_numpy(reading.square(picture, resolution)).permute(2, 0, 1)
