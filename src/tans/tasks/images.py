"""Images of a task at any resolution, as one uint8 tensor of squares."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from tans.errors import TaskError
from tans.tasks.content import Content, Readable
from tans.tasks.decoding import DETAIL, FAILED, Picture, UnreadableError, allowing, decode
from tans.tasks.reading import BYTE, Evidence, Range, Reading, find_reading

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
        thumbnails: Tensor,
        max_pixels: int | None = None,
    ) -> None:
        self.paths, self.reading, self.max_pixels = tuple(paths), reading, max_pixels
        self._thumbnails = thumbnails

    def at(self, resolution: int, rows: Tensor | None = None) -> Tensor:
        """Images of some rows (m,), or all, as squares, antialiased, uint8 (m, 3, r, r).

        Raises:
            TaskError: a file that could be read earlier no longer can.
        """
        check_resolution(resolution)
        if resolution == THUMBNAIL:
            return self._thumbnails if rows is None else self._thumbnails[rows]
        wanted = range(len(self.paths)) if rows is None else rows.tolist()
        paths = [self.paths[row] for row in wanted]
        images = torch.empty(len(paths), 3, resolution, resolution, dtype=torch.uint8)

        def render(index: int, picture: Picture) -> None:
            images[index] = _square(self.reading, picture, resolution)

        detail = max(DETAIL, 2 * resolution)
        for index, failure in each_picture(
            paths, render, detail=detail, max_pixels=self.max_pixels, hold=True
        ).items():
            raise TaskError(
                f"{paths[index]} could be read earlier and no longer can ({failure}); "
                "restore it, or make the task again"
            )
        return images

    def take(self, rows: Tensor) -> FilePixels:
        """The images of some rows, int64 (m,)."""
        paths = [self.paths[row] for row in rows.tolist()]
        return FilePixels(paths, self.reading, self._thumbnails[rows], self.max_pixels)


class Held:
    """Decoded pictures of files, the latest, up to so many bytes; a file that changed is none."""

    def __init__(self, limit: int = HELD_BYTES) -> None:
        self._limit, self._bytes = limit, 0
        self._pictures: OrderedDict[Hashable, Picture] = OrderedDict()

    def get(self, path: Readable) -> Picture | None:
        """The picture of a file, if it is held."""
        return self._pictures.get(_identity(path))

    def put(self, path: Readable, picture: Picture) -> None:
        """Hold a picture, and let go of the oldest where there is no room."""
        key = _identity(path)
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
    """
    plain = Reading()
    found: dict[int, Evidence] = {}
    pages: list[int] = []
    thumbnails = torch.zeros(len(paths), 3, THUMBNAIL, THUMBNAIL, dtype=torch.uint8)

    def look(index: int, picture: Picture) -> None:
        found[index] = Evidence.of(picture)
        if picture.pages:
            pages.append(index)
        if not _waits(picture):
            thumbnails[index] = _square(plain, picture, THUMBNAIL)

    failures = each_picture(paths, look, max_pixels=max_pixels, hold=True)
    kept = sorted(found)
    reading = find_reading((found[index] for index in kept), ranges, known)
    waiting = [i for i in kept if found[i].sample != BYTE or found[i].contrasts is not None]

    def render(index: int, picture: Picture) -> None:
        thumbnails[waiting[index]] = _square(reading, picture, THUMBNAIL)

    again = [paths[index] for index in waiting]
    gone = each_picture(again, render, max_pixels=max_pixels, hold=True)
    failures |= {waiting[index]: failure for index, failure in gone.items()}
    kept = [index for index in kept if index not in failures]
    pixels = FilePixels([paths[index] for index in kept], reading, thumbnails[kept], max_pixels)
    return Opened(pixels, failures, tuple(found[i] for i in kept), tuple(sorted(pages)))


def each_picture(
    paths: Sequence[Readable],
    act: Callable[[int, Picture], None],
    *,
    detail: int = DETAIL,
    max_pixels: int | None = None,
    hold: bool = False,
) -> dict[int, UnreadableError]:
    """Do something with the picture of each file, in threads; why others give none, by index.

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
        for start in range(0, len(paths), AT_ONCE):
            indices = range(start, min(start + AT_ONCE, len(paths)))
            for index, result in zip(indices, pool.map(work, indices), strict=True):
                if isinstance(result, UnreadableError):
                    failures[index] = result
                else:
                    held.put(paths[index], result)
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


def _identity(path: Readable) -> Hashable:
    """What tells a file as it is now from others; None where there is none."""
    if isinstance(path, Content):
        return path.identity
    try:
        status = path.stat()
    except OSError:
        return None
    return path, status.st_mtime_ns, status.st_size


def _waits(picture: Picture) -> bool:
    """Whether how it looks depends on the other pictures of its task."""
    return picture.sample != BYTE or picture.alpha is not None


def _square(reading: Reading, picture: Picture, resolution: int) -> Tensor:
    """A picture as uint8 (3, r, r)."""
    return torch.from_numpy(reading.square(picture, resolution)).permute(2, 0, 1)
