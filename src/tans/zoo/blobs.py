"""Where a zoo's files lie: content by key, in a folder or whatever else follows one protocol.

Most of them are named by the hash of their content, so they never change and cannot be half
written. Tables are not among them: LanceDB keeps those.
"""

from __future__ import annotations

import builtins
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from tans.errors import ZooError
from tans.files import is_unfinished, sweep, write_file
from tans.zoo.weights import RESTORE

SUFFIXES = {"weights": ".safetensors", "sheets": ".webp", "features": ".safetensors"}
"""Kinds of content that are named by its hash, and the endings of their names."""


class Blobs(Protocol):
    """A store of content by key, such as ``zoo.json`` or ``sheets/<hash>.webp``.

    A key is names with ``/`` between them, of which none is empty, ``.`` or ``..``. As text, a
    store is where it lies. Every method raises a ``ZooError`` for what is no key or leads out of
    the store, or when the store cannot be reached.
    """

    def get(self, key: str) -> bytes:
        """Content of that key.

        Raises:
            ZooError: there is none.
        """
        ...

    def put(self, key: str, data: bytes) -> None:
        """Store content whole or not at all, over what is there.

        Raises:
            ZooError: it cannot be written.
        """
        ...

    def exists(self, key: str) -> bool:
        """Whether there is content of that key."""
        ...

    def list(self, prefix: str = "") -> builtins.list[str]:
        """Keys that begin with ``prefix``, in order."""
        ...

    def delete(self, key: str) -> None:
        """Forget the content of that key, if there is any."""
        ...

    def local(self, key: str) -> Path:
        """A file on this machine with the content of that key, for what maps it into memory.

        Raises:
            ZooError: there is none.
        """
        ...


def is_key(key: str) -> bool:
    """Whether a text is the key of some content, which stays below its store."""
    parts = key.split("/")
    return all(parts) and not {".", ".."} & set(parts) and not set("\\:\0") & set(key)


class LocalBlobs:
    """``Blobs`` in a folder, a file for each key.

    Symbolic links may lead from one place in the folder to another. What leads out of it is
    refused: a zoo of somebody else must not have other files read, or written over.

    Args:
        root: the folder; the first ``put`` makes it.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self._real_root = f"{os.path.realpath(root)}{os.sep}"

    def __str__(self) -> str:
        return str(self.root)

    def get(self, key: str) -> bytes:
        path = self.local(key)
        try:
            return path.read_bytes()
        except OSError as error:
            raise ZooError(f"cannot read {path}: {error}; {RESTORE}") from error

    def put(self, key: str, data: bytes) -> None:
        path = self.place(key)
        try:
            write_file(path, data)
        except OSError as error:
            raise ZooError(f"cannot write {path}: {error}; check the disk and rights") from error

    def exists(self, key: str) -> bool:
        return os.path.isfile(self.place(key))  # noqa: PTH113 - False where rights are missing

    def list(self, prefix: str = "") -> builtins.list[str]:
        folder = prefix.rpartition("/")[0]
        within = self.place(folder) if folder else self.root
        return sorted(key for key in self._keys(within) if key.startswith(prefix))

    def delete(self, key: str) -> None:
        path = self.place(key)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise ZooError(f"cannot delete {path}: {error}; check its rights") from error

    def local(self, key: str) -> Path:
        path = self.place(key)
        if not os.path.isfile(path):  # noqa: PTH113 - False where rights are missing
            raise ZooError(f"{path} is missing; {RESTORE}")
        return path

    def sweep(self) -> None:
        """Delete what writers that died left."""
        for folder, _, _ in os.walk(self.root):
            sweep(Path(folder))

    def place(self, key: str) -> Path:
        """Where a key lies, or would.

        Raises:
            ZooError: it is no key, or it leads out of the folder.
        """
        if not is_key(key):
            raise ZooError(
                f"{key!r} is no name of a file in {self.root}; expected names with / between "
                f"them that stay below it; {RESTORE}"
            )
        path = self.root.joinpath(*key.split("/"))
        real = os.path.realpath(path)
        if not real.startswith(self._real_root):
            raise ZooError(
                f"{path} is a link that leads out of {self.root}, to {real}; expected the file "
                "itself: copy the folder with its links followed, as 'cp -rL' does"
            )
        return path

    def _keys(self, folder: Path) -> Iterator[str]:
        for within, _, names in os.walk(folder):
            above = Path(within).relative_to(self.root).as_posix()
            for name in names:
                if not is_unfinished(Path(name)):
                    yield name if above == "." else f"{above}/{name}"


def as_blobs(place: str | Path | Blobs) -> Blobs:
    """The store at a place: a folder, or already one."""
    return LocalBlobs(place) if isinstance(place, str | Path) else place


@dataclass(frozen=True)
class Files:
    """What is named ``<kind>/<sha256 of the content><suffix>`` among the blobs of a zoo."""

    blobs: Blobs

    def keys(self) -> list[str]:
        """Of all such blobs, kind by kind, in order of name."""
        return [
            key
            for kind, end in SUFFIXES.items()
            for key in self.blobs.list(f"{kind}/")
            if key.endswith(end)
        ]

    def put(self, kind: str, data: bytes) -> str:
        """Store content, over damaged content too; its hash.

        Raises:
            ZooError: it cannot be written.
        """
        digest = hashlib.sha256(data).hexdigest()
        self.blobs.put(_key(kind, digest), data)
        return digest

    def get(self, kind: str, digest: str) -> bytes:
        """Content of that hash.

        Raises:
            ZooError: it is missing or damaged.
        """
        data = self.blobs.get(_key(kind, digest))
        if hashlib.sha256(data).hexdigest() != digest:
            raise damaged(self.where(kind, digest), "its content does not match its name")
        return data

    def where(self, kind: str, digest: str) -> str:
        """Place of content of that hash, as messages say it."""
        return f"{self.blobs}/{_key(kind, digest)}"

    def require(self, kind: str, digest: str) -> None:
        """Make sure that content is there, without reading it.

        Raises:
            ZooError: it is missing.
        """
        if not self.blobs.exists(_key(kind, digest)):
            raise ZooError(f"{self.where(kind, digest)} is missing; store it before its rows")


def name_of(key: str) -> tuple[str, str]:
    """Kind and hash that make up a key of ``Files``."""
    path = PurePosixPath(key)
    return path.parts[0], path.stem


def damaged(where: object, reason: object) -> ZooError:
    """The error of a file that is there and cannot be read."""
    return ZooError(f"{where} is damaged ({reason}); {RESTORE}")


def _key(kind: str, digest: str) -> str:
    return f"{kind}/{digest}{SUFFIXES[kind]}"
