"""Zips of strangers, unpacked into a folder of their own with every limit checked on the way.

Nothing that a zip says of itself is believed: files are counted and measured as they come out.
Whatever could lead out of the folder is refused, and so is what no honest zip of images has.
"""

from __future__ import annotations

import errno
import io
import os
import stat
import time
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO
from zipfile import ZipFile, ZipInfo

from tans.errors import ServiceError, visible
from tans.tasks.findings import counted, some
from tans.web.settings import Limits

CHUNK = 2**16
DIRECTORY_BYTES = 2**9
"""Of what a zip says of each of its files, at most, on average."""
END_BYTES = 2**17
"""In which a zip ends, its comment and the place of its list of files."""
MOST_BYTES, MOST_LETTERS, MOST_FOLDERS = 255, 1024, 16
"""Bytes of a name, letters of a path, and folders in it."""
PACKED = {zipfile.ZIP_STORED: "stored", zipfile.ZIP_DEFLATED: "deflated"}
"""Ways of packing that need little memory to unpack."""
ENCRYPTED = 0x1
TOO_LARGE, UNUSABLE, LATE = 413, 422, 503


class _Careful(io.FileIO):
    """A file of which no part is read that is too large; zipfile reads a directory at once."""

    most = 0

    def read(self, size: int | None = -1) -> bytes:
        left = os.fstat(self.fileno()).st_size - self.tell()
        size = left if size is None or size < 0 else min(size, left)
        if size > max(self.most, END_BYTES):
            raise ServiceError(
                f"the zip lists more than {self.most // DIRECTORY_BYTES:,} files; give fewer, such "
                "as some of each class",
                TOO_LARGE,
            )
        return super().read(size)


def unpack(archive: Path, folder: Path, limits: Limits) -> tuple[str, ...]:
    """Unpack a zip into a folder, which is made; what is odd about its names, a sentence each.

    Raises:
        ServiceError: it is no zip, is damaged or encrypted, holds links or devices, has a name that
            cannot be, is larger than the limits allow, or takes too long.
    """
    until = time.monotonic() + limits.request_s
    folder.mkdir(mode=0o700)
    try:
        with _Careful(archive) as file:
            file.most = DIRECTORY_BYTES * limits.files
            with ZipFile(file) as opened:
                named = _named(opened, limits)
                _write(opened, named, folder, limits, until)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError) as error:
        raise _unusable(f"cannot be read as a zip ({visible(str(error))})") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ServiceError("the service has no room for it; try again later", LATE) from error
        raise _unusable(f"cannot be unpacked ({error.strerror})") from error
    return _odd(named)


def _named(opened: ZipFile, limits: Limits) -> dict[str, ZipInfo]:
    """The files of a zip by their path below a folder."""
    infos = opened.infolist()
    if len(infos) > limits.files:
        raise ServiceError(
            f"the zip holds {len(infos):,} files; expected {limits.files:,} at most: give fewer, "
            "such as some of each class",
            TOO_LARGE,
        )
    named: dict[str, ZipInfo] = {}
    for info in infos:
        path = path_of(info.orig_filename)
        _check_kind(info)
        if info.is_dir() or not path:
            continue
        if path in named:
            raise _unusable(f"holds {visible(path)!r} twice")
        named[path] = info
    _check_nested(named)
    return named


def path_of(name: str) -> str:
    """A path of a zip below a folder, with slashes; empty for the folder itself.

    Raises:
        ServiceError: it leads out of the folder, or is no path that every disk can have.
    """
    name = name.replace("\\", "/")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or any(":" in part for part in parts[:1]):
        raise _unusable(f"has the name {visible(name[:MOST_LETTERS])!r}, which leads out of it")
    try:
        sizes = [len(part.encode()) for part in parts]
    except UnicodeEncodeError as error:
        raise _unusable("has a name that is no text") from error
    if max(sizes, default=0) > MOST_BYTES or len(name) > MOST_LETTERS or len(parts) > MOST_FOLDERS:
        raise _unusable(
            f"has a name of {len(name):,} letters in {len(parts)} parts; expected parts of "
            f"{MOST_BYTES} bytes at most, {MOST_LETTERS:,} letters and {MOST_FOLDERS} parts"
        )
    if any(unicodedata.category(letter) == "Cc" for letter in name):
        raise _unusable(f"has the name {visible(name)!r}, with a letter that is none")
    return "/".join(parts)


def _check_kind(info: ZipInfo) -> None:
    kind, name = stat.S_IFMT(info.external_attr >> 16), visible(info.filename)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _unusable(f"holds {name!r}, which is a link or a device; expected files and folders")
    if info.flag_bits & ENCRYPTED:
        raise _unusable(f"holds {name!r}, which is encrypted; expected a zip without a password")
    if info.compress_type not in PACKED:
        raise _unusable(
            f"holds {name!r}, which is packed in a rare way; expected "
            f"{' or '.join(PACKED.values())}"
        )


def _check_nested(named: dict[str, ZipInfo]) -> None:
    """Refuse a file that another file would have to lie in."""
    for path in named:
        for above in PurePosixPath(path).parents:
            if str(above) in named:
                raise _unusable(f"holds {visible(str(above))!r} as a file and as a folder")


def _write(
    opened: ZipFile, named: dict[str, ZipInfo], folder: Path, limits: Limits, until: float
) -> None:
    left = limits.unpacked_bytes
    for path, info in named.items():
        place = folder / path
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # what dies here leaves a folder that is deleted at the next start
        with opened.open(info) as packed, place.open("xb") as file:
            for chunk in _chunks(packed):
                left -= len(chunk)
                if left < 0:
                    raise ServiceError(
                        f"the zip holds more than {limits.unpacked_bytes:,} bytes; give fewer or "
                        "smaller images",
                        TOO_LARGE,
                    )
                if time.monotonic() > until:
                    raise ServiceError(
                        f"the zip took more than {limits.request_s:g} seconds to unpack; give "
                        "fewer images",
                        LATE,
                    )
                file.write(chunk)


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := file.read(CHUNK):
        yield chunk


def _odd(named: dict[str, ZipInfo]) -> tuple[str, ...]:
    """Names that some disks take for one, told."""
    alike: dict[str, list[str]] = {}
    for path in named:
        alike.setdefault(unicodedata.normalize("NFC", path).casefold(), []).append(path)
    found = [" and ".join(paths) for paths in alike.values() if len(paths) > 1]
    if not found:
        return ()
    return (
        f"{counted(len(found), 'name')} in the zip differ in capitals or accents alone "
        f"({some(found)}); they are taken for different files",
    )


def _unusable(what: str) -> ServiceError:
    return ServiceError(
        f"the zip {what}; give a zip of folders of images, one for each class", UNUSABLE
    )
