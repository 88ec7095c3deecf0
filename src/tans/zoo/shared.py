"""A zoo at an address, such as ``s3://bucket/zoo``: read without copying its weights.

    index.json                   every file of one state of the zoo, with hash and size
    weights/, sheets/, features/ as in a folder: content named by its hash
    objects/<sha256>             all other files of the zoo, whatever their names in it

Nothing that an index names is ever written over, and the index is written last. So whoever reads
finds one whole state, the old or the new, while others push and wherever they were stopped. A
folder that was copied to a store as it is, which has no index, is read too: its seals say what its
files hold.

What is fetched is compared with its hash before it gets its name, and stays in tans's cache:

    zoos/files/                  content by hash, of all addresses
    zoos/<address>/<index>/      tables, seals and retrieval of one state, as a folder
    zoos/<address>/index.json    the state that was last read
"""

from __future__ import annotations

import builtins
import hashlib
import re
import secrets
import shutil
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, NoReturn, Self, TypeVar
from urllib.parse import urlsplit

from fsspec import AbstractFileSystem
from pydantic import NonNegativeInt, model_validator

from tans.errors import InputError, TansError, TansWarning, ZooError
from tans.files import MOST_BYTES, Manifest, alone, cache_dir, read_file, replacing, write_file
from tans.plugins import filesystem
from tans.types import Digest
from tans.zoo.blobs import SUFFIXES, LocalBlobs, damaged, is_key, name_of
from tans.zoo.manifest import KEY
from tans.zoo.rows import KEYS
from tans.zoo.seals import FOLDER, is_unfinished, parsed

INDEX = "index.json"
OBJECTS = "objects"
RETRIEVAL = "retrieval/"
CREATE = {"IfNoneMatch": "*"}
"""How S3 is asked to write what is not there yet."""
CHUNK = 2**20
"""Bytes that are read at once."""
ATTEMPTS = 4
"""Of reading what others replace meanwhile."""
DIGITS = 16
"""Of a hash that names a folder of the cache."""
AGAIN = "push it again with 'tans zoo push'"
READ_ONLY = "pull it with 'tans zoo pull', change that copy, and push it with 'tans zoo push'"

STATE = "tables and retrieval"
"""What is fetched when a zoo is opened, as it is told."""

_OF_STATE = re.compile(
    rf"{re.escape(KEY)}|(?:{'|'.join(KEYS)})\.lance/.+|(?:costs|ledger)\.jsonl|"
    rf"(?:{RETRIEVAL})?{FOLDER}[^/]+|{RETRIEVAL}[^/]+|construction\.(?:json|md)",
    re.DOTALL,
)
"""Keys of the files of a zoo that are not named by their content."""

_OF_CONTENT = re.compile(
    "|".join(rf"{kind}/[0-9a-f]{{64}}{re.escape(end)}" for kind, end in SUFFIXES.items())
)
"""Keys that are."""

OnFetch = Callable[[str, int], object]
"""Is told what is fetched, before it is, and its size in bytes."""
Told = TypeVar("Told")


# The store


@dataclass
class Traffic:
    """What was exchanged with stores."""

    reads: int = 0
    """Files that were read."""
    read_bytes: int = 0
    writes: int = 0
    """Files that were written."""
    written_bytes: int = 0

    def __add__(self, other: Traffic) -> Traffic:
        return self._with(other, 1)

    def __sub__(self, other: Traffic) -> Traffic:
        return self._with(other, -1)

    def _with(self, other: Traffic, sign: int) -> Traffic:
        return Traffic(*(a + sign * b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def has_read(self, size: int) -> None:
        self.reads += 1
        self.read_bytes += size

    def has_written(self, size: int) -> None:
        self.writes += 1
        self.written_bytes += size


TRAFFIC = Traffic()
"""Of this process, since it began."""


@dataclass(frozen=True)
class Store:
    """Files by key at an address, through fsspec. Whatever fails raises an ``OSError``.

    Args:
        address: without a slash at the end.
    """

    address: str

    @classmethod
    def at(cls, address: str) -> Self:
        """The store at an address, which is not reached yet.

        Raises:
            InputError: it is none, or holds a password, which messages and files would show.
        """
        try:
            parts = urlsplit(address)
        except ValueError as error:
            raise InputError(f"{address!r} is no address: {error}; correct it") from error
        if parts.password is not None or parts.query:
            raise InputError(
                f"an address in {parts.scheme}:// came with a password or a query; expected none "
                "in it: give credentials in the environment, where fsspec looks for them"
            )
        return cls(address.rstrip("/"))

    def __str__(self) -> str:
        return self.address

    def sizes(self, folder: str = "") -> dict[str, int]:
        """Bytes of each file, by key; none where there is nothing.

        Args:
            folder: whose files, such as ``weights``; all when empty.
        """

        def find(files: Any, root: str) -> dict[str, int]:
            files.invalidate_cache()
            try:
                found = files.find(f"{root}/{folder}" if folder else root, detail=True)
            except FileNotFoundError:
                return {}
            inside = {name.removeprefix(f"{root}/"): each for name, each in found.items()}
            return {key: int(each["size"] or 0) for key, each in inside.items()}

        return self._asked(find)

    def read(self, key: str, most: int = MOST_BYTES) -> bytes:
        """Content of a file, up to so many bytes."""
        return self._asked(lambda files, root: self._begin(files, root, key, most))

    def save(self, key: str, path: Path, size: int) -> str:
        """Write a file's content to a new file here; its SHA-256.

        Args:
            size: that it should have; a byte more at most is read.
        """
        return self._asked(lambda files, root: self._copy(files, root, key, path, size))

    def exists(self, key: str) -> bool:
        """Whether there is such a file."""

        def exists(files: Any, root: str) -> bool:
            files.invalidate_cache()
            return bool(files.exists(f"{root}/{key}"))

        return self._asked(exists)

    def delete(self, keys: Iterable[str]) -> None:
        """Delete those files that are there."""

        def delete(files: Any, root: str) -> None:
            for key in keys:
                with suppress(FileNotFoundError):
                    files.rm_file(f"{root}/{key}")

        self._asked(delete)

    def swap(self, key: str, before: bytes | None, after: bytes) -> bool:
        """Write a file over content that is still as it was; False where another changed it.

        On S3 the store itself sees to it. Elsewhere another may write in the moment between.

        Args:
            before: what is to be there; None where nothing is.
        """

        def tag(files: Any, root: str) -> dict[str, str]:
            files.invalidate_cache()
            if "s3" not in files.protocol:
                return {}
            return {"IfMatch": files.info(f"{root}/{key}")["ETag"]} if before else CREATE

        try:
            given = self._asked(tag)
            if self._content(key) != before:
                return False
            self.write(key, after, **given)
        except OSError:  # of a condition that does not hold, or of an answer that was lost
            if (there := self._content(key)) == before:
                raise
            return there == after
        return True

    def _content(self, key: str) -> bytes | None:
        try:
            return self.read(key)
        except FileNotFoundError:
            return None

    def write(self, key: str, content: bytes, **given: str) -> None:
        """Store content whole or not at all, over what is there.

        Args:
            given: conditions, for stores that write whole.
        """

        def put(files: Any, root: str) -> None:
            TRAFFIC.has_written(len(content))
            name = f"{root}/{key}"
            if not files.async_impl:  # those that are have no folders, but might make a bucket
                files.makedirs(name.rpartition("/")[0], exist_ok=True)
            if type(files).mv is AbstractFileSystem.mv:  # it cannot rename, and writes whole
                files.pipe_file(name, content, **given)
                return
            files.makedirs(f"{root}/{OBJECTS}", exist_ok=True)
            fresh = f"{root}/{OBJECTS}/{secrets.token_hex(8)}.tmp"
            files.pipe_file(fresh, content)
            files.mv(fresh, name)

        self._asked(put)

    @staticmethod
    def _begin(files: Any, root: str, key: str, most: int) -> bytes:
        files.invalidate_cache()  # another may have replaced it
        with files.open(f"{root}/{key}", "rb") as source:
            data: bytes = source.read(most)
        TRAFFIC.has_read(len(data))
        return data

    @staticmethod
    def _copy(files: Any, root: str, key: str, path: Path, size: int) -> str:
        digest = hashlib.sha256()
        left = size + 1
        with files.open(f"{root}/{key}", "rb") as source, path.open("xb") as target:
            while left > 0 and (part := source.read(min(CHUNK, left))):
                digest.update(part)
                target.write(part)
                left -= len(part)
        TRAFFIC.has_read(size + 1 - left)
        return digest.hexdigest()

    def _asked(self, action: Callable[[Any, str], Told]) -> Told:
        """What comes of an action with the file system and the path in it.

        Raises:
            OSError: it fails; stores have errors of all kinds.
        """
        try:
            files, root = filesystem(self.address)
            return action(files, root.rstrip("/"))
        except (OSError, TansError):
            raise
        except Exception as error:
            raise OSError(f"{type(error).__name__}: {error}") from error


# The index


@dataclass(frozen=True)
class Part:
    """A file of a shared zoo."""

    sha256: Digest
    size: NonNegativeInt
    """Bytes."""


class Index(Manifest):
    """Every file of one state of a zoo."""

    ERROR: ClassVar[type[TansError]] = ZooError
    REMEDY: ClassVar[str] = AGAIN

    files: dict[str, Part]
    """By key in the zoo's folder."""
    plain: bool = False
    """Whether all files lie under their keys, as where a folder was copied as it is."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for key, part in self.files.items():
            if not is_shared(key):
                raise ValueError(f"{key!r} is no name of a file of a zoo")
            if is_content(key) and name_of(key)[1] != part.sha256:
                raise ValueError(f"{key} is named by another hash than {part.sha256}")
        if KEY not in self.files:
            raise ValueError(f"it lacks {KEY}")
        return self

    @property
    def digest(self) -> str:
        """SHA-256 of what it says."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    @property
    def state(self) -> list[str]:
        """Keys of tables, seals, retrieval and manifest: what a search reads first."""
        return [key for key in self.files if not is_content(key)]

    def place(self, key: str) -> str:
        """Where a file lies at the address."""
        return key if self.plain else place_of(key, self.files[key].sha256)


def place_of(key: str, digest: str) -> str:
    """Where a file of a zoo is pushed to."""
    return key if is_content(key) else f"{OBJECTS}/{digest}"


def is_content(key: str) -> bool:
    """Whether a key is named by the hash of its content."""
    return _OF_CONTENT.fullmatch(key) is not None


def is_shared(key: str) -> bool:
    """Whether a file in a zoo's folder is part of the zoo; others are not pushed or pulled."""
    if not is_key(key) or is_unfinished(key):
        return False
    note = ".lance/" in key and key.endswith(".json")  # of LanceDB's, which it replaces
    return is_content(key) or (_OF_STATE.fullmatch(key) is not None and not note)


def read_index(store: Store) -> Index:
    """What the zoo at an address consists of.

    Raises:
        FileNotFoundError: there is none.
        OSError: the store cannot be reached.
        ZooError: what is there is damaged.
    """
    try:
        return Index.parse(store.read(INDEX), f"{store}/{INDEX}")
    except FileNotFoundError:
        return _listed(store)


def _listed(store: Store) -> Index:
    """The index of a folder that was copied to a store as it is."""
    for _ in range(ATTEMPTS):
        sizes = {key: size for key, size in store.sizes().items() if is_shared(key)}
        if KEY not in sizes:
            raise FileNotFoundError(f"there is no {INDEX} and no {KEY}")
        sealed = _sealed(store, sizes)
        try:
            files = {key: _part(store, key, size, sealed) for key, size in sizes.items()}
        except FileNotFoundError:  # another is writing there
            continue
        if sizes == {key: size for key, size in store.sizes().items() if is_shared(key)}:
            return Index(files=files, plain=True)
    raise OSError("it changes all the time")


def _sealed(store: Store, keys: Mapping[str, int]) -> dict[str, set[str]]:
    """By key, the hashes that its content may have."""
    found: dict[str, set[str]] = {}
    for name in (key for key in keys if key.startswith((FOLDER, f"{RETRIEVAL}{FOLDER}"))):
        data = store.read(name)
        seals = parsed(data)
        if seals is None or hashlib.sha256(data).hexdigest() != PurePosixPath(name).stem:
            raise damaged(f"{store}/{name}", "its content does not match its name")
        within = name.partition(FOLDER)[0]
        for key, digest in seals:
            found.setdefault(within + key, set()).add(digest)
    return found


def _part(store: Store, key: str, size: int, sealed: Mapping[str, set[str]]) -> Part:
    """What a file holds, by its name, its one seal, or itself."""
    known = sealed.get(key, set())
    if is_content(key):
        return Part(name_of(key)[1], size)
    if len(known) == 1:
        return Part(min(known), size)
    data = store.read(key)
    digest = hashlib.sha256(data).hexdigest()
    if known and digest not in known:
        raise damaged(f"{store}/{key}", "it is not as it was written")
    return Part(digest, len(data))


# Fetching


def fetch(store: Store, index: Index, key: str, path: Path) -> None:
    """Write a file of a shared zoo to a place here, whole and as it was pushed, or not at all.

    Raises:
        ZooError: it is missing or damaged, or cannot be reached or written.
    """
    part, place = index.files[key], index.place(key)
    try:
        with replacing(path) as fresh:
            if store.save(place, fresh, part.size) != part.sha256:
                raise damaged(f"{store}/{place}", "its content is not what the index says")
    except FileNotFoundError as error:
        raise ZooError(f"{store}/{place} is missing; {AGAIN}") from error
    except OSError as error:
        raise unreached(f"{store}/{place}", error) from error


def unreached(where: object, error: Exception) -> ZooError:
    """The error of a store that does not answer as it should."""
    reason = " ".join(str(error).split()) or type(error).__name__
    return ZooError(
        f"{where} cannot be reached ({reason}); correct the address, or look at the connection "
        "and at the credentials in the environment, and try again"
    )


class PulledBlobs:
    """``Blobs`` of the content of a shared zoo, each fetched when it is first read.

    Args:
        store: where it lies.
        index: of the state that is read.
        on_fetch: told what is fetched.
    """

    def __init__(self, store: Store, index: Index, on_fetch: OnFetch | None = None) -> None:
        self.store, self.index, self.on_fetch = store, index, on_fetch
        self._here = LocalBlobs(cache_dir("zoos", "files"))

    def __reduce__(self) -> tuple[type[PulledBlobs], tuple[Store, Index]]:
        return PulledBlobs, (self.store, self.index)  # what listens does not travel

    def __str__(self) -> str:
        return str(self.store)

    def get(self, key: str) -> bytes:
        return self.local(key).read_bytes()

    def put(self, key: str, data: bytes) -> None:  # noqa: ARG002 - as the protocol has it
        self.refuse_change()

    def exists(self, key: str) -> bool:
        return key in self.index.files

    def list(self, prefix: str = "") -> builtins.list[str]:
        return sorted(key for key in self.index.files if key.startswith(prefix))

    def delete(self, key: str) -> None:  # noqa: ARG002 - as the protocol has it
        self.refuse_change()

    def local(self, key: str) -> Path:
        if key not in self.index.files:
            raise ZooError(f"{self.store}/{key} is missing; {AGAIN}")
        (path,) = self.here([key], key)
        return path

    def here(self, keys: Sequence[str], name: str) -> builtins.list[Path]:
        """Files on this machine with the content of some keys, fetched where they are not yet.

        Args:
            name: that what is fetched is told by.

        Raises:
            ZooError: one is missing or damaged, or cannot be reached or written.
        """
        parts = [self.index.files[key] for key in keys]
        paths = [
            self._here.place(place_of(key, part.sha256))
            for key, part in zip(keys, parts, strict=True)
        ]
        found = list(zip(keys, parts, paths, strict=True))
        missing = [each for each in found if not holds(each[2], each[1].sha256)]
        if missing and self.on_fetch is not None:
            self.on_fetch(name, sum(part.size for _, part, _ in missing))
        for key, _, path in missing:
            fetch(self.store, self.index, key, path)
        return paths

    def copy_state(self, folder: Path) -> None:
        """Copy all but the content to a folder here: tables, seals, retrieval and manifests.

        Raises:
            ZooError: a file is missing or damaged, or cannot be reached or written.
        """
        state = self.index.state
        for key, path in zip(state, self.here(state, STATE), strict=True):
            target = folder / key
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)

    def refuse_change(self) -> NoReturn:
        """Say that a shared zoo is only read.

        Raises:
            ZooError: always.
        """
        raise ZooError(f"the zoo at {self.store} is shared and only read here; {READ_ONLY}")


def holds(path: Path, digest: str) -> bool:
    """Whether a file is there and has that content."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == digest
    except OSError:
        return False


# Opening


def open_shared(address: str, on_fetch: OnFetch | None = None) -> tuple[Path, PulledBlobs]:
    """A folder with all but the content of the zoo at an address, and what fetches that.

    Where the store does not answer, what was last read from it is opened, with a ``TansWarning``.

    Args:
        on_fetch: told what is fetched, now and later.

    Raises:
        InputError: the address holds a password.
        ZooError: there is no zoo, it is damaged, or it cannot be reached and never was.
        MissingExtraError: an extra of tans brings what reaches such a store.
    """
    store = Store.at(address)
    try:
        kept = cache_dir("zoos", hashlib.sha256(store.address.encode()).hexdigest()[:DIGITS])
        return _opened(store, kept, on_fetch)
    except OSError as error:
        raise ZooError(
            f"cannot keep what is read of {store}: {error}; make room in tans's cache, or set "
            "TANS_CACHE to a folder that can be written"
        ) from error


def _opened(store: Store, kept: Path, on_fetch: OnFetch | None) -> tuple[Path, PulledBlobs]:
    index = newest_index(store, kept / INDEX)
    for attempt in range(ATTEMPTS):
        pulled = PulledBlobs(store, index, on_fetch)
        try:
            with alone(kept / "state"):
                folder = _mirrored(pulled, kept)
                write_file(kept / INDEX, index.to_bytes())
            return folder, pulled
        except ZooError:
            newer = newest_index(store, kept / INDEX)
            if newer == index or attempt == ATTEMPTS - 1:
                raise
            index = newer  # it was replaced while it was read
    raise AssertionError("the last attempt returns or raises")


def newest_index(store: Store, last: Path | None = None) -> Index:
    """What the zoo at an address consists of, as messages want it.

    Args:
        last: a file with what was last read, to use where the store does not answer.

    Raises:
        ZooError: there is none, it is damaged, or it cannot be reached.
        MissingExtraError: an extra of tans brings what reaches such a store.
    """
    try:
        return read_index(store)
    except FileNotFoundError as error:
        raise ZooError(
            f"no zoo at {store} (neither {INDEX} nor {KEY}); correct the address, or push one "
            "with 'tans zoo push'"
        ) from error
    except OSError as error:
        if isinstance(error, PermissionError) or last is None or not last.exists():
            raise unreached(store, error) from error
        day = time.strftime("%Y-%m-%d %H:%M", time.localtime(last.stat().st_mtime))
        warnings.warn(
            f"{store} cannot be reached ({error}): what was read of it on {day} is used",
            TansWarning,
            stacklevel=2,
        )
        return Index.parse(read_file(last), last)


def _mirrored(pulled: PulledBlobs, kept: Path) -> Path:
    """The folder of one state, made whole or not at all."""
    index = pulled.index
    folder = kept / index.digest[:DIGITS]
    blobs = LocalBlobs(folder)
    if all(holds(blobs.place(key), index.files[key].sha256) for key in index.state):
        return folder
    with replacing(folder) as fresh:
        pulled.copy_state(fresh)
    return folder
