"""Files named by the hash of their content, which never change and cannot be half written."""

from __future__ import annotations

import hashlib
import os
import time
import uuid
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from tans.errors import ZooError
from tans.zoo.weights import RESTORE

SUFFIXES = {"weights": ".safetensors", "sheets": ".webp", "features": ".safetensors"}
"""Folders, and the endings of their files."""
UNFINISHED = timedelta(hours=1)
"""Age from which an unfinished file is no writer's any more."""


@dataclass(frozen=True)
class Files:
    """The folders of a zoo whose files are named ``<sha256 of the content><suffix>``."""

    root: Path
    """Folder of the zoo."""

    def create(self) -> None:
        """Make the empty folders; those that are there stay."""
        for folder in SUFFIXES:
            (self.root / folder).mkdir(parents=True, exist_ok=True)

    def paths(self) -> list[Path]:
        """All files, folder by folder, in order of name."""
        return [
            path
            for name, end in SUFFIXES.items()
            for path in sorted(self.root.glob(f"{name}/*{end}"))
        ]

    def put(self, folder: str, data: bytes) -> str:
        """Store a file, over a damaged one too; its hash.

        Raises:
            ZooError: it cannot be written.
        """
        digest = hashlib.sha256(data).hexdigest()
        write_file(self._path(folder, digest), data)
        return digest

    def get(self, folder: str, digest: str) -> bytes:
        """Content of the file of that hash.

        Raises:
            ZooError: it is missing or damaged.
        """
        path = self._path(folder, digest)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ZooError(f"{path} is missing; {RESTORE}") from error
        if hashlib.sha256(data).hexdigest() != digest:
            raise damaged(path, "its content does not match its name")
        return data

    def require(self, folder: str, digest: str) -> None:
        """Make sure that a file is there, without reading it.

        Raises:
            ZooError: it is missing.
        """
        path = self._path(folder, digest)
        if not path.is_file():
            raise ZooError(f"{path} is missing; store it before its rows")

    def clean(self) -> None:
        """Delete the unfinished files of writers that were killed."""
        for file in self.root.glob("**/*.tmp"):
            if time.time() - file.stat().st_mtime > UNFINISHED.total_seconds():
                file.unlink(missing_ok=True)

    def _path(self, folder: str, digest: str) -> Path:
        return self.root / folder / f"{digest}{SUFFIXES[folder]}"


def write_file(path: Path, data: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        ZooError: it cannot be written.
    """
    unfinished = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with unfinished.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # a row must never outlive the file that it names
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise ZooError(f"cannot write {path}: {error}; check the disk and rights") from error


def damaged(path: Path, reason: object) -> ZooError:
    """The error of a file that is there and cannot be read."""
    return ZooError(f"{path} is damaged ({reason}); {RESTORE}")
