"""Where trainings go on that were stopped: in the zoo's folder, or at its address."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tans.files import cache_dir, write_file
from tans.zoo.stored import BUILD, StoreBlobs
from tans.zoo.zoo import Zoo

SUFFIX = ".checkpoint"


@dataclass
class Checkpoint:
    """A file that a training writes after an epoch, and its copy at the zoo's address."""

    path: Path
    blobs: StoreBlobs | None = None
    """None where the file itself is what stays."""
    key: str = ""
    _sent: int = 0
    """When the file was written that was sent last, in nanoseconds."""

    def sync(self) -> None:
        """Send the file, if it was written since it was last sent, with its hash before it.

        Raises:
            ZooError: the store cannot be reached or written.
        """
        if self.blobs is None or not self.path.exists():
            return
        written = self.path.stat().st_mtime_ns
        if written != self._sent:
            data = self.path.read_bytes()
            self.blobs.put(self.key, hashlib.sha256(data).digest() + data)
            self._sent = written

    def fetch(self) -> None:
        """Bring the file here as it was last sent; one that is damaged counts as none."""
        assert self.blobs is not None
        self.path.unlink(missing_ok=True)
        if not self.blobs.exists(self.key):
            return
        sent = self.blobs.get(self.key)
        digest, data = sent[:32], sent[32:]
        if hashlib.sha256(data).digest() == digest:
            write_file(self.path, data)
            self._sent = self.path.stat().st_mtime_ns


@contextmanager
def checkpoint(zoo: Zoo, name: str) -> Iterator[Checkpoint]:
    """The checkpoint of a training, as it was left; it stays until ``forget``.

    Raises:
        ZooError: the store cannot be reached.
    """
    blobs = zoo.files.blobs
    if not isinstance(blobs, StoreBlobs):
        yield Checkpoint(zoo.path / f"{name}{SUFFIX}")
        return
    digest = hashlib.sha256(f"{blobs} {name}".encode()).hexdigest()
    kept = Checkpoint(cache_dir("checkpoints") / digest, blobs, _key(name))
    kept.fetch()
    try:
        yield kept
    finally:
        kept.path.unlink(missing_ok=True)


def forget(zoo: Zoo, *names: str) -> None:
    """Delete the checkpoints of trainings that have ended.

    Raises:
        ZooError: the store cannot be reached.
    """
    blobs = zoo.files.blobs
    if isinstance(blobs, StoreBlobs):
        for key in {_key(name) for name in names} & set(blobs.list(f"{BUILD}/")):
            blobs.delete(key)
        return
    for name in names:
        (zoo.path / f"{name}{SUFFIX}").unlink(missing_ok=True)


def tidy(zoo: Zoo) -> None:
    """Delete what only a build needed that has ended: packed images, and checkpoints.

    Raises:
        ZooError: the store cannot be reached.
    """
    blobs = zoo.files.blobs
    if isinstance(blobs, StoreBlobs):
        for key in blobs.list(f"{BUILD}/"):
            blobs.delete(key)


def _key(name: str) -> str:
    return f"{BUILD}/{name}{SUFFIX}"
