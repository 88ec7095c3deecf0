"""``Blobs`` at an address that are read and written, as while a zoo is built there.

    weights/, sheets/, features/  content of the zoo, named by its hash
    build/<sha256>.safetensors    images of tasks, for workers; gone when the build ends
    build/<name>.checkpoint       where a training that stopped goes on; gone when it ends

What is named by its hash is written by one PUT and never changes, so that two who write it write
the same. It is read through tans's cache, once for each machine, and compared with its name.
"""

from __future__ import annotations

import builtins
import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tans.errors import ZooError
from tans.files import alone, cache_dir, replacing
from tans.zoo.blobs import LocalBlobs, damaged, name_of
from tans.zoo.shared import Store, holds, is_content, unreached

BUILD = "build"
"""Folder of what a build needs and a zoo does not."""
MOST = 2**31
"""Bytes of a file that is fetched, at most."""


@dataclass(frozen=True)
class StoreBlobs:
    """The files of a store by key.

    Args:
        store: where they lie.
    """

    store: Store

    def __reduce__(self) -> tuple[type[StoreBlobs], tuple[Store]]:
        return StoreBlobs, (self.store,)

    def __str__(self) -> str:
        return str(self.store)

    @cached_property
    def _seen(self) -> set[str]:
        """Content that was found or written, which stays."""
        return set()

    def get(self, key: str) -> bytes:
        if _is_named(key):
            return self.local(key).read_bytes()
        try:
            return self.store.read(key)
        except OSError as error:
            raise self._lost(key, error) from error

    def put(self, key: str, data: bytes) -> None:
        try:
            self.store.write(key, data)
        except OSError as error:
            raise unreached(f"{self.store}/{key}", error) from error
        self._note(key)

    def exists(self, key: str) -> bool:
        if key in self._seen:
            return True
        try:
            found = self.store.exists(key)
        except OSError as error:
            raise unreached(f"{self.store}/{key}", error) from error
        if found:
            self._note(key)
        return found

    def list(self, prefix: str = "") -> builtins.list[str]:
        try:
            sizes = self.store.sizes(prefix.rpartition("/")[0])
        except OSError as error:
            raise unreached(self.store, error) from error
        return sorted(key for key in sizes if key.startswith(prefix))

    def delete(self, key: str) -> None:
        self._seen.discard(key)
        try:
            self.store.delete([key])
        except OSError as error:
            raise unreached(f"{self.store}/{key}", error) from error

    def local(self, key: str) -> Path:
        if not _is_named(key):
            raise ZooError(f"{self.store}/{key} is not named by its content; expected what is")
        path, digest = LocalBlobs(cache_dir("zoos", "files")).place(key), name_of(key)[1]
        with alone(path):  # the processes of a machine fetch it once
            if not holds(path, digest):
                self._fetch(key, path, digest)
        return path

    def _fetch(self, key: str, path: Path, digest: str) -> None:
        try:
            with replacing(path) as fresh:
                if self.store.save(key, fresh, MOST) != digest:
                    raise damaged(f"{self.store}/{key}", "its content does not match its name")
        except OSError as error:
            raise self._lost(key, error) from error

    def _lost(self, key: str, error: OSError) -> ZooError:
        if isinstance(error, FileNotFoundError):
            return ZooError(f"{self.store}/{key} is missing; build again, which makes it anew")
        return unreached(f"{self.store}/{key}", error)

    def _note(self, key: str) -> None:
        if is_content(key):
            self._seen.add(key)


def build_key(data: bytes) -> str:
    """Where content lies that only a build needs."""
    return f"{BUILD}/{hashlib.sha256(data).hexdigest()}.safetensors"


def _is_named(key: str) -> bool:
    """Whether a key is named by the hash of its content."""
    return is_content(key) or (key.startswith(f"{BUILD}/") and key.endswith(".safetensors"))
