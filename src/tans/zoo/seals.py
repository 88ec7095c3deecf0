"""Seals: what the content of a file was when it was written, for files whose name does not say it.

    seals/<sha256 of this file>.sha256    lines of a SHA-256, two spaces, and a key

They are written as ``sha256sum`` does. A file is sound if a seal has its hash, and damaged if it
has seals and none of them does. A file without a seal is read unchecked: its writer is at work, or
died, or knew no seals.

A file of a table is written once, and sealed once, right after its commit: one that was damaged
since is never sealed anew. A file that others take the place of, such as a manifest, is sealed
before it is replaced, so that a reader finds the old or the new; its older seals stay.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path, PurePosixPath

from tans.errors import ZooError
from tans.zoo.blobs import Blobs, damaged
from tans.zoo.weights import RESTORE

FOLDER, SUFFIX = "seals/", ".sha256"
CHECKED = ("data/", "_deletions/", "_versions/")
"""In a table's folder: what its rows are read from."""
HINT = "_versions/latest_version_hint.json"
"""In a table's folder: a note of LanceDB's, which it replaces."""
ATTEMPTS = 5
"""Of reading what another process is compacting."""
_LINE = re.compile(r"([0-9a-f]{64})  (\S.*)")

Seal = tuple[str, str]
"""A key, and the hash of its content."""


class Seals:
    """The seals of a store.

    Args:
        blobs: the store.
        remedy: what to do about a file that is damaged or lost.
    """

    def __init__(self, blobs: Blobs, remedy: str = RESTORE) -> None:
        self._blobs, self._remedy = blobs, remedy
        self._read: dict[str, frozenset[Seal]] = {}

    def all(self) -> dict[str, set[str]]:
        """By key, the hashes that its content may have.

        Raises:
            ZooError: a seal is damaged.
        """
        found: dict[str, set[str]] = {}
        for seals in self._files().values():
            for key, digest in seals:
                found.setdefault(key, set()).add(digest)
        return found

    def is_sound(self, key: str, sealed: Mapping[str, set[str]]) -> bool:
        """Whether a file is as it was written, or has no seal, or is gone.

        Raises:
            ZooError: it cannot be read, or leads out of the store.
        """
        return self._digest(key) in {None, *sealed[key]} if key in sealed else True

    def seal(self, keys: Iterable[str]) -> None:
        """Seal those files that are there and not sealed yet.

        Raises:
            ZooError: one cannot be read, or the seals cannot be written.
        """
        sealed = self.all()
        digests = {key: self._digest(key) for key in keys if key not in sealed}
        self._add({(key, digest) for key, digest in digests.items() if digest is not None})

    def rewrite(self, keep: Callable[[str], bool]) -> None:
        """Leave one file of seals, of those keys that are to be kept."""
        files = self._files()
        kept = {seal for seals in files.values() for seal in seals if keep(seal[0])}
        made = self._add(kept)
        for name in files.keys() - {made}:
            self._blobs.delete(name)

    # Files that others take the place of

    def get(self, key: str) -> bytes:
        """Content of that key.

        Raises:
            ZooError: it is missing or damaged.
        """
        data = self._blobs.get(key)
        sealed = self.all().get(key)
        if sealed and hashlib.sha256(data).hexdigest() not in sealed:
            where = f"{self._blobs}/{key}"
            raise ZooError(f"{where} is damaged (it is not as it was written); {self._remedy}")
        return data

    def exists(self, key: str) -> bool:
        """Whether there is content of that key.

        Raises:
            ZooError: there was, and it was lost.
        """
        if self._blobs.exists(key):
            return True
        if key in self.all():
            raise ZooError(f"{self._blobs}/{key} is missing; {self._remedy}")
        return False

    def put(self, key: str, data: bytes) -> None:
        """Store content, over what is there, and its seal.

        Raises:
            ZooError: it cannot be written.
        """
        seal = {(key, hashlib.sha256(data).hexdigest())}
        if self._blobs.exists(key) or key in self.all():
            self._add(seal)
        self._blobs.put(key, data)
        self._add(seal)

    def delete(self, key: str) -> None:
        """Forget content and its seals, if there are any."""
        self.rewrite(lambda other: other != key)
        self._blobs.delete(key)

    # Tables

    def files(self, table: str) -> list[str]:
        """Keys of those files of a table that are written once."""
        found = self._blobs.list(f"{table}.lance/")
        return [key for key in found if not key.endswith(".json") and not is_unfinished(key)]

    def check(self, table: str, folders: Iterable[str] = CHECKED) -> None:
        """Refuse a table of which a file is damaged, or the newest manifest was lost.

        Args:
            folders: in the table's, whose files are looked at.

        Raises:
            ZooError: it is.
        """
        where = f"{table}.lance/"
        for _ in range(ATTEMPTS):
            sealed = self.all()  # first: a manifest that they name is there then, or a newer one
            present = self.files(table)
            newest = max((version(key) for key in sealed if key.startswith(where)), default=0)
            if newest <= max(map(version, present), default=0):
                break
        else:
            lost = f"its manifest of version {newest} is missing"
            raise damaged(f"{self._blobs}/{table}.lance", lost)
        for key in present:
            within = key.removeprefix(where)
            if within.startswith(tuple(folders)) and not self.is_sound(key, sealed):
                reason = f"{within} is not as it was written"
                raise damaged(f"{self._blobs}/{table}.lance", reason)

    def _files(self) -> dict[str, frozenset[Seal]]:
        """By key of its file, the seals that were written together."""
        for _ in range(ATTEMPTS):
            names = [key for key in self._blobs.list(FOLDER) if key.endswith(SUFFIX)]
            found = {name: self._read.get(name) or self._parse(name) for name in names}
            self._read = {name: seals for name, seals in found.items() if seals is not None}
            if None not in found.values():
                break
        return self._read

    def _parse(self, name: str) -> frozenset[Seal] | None:
        """The seals of a file; None where another process deletes it."""
        try:
            data = self._blobs.get(name)
        except ZooError:
            if self._blobs.exists(name):
                raise
            return None
        seals = parsed(data)
        if seals is None or PurePosixPath(name).stem != hashlib.sha256(data).hexdigest():
            raise ZooError(
                f"{self._blobs}/{name} is damaged (its content does not match its name); restore "
                "it from a copy, or delete it: what it sealed is then read unchecked"
            )
        return seals

    def _add(self, seals: set[Seal]) -> str | None:
        """Write seals down, if there are any and they are not; the key of their file."""
        if not seals:
            return None
        data = "".join(f"{digest}  {key}\n" for key, digest in sorted(seals)).encode()
        name = f"{FOLDER}{hashlib.sha256(data).hexdigest()}{SUFFIX}"
        if not self._blobs.exists(name):
            self._blobs.put(name, data)
        return name

    def _digest(self, key: str) -> str | None:
        """Hash of the content of a key; None where there is none."""
        try:
            path = self._blobs.local(key)
            state = path.stat()
            return _file_digest(path, (state.st_mtime_ns, state.st_size, state.st_ino))
        except (OSError, ZooError) as error:
            if not self._blobs.exists(key):
                return None  # another process deleted it
            raise ZooError(f"cannot read {self._blobs}/{key}: {error}; {RESTORE}") from error


def parsed(data: bytes) -> frozenset[Seal] | None:
    """The seals that a file of them holds; None where it is none."""
    lines = [_LINE.fullmatch(line) for line in data.decode(errors="replace").splitlines()]
    seals = frozenset((line[2], line[1]) for line in lines if line)
    return seals if len(seals) == len(lines) else None


def is_unfinished(key: str) -> bool:
    """Whether LanceDB is writing a file, or died in it."""
    name = PurePosixPath(key).name
    return name.startswith(".") or "#" in name


def check_hint(blobs: Blobs, table: str) -> None:
    """Refuse what LanceDB notes of a table's newest version, if it cannot be.

    It may be older, where a writer was killed, and is of no use where manifests can be listed.

    Raises:
        ZooError: it is no version, or one that is not there.
    """
    key = f"{table}.lance/{HINT}"
    if not blobs.exists(key):
        return
    newest = max(map(version, blobs.list(f"{table}.lance/")), default=0)
    try:
        fields = json.loads(blobs.get(key))
    except (ValueError, RecursionError):
        fields = None
    found = fields.get("version") if isinstance(fields, dict) else None
    if not isinstance(found, int) or not 0 < found <= newest:
        raise ZooError(
            f"{blobs}/{key} does not name a version up to {newest}; delete it, or, where the "
            "newest manifest was lost, restore the table from a copy"
        )


def version(key: str) -> int:
    """The version that a manifest of a table is of; 0 where the key is none's."""
    path = PurePosixPath(key)
    if path.suffix != ".manifest" or not path.stem.isdecimal():
        return 0
    number = int(path.stem)
    return 2**64 - 1 - number if len(path.stem) == 20 else number  # LanceDB counts down


@lru_cache(maxsize=2**16)
def _file_digest(path: Path, state: tuple[int, ...]) -> str:  # noqa: ARG001 - read once for each
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
