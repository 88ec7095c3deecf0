"""Every file that tans writes: whole or not at all. Every file of JSON that it reads: checked.

    write_file, replacing   a file, or a whole folder, that takes its place at once
    write_files             files that take their places together
    read_file               what a file holds that may be anything, and of any size
    sweep                   deletes what writers that died left half done
    Manifest                what a file of JSON says, with a numbered schema and migrations
    cache_dir               where tans keeps what it can make again

What is unfinished lies beside its place, with one form of name: ``.<name>.<8 hex digits>.tmp``. A
folder that is being replaced is put aside as ``.<name>.<8 hex digits>.old``.
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
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, Self

import platformdirs
from pydantic import BaseModel, ConfigDict, ValidationError

from tans.errors import TansError

MOST_BYTES = 2**28
"""Of a file of text that is read."""
MOST_LETTERS = 400
"""Of what an error says of a file that is damaged."""
UNFINISHED = timedelta(hours=1)
"""Age from which an unfinished file is no writer's any more."""

_UNFINISHED_NAME = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{8}\.(?P<kind>tmp|old)", re.DOTALL)


def cache_dir(*parts: str) -> Path:
    """A folder below the user's cache (or below ``$TANS_CACHE``), created when missing."""
    root = os.environ.get("TANS_CACHE") or platformdirs.user_cache_dir("tans")
    folder = Path(root, *parts)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


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
    token = secrets.token_hex(4)
    fresh, old = (_beside(path, token, kind) for kind in ("tmp", "old"))
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield fresh
        _sync(fresh)
        if fresh.is_dir() and path.is_dir():
            path.replace(old)  # a folder cannot take the place of one that holds files
        fresh.replace(path)
    except BaseException:
        _remove(fresh)
        if old.exists() and not path.exists():
            old.replace(path)
        raise
    _remove(old)


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files that belong together, in their order, over those of their names.

    All are written before the first takes its place, which keeps what a full disk does from the
    ones that are there; and where one cannot take it, the others give theirs back.

    Raises:
        OSError: one cannot be written; what was there is as it was.
    """
    token = secrets.token_hex(4)
    folder.mkdir(parents=True, exist_ok=True)
    places = [folder / name for name in files]
    fresh, old = ([_beside(place, token, kind) for place in places] for kind in ("tmp", "old"))
    begun: list[int] = []
    try:
        for path, data in zip(fresh, files.values(), strict=True):
            path.write_bytes(data)
            _sync(path)
        for index, place in enumerate(places):
            begun.append(index)
            if place.exists():
                place.replace(old[index])
            fresh[index].replace(place)
    except BaseException:
        for index in begun:
            if old[index].exists():
                old[index].replace(places[index])
            elif not fresh[index].exists():
                _remove(places[index])
        for path in fresh:
            _remove(path)
        raise
    for path in old:
        _remove(path)


def try_folder(folder: Path) -> None:
    """Write into a folder, which may be missing, and leave everything as it was.

    Raises:
        OSError: it cannot be written.
    """
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    tried = folder / f".tried.{secrets.token_hex(4)}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tried.write_bytes(b"tried")
    finally:
        with suppress(OSError):  # such as that of a folder that was not made
            tried.unlink(missing_ok=True)
            for place in missing:
                place.rmdir()


def _beside(path: Path, token: str, kind: str) -> Path:
    return path.with_name(f".{path.name}.{token}.{kind}")


def is_unfinished(path: Path) -> bool:
    """Whether a file or folder is on its way to its place, or its writer died."""
    return _UNFINISHED_NAME.fullmatch(path.name) is not None


def sweep(folder: Path) -> None:
    """Delete what writers that died left in a folder, not below it.

    What is younger than an hour may be a living writer's, and stays. A folder that was put aside
    when its writer died comes back. What cannot be deleted stays.
    """
    before = time.time() - UNFINISHED.total_seconds()
    with suppress(OSError):  # no folder, or no rights to it
        for path in sorted(folder.iterdir()):
            with suppress(OSError):  # another process swept it first
                if is_unfinished(path) and path.lstat().st_mtime < before:
                    _settle(path)


def _settle(path: Path) -> None:
    found = _UNFINISHED_NAME.fullmatch(path.name)
    if found is not None and found["kind"] == "old" and not path.with_name(found["name"]).exists():
        path.replace(path.with_name(found["name"]))
    else:
        _remove(path)


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
        said = "".join(c if c.isprintable() else repr(c)[1:-1] for c in _said(reason))
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
