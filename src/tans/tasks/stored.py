"""Decoded images on disk, where they would take too much memory: written once, read when asked for.

They lie in tans's cache, in blocks that are written whole or not at all, so that the next run finds
what one that was stopped had decoded. A block's name is the SHA-256 of all that it is made of: how
files were read, and of each its path, its size and when it was changed. Blocks that were not used
for longest are deleted.

Blocks are read, and not mapped into memory: what was read of them is then no part of a process, and
a disk that fails gives an error rather than a signal.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from weakref import WeakSet

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from torch import Tensor

from tans.errors import TaskError
from tans.files import cache_dir, write_file
from tans.tasks.content import Content, Readable
from tans.tasks.watching import part_of
from tans.types import Images

IN_MEMORY = 2**28
"""Bytes of images that are held in memory; more are stored."""
BLOCK_BYTES = 2**26
"""Of images in one block, about."""
MOST_KEPT = 32 * 2**30
"""Bytes of all blocks together, beside those in use."""
IN_USE = timedelta(hours=6)
"""For which no block is deleted that was made or used."""
READ = 1024
"""Images that are read at a time where all are."""
FOLDER, IMAGES, NUMBERS, SUFFIX = "pixels", "images", "numbers", ".safetensors"

Arrays = Mapping[str, NDArray[Any]]
"""Of a block: ``IMAGES``, uint8 (b, 3, r, r), and what else belongs to them."""
_PROCESS = secrets.token_hex(16)
"""In names of what no other process can find again."""


class LostError(TaskError):
    """Images that were stored cannot be read any more."""


def takes_much(count: int, side: int) -> bool:
    """Whether so many images of ``side`` pixels take more memory than they are given."""
    return count * 3 * side * side > IN_MEMORY


def identity_of(path: Readable) -> Hashable:
    """What tells a file as it is now from others; None where there is none."""
    if isinstance(path, Content):
        return path.identity
    try:
        status = path.stat()
    except OSError:
        return None
    return path.absolute(), status.st_mtime_ns, status.st_size


class StoredImages:
    """Images of one size in blocks on disk; they are indexed and split as a tensor is.

    Args:
        files: of the blocks.
        starts: of each, the bytes before its first image.
        places: of each image, its block and its row there, int64 (n, 2).
        side: pixels a side.
    """

    device = torch.device("cpu")

    def __init__(
        self, files: Sequence[Path], starts: Sequence[int], places: NDArray[np.int64], side: int
    ) -> None:
        self.files, self.starts, self.places, self.side = tuple(files), tuple(starts), places, side
        _LIVE.add(self)

    def __len__(self) -> int:
        return len(self.places)

    @property
    def nbytes(self) -> int:
        """Bytes that all take in memory."""
        return len(self) * self._each

    @property
    def counts(self) -> list[int]:
        """Images of each block."""
        return np.bincount(self.places[:, 0], minlength=len(self.files)).tolist()

    @property
    def _each(self) -> int:
        return 3 * self.side * self.side

    def __getitem__(self, rows: Any) -> Tensor:
        """Images of some rows, uint8 (m, 3, r, r), or of one, (3, r, r).

        Raises:
            LostError: they are no longer there.
        """
        chosen = self.places[rows.numpy() if isinstance(rows, Tensor) else rows]
        found = self._read(chosen.reshape(-1, 2))
        return found[0] if chosen.ndim == 1 else found

    def to(self, where: torch.device) -> Images:
        """All of them on an accelerator; where that is the processor, they stay on the disk."""
        if where.type == "cpu":
            return self
        return torch.cat([part.to(where) for part in self.split(READ)])

    def take(self, rows: Tensor) -> StoredImages:
        """The images of some rows, int64 (m,), which are not read."""
        return StoredImages(self.files, self.starts, self.places[rows.numpy()], self.side)

    def split(self, size: int) -> Iterator[Tensor]:
        """All images in order, so many at a time; none where there are none."""
        for start in range(0, len(self), size):
            yield self[start : start + size]

    def replaced(self, rows: Sequence[int], others: StoredImages) -> StoredImages:
        """The same with others of the same size in place of some rows (m,)."""
        places = self.places.copy()
        places[list(rows)] = others.places + np.array([len(self.files), 0])
        files, starts = self.files + others.files, self.starts + others.starts
        return StoredImages(files, starts, places, self.side)

    def _read(self, places: NDArray[np.int64]) -> Tensor:
        """Images at some places (m, 2); neighbours in a block are read at once."""
        _keep()
        images = torch.empty(len(places), 3, self.side, self.side, dtype=torch.uint8)
        view = memoryview(images.numpy().reshape(-1).data)
        ends = np.flatnonzero((np.diff(places, axis=0) != [0, 1]).any(1)) + 1
        for run in np.split(np.arange(len(places)), ends):
            if len(run):
                block, row = places[run[0]].tolist()
                part = view[run[0] * self._each : (run[-1] + 1) * self._each]
                self._read_run(self.files[block], self.starts[block] + row * self._each, part)
        return images

    def _read_run(self, file: Path, start: int, into: memoryview) -> None:
        try:
            with file.open("rb", buffering=0) as stream:
                stream.seek(start)
                done = 0
                while done < len(into):
                    count = stream.readinto(into[done:])
                    if not count:
                        raise OSError(f"it ends after {start + done:,} bytes")
                    done += count
        except OSError as error:
            raise LostError(
                f"decoded images in {file.parent} can no longer be read: {error}; run the same "
                "again, which makes what is missing"
            ) from error


_LIVE: WeakSet[StoredImages] = WeakSet()
"""All of this process."""
_touched = time.monotonic()
"""When their blocks last were."""


def _keep() -> None:
    """Keep the blocks of this process from being deleted while it goes on for long."""
    global _touched
    if time.monotonic() - _touched > IN_USE.total_seconds() / 4:
        _touched = time.monotonic()
        for images in list(_LIVE):
            _touch(images.files)


@dataclass(frozen=True)
class Store:
    """Blocks of decoded images of one size.

    Args:
        side: pixels a side.
        about: all that images depend on beside their files.
        fill: the arrays of a block of files.
    """

    side: int
    about: str
    fill: Callable[[Sequence[Readable]], Arrays]
    fits: Callable[[Sequence[Readable], Arrays], bool] | None = field(default=None)
    """Whether what a block says beside its images still holds; asked of blocks found."""

    def images(self, paths: Sequence[Readable]) -> tuple[StoredImages, list[Path]]:
        """Images of files, those decoded that are not stored yet; and the files of their blocks.

        Raises:
            TaskError: the disk has no room, or cannot be written.
        """
        size = max(1, BLOCK_BYTES // (3 * self.side * self.side))
        parts = [paths[start : start + size] for start in range(0, len(paths), size)]
        try:
            folder = cache_dir(FOLDER)
            files = [folder / (self._name(part) + SUFFIX) for part in parts]
            found = [self._found(file, part) for file, part in zip(files, parts, strict=True)]
            _touch([file for file, start in zip(files, found, strict=True) if start])
            missing = [len(part) for part, start in zip(parts, found, strict=True) if not start]
            _make_room(folder, sum(missing) * 3 * self.side * self.side)
            starts = list(found)
            for number, (file, part) in enumerate(zip(files, parts, strict=True)):
                if not starts[number]:
                    with part_of(len(paths), number * size):
                        write_file(file, save(dict(self.fill(part))))
                    starts[number] = _start(file)
        except OSError as error:
            raise TaskError(
                f"{len(paths):,} decoded images of {self.side} pixels a side cannot be stored in "
                f"tans's cache: {error}; let TANS_CACHE name a folder on a disk with room"
            ) from error
        places = np.stack([np.arange(len(paths)) // size, np.arange(len(paths)) % size], axis=1)
        return StoredImages(files, [s or 0 for s in starts], places, self.side), files

    def _found(self, file: Path, part: Sequence[Readable]) -> int | None:
        """Bytes before the images of a block that is there and still holds."""
        start = _start(file)
        if start is None or (self.fits and not self.fits(part, extras(file))):
            return None
        return start

    def _name(self, part: Sequence[Readable]) -> str:
        digest = hashlib.sha256(f"{self.side}\n{self.about}\n".encode())
        for path in part:
            lasts = not isinstance(path, Content) or path.lasting
            digest.update(f"{identity_of(path)!r}\n{'' if lasts else _PROCESS}".encode())
        return digest.hexdigest()


def numbers_of(
    images: StoredImages, what: str, make: Callable[[], NDArray[np.int64]]
) -> NDArray[np.int64]:
    """What was found of stored images, a number for each, (n,): made once, and stored with them.

    Args:
        what: tells it from all else, and from what earlier versions found.
    """
    digest = hashlib.sha256(repr((what, [file.name for file in images.files])).encode())
    digest.update(images.places.tobytes())
    with suppress(OSError):
        file = cache_dir(FOLDER) / (digest.hexdigest() + SUFFIX)
        found = extras(file).get(NUMBERS)
        if found is not None and found.shape == (len(images),):
            _touch([file])
            return found
    found = make()
    with suppress(OSError):  # it is of use without
        write_file(file, save({NUMBERS: found}))
    return found


def extras(file: Path) -> dict[str, NDArray[Any]]:
    """What a block holds beside its images; nothing where it cannot be read."""
    try:
        with safe_open(file, "numpy") as block:
            return {name: block.get_tensor(name) for name in block.keys() if name != IMAGES}  # noqa: SIM118
    except (OSError, SafetensorError):
        return {}


def _start(file: Path) -> int | None:
    """Bytes before the images of a block; None where it is missing or not whole."""
    try:
        with file.open("rb") as stream:
            size = int.from_bytes(stream.read(8), "little")
            fields = json.loads(stream.read(min(size, 2**24)))
        ends = [each["data_offsets"][1] for name, each in fields.items() if name != "__metadata__"]
        whole = file.stat().st_size == 8 + size + max(ends)
        return 8 + size + int(fields[IMAGES]["data_offsets"][0]) if whole else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _touch(files: Sequence[Path]) -> None:
    for file in files:
        with suppress(OSError):
            os.utime(file)


def _make_room(folder: Path, needed: int) -> None:
    """Delete blocks that were not used for longest, until as many bytes more are not too many.

    Raises:
        OSError: the disk has not so much room all the same.
    """
    if not needed:
        return
    before = time.time() - IN_USE.total_seconds()
    blocks = sorted((file.stat().st_mtime, file) for file in folder.glob(f"*{SUFFIX}"))
    sizes = {file: file.stat().st_size for _, file in blocks}
    spare = min(MOST_KEPT - sum(sizes.values()), shutil.disk_usage(folder).free) - needed
    for used, file in blocks:
        if spare >= 0 or used > before:
            break
        file.unlink(missing_ok=True)
        spare += sizes[file]
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(f"{folder} has {free / 1e9:.2f} GB free, and {needed / 1e9:.2f} are needed")
