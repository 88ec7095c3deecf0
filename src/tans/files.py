"""Every file that tans writes: whole or not at all. Every file of JSON that it reads: checked.

    write_file, replacing   a file, or a whole folder, that takes its place at once
    write_files             files that take their places together
    read_file               what a file holds that may be anything, and of any size
    sweep                   deletes what writers that died left half done
    remove_empty            removes folders that were made for what did not come
    alone                   one process at a time, until it ends or dies
    Manifest                what a file of JSON says, with a numbered schema and migrations
    cache_dir               where tans keeps what it can make again

What is unfinished lies beside its place, with one form of name: ``.<name>.<8 hex digits>.tmp``. A
folder that is being replaced is put aside as ``.<name>.<8 hex digits>.old``. Beside them lies
``.<name>.<8 hex digits>.lock``, which the system keeps locked for as long as the writer lives: what
lies beside a free lock is a dead writer's. Where a disk or system has no such locks, age tells.
"""

from __future__ import annotations

import errno
import json
import os
import re
import reprlib
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, Self

import platformdirs
from pydantic import BaseModel, ConfigDict, ValidationError

from tans.errors import TansError, visible
from tans.interrupts import uninterrupted

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

MOST_BYTES = 2**28
"""Of a file of text that is read."""
MOST_LETTERS = 400
"""Of what an error says of a file that is damaged."""
UNFINISHED = timedelta(hours=1)
"""Age from which an unfinished file is no writer's any more, where locks do not tell."""
CACHE_TAG = "CACHEDIR.TAG"
SIGNATURE = b"Signature: 8a477f597d28d172789f06886806bc55"
"""How that file begins in a folder of any program's cache, https://bford.info/cachedir/."""

_UNFINISHED_NAME = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{8}\.(?P<kind>tmp|old|lock)", re.DOTALL)
_SHARED = "0" * 8
"""In the name of a lock that several processes want, in place of a writer's own digits."""


def cache_dir(*parts: str) -> Path:
    """A folder below the user's cache (or below ``$TANS_CACHE``), created when missing."""
    root = Path(os.environ.get("TANS_CACHE") or platformdirs.user_cache_dir("tans"))
    folder = root.joinpath(*parts)
    folder.mkdir(parents=True, exist_ok=True)
    if not is_cache(root):
        with suppress(OSError):  # it is of use without
            write_file(
                root / CACHE_TAG, SIGNATURE + b"\n# Made by tans, which can make it again.\n"
            )
    return folder


def is_cache(folder: Path) -> bool:
    """Whether a folder says of itself that a program can make its content again."""
    try:
        return (folder / CACHE_TAG).read_bytes().startswith(SIGNATURE)
    except OSError:
        return False


# Writing


def write_file(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, over the one that is there; its folder is made too.

    Raises:
        OSError: it cannot be written; what was there is as it was.
    """
    with replacing(path) as fresh:
        fresh.write_bytes(data)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a place beside ``path`` to write a file or to make a folder at.

    When the block ends, all of it is brought to the disk and takes the place of ``path``. When the
    block fails, it is removed and what was at ``path`` is as it was.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent)
    with _writing(path) as (fresh, old):
        try:
            yield fresh
            _sync(fresh)
            _take_place(path, fresh, old)
        except BaseException:
            _leave_place(path, fresh, old)
            raise


@uninterrupted
def _take_place(path: Path, fresh: Path, old: Path) -> None:
    if fresh.is_dir() and path.is_dir():
        path.replace(old)  # a folder cannot take the place of one that holds files
    fresh.replace(path)
    _remove(old)


@uninterrupted
def _leave_place(path: Path, fresh: Path, old: Path) -> None:
    """Undo what was done of taking a place."""
    _remove(fresh)
    if old.exists() and not path.exists():
        old.replace(path)


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files that belong together, in their order, over those of their names.

    All are written before the first takes its place, which keeps what a full disk does from the
    ones that are there; and where one cannot take it, the others give theirs back.

    Raises:
        OSError: one cannot be written; what was there is as it was.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder)
    with ExitStack() as held:
        places = {folder / name: held.enter_context(_writing(folder / name)) for name in files}
        try:
            for (fresh, _), data in zip(places.values(), files.values(), strict=True):
                fresh.write_bytes(data)
                _sync(fresh)
            _take_places(places)
        except BaseException:
            _remove_new(places)
            raise


Places = Mapping[Path, tuple[Path, Path]]
"""By place: where what is new is written, and where what was is put aside."""


@uninterrupted
def _take_places(places: Places) -> None:
    """Bring files that are written to their places, all or none."""
    begun: list[Path] = []
    try:
        for place, (fresh, old) in places.items():
            begun.append(place)
            _put_aside(place, old)
            fresh.replace(place)
    except BaseException:
        for place in begun:
            _give_back(place, *places[place])
        raise
    for _, old in places.values():
        _remove(old)


@uninterrupted
def _remove_new(places: Places) -> None:
    for fresh, _ in places.values():
        _remove(fresh)


def _put_aside(place: Path, old: Path) -> None:
    """Keep a file, if there is one, under another name too, so that its own is never missing."""
    if place.exists():
        try:
            old.hardlink_to(place)
        except OSError:  # of a disk that has no links
            place.replace(old)


def _give_back(place: Path, fresh: Path, old: Path) -> None:
    """Undo that something new took its place."""
    if old.exists():
        old.replace(place)
        _remove(old)  # a rename to another name of the same file leaves both
    elif not fresh.exists():
        _remove(place)


def try_folder(folder: Path) -> None:
    """Write into a folder, which may be missing, and leave everything as it was.

    Raises:
        OSError: it cannot be written.
    """
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _writing(folder / "tried") as (tried, _):
            try:
                tried.write_bytes(b"tried")
            finally:
                _remove(tried)
    finally:
        remove_empty(missing)


@uninterrupted
def remove_empty(folders: Iterable[Path]) -> None:
    """Remove folders that hold nothing, such as were made for what did not come."""
    for folder in folders:
        with suppress(OSError):  # it holds something, or is not there
            folder.rmdir()


def is_unfinished(path: Path) -> bool:
    """Whether a file or folder is on its way to its place, its lock, or left by a dead writer."""
    return _UNFINISHED_NAME.fullmatch(path.name) is not None


@contextmanager
def alone(path: Path, on_wait: Callable[[], object] | None = None) -> Iterator[bool]:
    """Hold what a path stands for alone: nobody else does before the block ends.

    A process that dies holds nothing any more. Yields whether the disk has locks that tell; where
    it has none, nobody waits for anybody.

    Args:
        path: any name in a folder, which is made when missing; nothing needs to be there.
        on_wait: called once if another holds it; what it raises ends the wait.

    Raises:
        OSError: the folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path.with_name(f".{path.name}.{_SHARED}.lock"), on_wait) as held:
        yield held


def sweep(folder: Path) -> None:
    """Delete what writers that died left in a folder, not below it.

    A living writer's stays. A folder that was put aside when its writer died comes back. What has
    no lock and is younger than an hour may be a living writer's too. What cannot be deleted stays.
    """
    with suppress(OSError):  # no folder, or no rights to it
        for lock in sorted({p.with_suffix(".lock") for p in folder.iterdir() if is_unfinished(p)}):
            with suppress(OSError):  # another process swept it first
                _sweep(lock)


def _sweep(lock: Path) -> None:
    left = [p for kind in (".old", ".tmp", ".lock") if (p := lock.with_suffix(kind)).exists()]
    before = time.time() - UNFINISHED.total_seconds()
    with _tried(lock) as free:
        for path in left:
            if free or (free is None and path.lstat().st_mtime < before):
                _settle(path)


@contextmanager
def _writing(path: Path) -> Iterator[tuple[Path, Path]]:
    """Two places beside a path that are a living writer's: for what is new, and for what was."""
    lock = path.with_name(f".{path.name}.{secrets.token_hex(4)}.lock")
    with _locked(lock):
        yield lock.with_suffix(".tmp"), lock.with_suffix(".old")


@contextmanager
def _locked(lock: Path, on_wait: Callable[[], object] | None = None) -> Iterator[bool]:
    """Make and lock a file, and remove it at the end; yields whether there are locks."""
    if fcntl is None:
        yield False
        return
    while (taken := _take(lock)) is None:
        if on_wait is not None:
            on_wait()
            on_wait = None
        _wait(lock)
    file, held = taken
    try:
        yield held
    finally:
        _give_up(lock, file)


@uninterrupted
def _take(lock: Path) -> tuple[int, bool] | None:
    """A file of that name, open, and whether it is locked; None while another holds it."""
    while True:
        file = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            held = _lock(file)
            if held is None or (held and _is_at(file, lock)):
                return file, held is True
        except BaseException:
            os.close(file)
            raise
        os.close(file)
        if not held:
            return None


@uninterrupted
def _give_up(lock: Path, file: int) -> None:
    with suppress(OSError):
        lock.unlink()  # while it is locked: later it may be another's
    os.close(file)


def _wait(lock: Path) -> None:
    """Return when nobody holds a lock."""
    with suppress(FileNotFoundError), lock.open("rb+") as file:
        _lock(file.fileno(), wait=True)


@contextmanager
def _tried(lock: Path) -> Iterator[bool | None]:
    """Lock a file that is there, if nobody holds it; whether it is locked, None if unknown."""
    if fcntl is None or not lock.exists():
        yield None
        return
    file = os.open(lock, os.O_RDWR)
    try:
        yield _lock(file) and _is_at(file, lock)
    finally:
        os.close(file)


def _lock(file: int, wait: bool = False) -> bool | None:
    """Lock an open file unless another holds it; whether it is locked, None if there are no locks.

    The lock is let go when the file is closed, which the end of a process does, however it ends.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return None
    return True


def _is_at(file: int, path: Path) -> bool:
    """Whether an open file still has that name."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _settle(path: Path) -> None:
    found = _UNFINISHED_NAME.fullmatch(path.name)
    if found is not None and found["kind"] == "old" and not path.with_name(found["name"]).exists():
        path.replace(path.with_name(found["name"]))
    else:
        _remove(path)


@uninterrupted
def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def _sync(path: Path) -> None:
    """Bring a file, or all files below a folder, to the disk: a name must not outlive content."""
    for each in (path, *path.rglob("*")) if path.is_dir() else (path,):
        if each.is_file():
            with each.open("rb+") as file:
                os.fsync(file.fileno())


# Reading


def read_file(path: Path, most: int = MOST_BYTES) -> bytes:
    """Read a file that others may have made: no pipe is waited for, and no device read without end.

    Args:
        most: bytes that it may hold.

    Raises:
        OSError: there is no such file, it is none, or it holds more.
    """
    if check_file(path).st_size > most:
        raise OSError(errno.EFBIG, f"larger than {most:,} bytes", str(path))
    return path.read_bytes()


def check_file(path: Path) -> os.stat_result:
    """See that there is a file, for what opens it by itself; what is known of it.

    Raises:
        OSError: there is none, or it is a folder, a pipe or a device.
    """
    found = path.stat()
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "a pipe or a device, and no file", str(path))
    return found


# Manifests

Fields = dict[str, Any]
"""What a file of JSON holds, by name."""


class Manifest(BaseModel):
    """Base of what a file of JSON says. A subclass has the fields, and is one version of them.

    When fields change, ``SCHEMA`` goes up by one, and ``MIGRATIONS`` gets a step that turns the
    fields of the version before into those of this one; files then are read through all steps
    from their own version on. A file that names no schema has version 0. Whoever makes one with
    values that cannot be gets pydantic's ``ValidationError``, a ``ValueError``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    SCHEMA: ClassVar[int] = 1
    MIGRATIONS: ClassVar[Mapping[int, Callable[[Fields], Fields]]] = {}
    """By the version that it takes: a step to the next version. It may change what it is given."""
    ERROR: ClassVar[type[TansError]] = TansError
    """What ``parse`` raises."""
    REMEDY: ClassVar[str] = "make it again"
    """What to do about a file that cannot be read."""

    def to_bytes(self) -> bytes:
        """The file's content; ``parse`` reads it."""
        fields = {"schema": self.SCHEMA, **self.model_dump(warnings=False)}
        text = json.dumps(fields, indent=1, ensure_ascii=False, default=dict)
        # what UTF-8 cannot hold, as in names of old files, becomes an escape that JSON knows
        return (text + "\n").encode("utf-8", "backslashreplace")

    @classmethod
    def parse(cls, data: bytes, where: object) -> Self:
        """Read a file's content, of this version or one that can be brought to it.

        Args:
            where: the content comes from, as messages say it.

        Raises:
            TansError: of kind ``ERROR``, where the content is of another version or damaged.
        """
        try:
            fields = _fields(data)
            schema = _version(fields, unnumbered=0 in cls.MIGRATIONS)
        except (ValueError, TypeError) as error:
            raise cls.damaged(where, error) from error
        if schema != cls.SCHEMA and schema not in cls.MIGRATIONS:
            raise cls._foreign(where, schema)
        try:
            for step in range(schema, cls.SCHEMA):
                fields = cls.MIGRATIONS[step](fields)
            return cls.model_validate(fields)
        except (ValueError, LookupError, TypeError, AttributeError, TansError) as error:
            raise cls.damaged(where, error) from error

    @classmethod
    def damaged(cls, where: object, reason: Exception) -> TansError:
        """The error of a file that is there and does not say what it should."""
        said = visible(_said(reason))
        said = said if len(said) <= MOST_LETTERS else f"{said[:MOST_LETTERS]}..."
        return cls.ERROR(f"{where} is damaged ({said}); {cls.REMEDY}")

    @classmethod
    def _foreign(cls, where: object, schema: int) -> TansError:
        oldest = min({cls.SCHEMA, *cls.MIGRATIONS})
        if oldest == cls.SCHEMA:
            read = f"schema {cls.SCHEMA}"
        else:
            read = f"schemas {'up' if oldest < 2 else oldest} to {cls.SCHEMA}"
        return cls.ERROR(
            f"{where} has schema {schema}; this version of tans reads {read}; install a version "
            f"that reads it, or {cls.REMEDY}"
        )


def _fields(data: bytes) -> Fields:
    """The fields that JSON names.

    Raises:
        ValueError, TypeError: it is no JSON, or names none.
    """
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"cannot read it as JSON: {error}") from error
    if not isinstance(fields, dict):
        raise TypeError(f"it holds {reprlib.repr(fields)}; expected fields with names")
    return fields


def _version(fields: Fields, unnumbered: bool) -> int:
    """Take it out of the fields; 0 where they have none, if there are ``unnumbered`` files.

    Raises:
        TypeError: it is no number.
    """
    schema = fields.pop("schema", 0 if unnumbered else None)
    if type(schema) is not int:
        raise TypeError(f"its schema is {reprlib.repr(schema)}; expected a number")
    return schema


def _said(error: Exception) -> str:
    """In one line, what is wrong."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        came = "" if first["type"] == "missing" else f" and not {reprlib.repr(first['input'])}"
        return f"{place}: {first['msg']}{came}".removeprefix(": ")
    if isinstance(error, KeyError):
        return f"{error.args[0]!r} is missing"
    return " ".join(str(error).split()) or type(error).__name__
