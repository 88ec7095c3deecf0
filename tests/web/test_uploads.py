"""Hostile zips, and those that are only odd."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath
from zipfile import ZipInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tans.errors import ServiceError
from tans.web.settings import Limits
from tans.web.uploads import path_of, unpack
from tests.web.conftest import picture, zipped

LIMITS = Limits(files=50, unpacked_bytes=2**20)
PNG = picture((10, 20, 30))


def with_mode(kind: int) -> bytes:
    """A zip of one thing that is no file."""
    held = io.BytesIO()
    info = ZipInfo("cat/link.png")
    info.external_attr = (kind | 0o777) << 16
    with zipfile.ZipFile(held, "w") as packed:
        packed.writestr(info, "/etc/passwd")
    return held.getvalue()


def packed_by(method: int) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", method) as packed:
        packed.writestr("cat/a.png", PNG)
    return held.getvalue()


def encrypted() -> bytes:
    """A zip that says that its file is encrypted."""
    data = bytearray(zipped({"cat/a.png": PNG}))
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.index(mark) + place
        data[at : at + 2] = struct.pack("<H", 1)
    return bytes(data)


def understated() -> bytes:
    """A bomb that says that its file is small."""
    data = bytearray(zipped({"cat/a.png": bytes(2**22)}))
    for mark, place in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = data.index(mark) + place
        data[at : at + 4] = struct.pack("<I", 100)
    return bytes(data)


def overlapping() -> bytes:
    """A bomb of many names for the same packed bytes."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("cat/a.png", bytes(2**18))
        first = packed.infolist()[0]
        for k in range(40):
            again = ZipInfo(f"cat/{k}.png")
            for name in ("compress_type", "CRC", "compress_size", "file_size", "header_offset"):
                setattr(again, name, getattr(first, name))
            packed.filelist.append(again)
            packed.NameToInfo[again.filename] = again
    return held.getvalue()


def many(count: int) -> bytes:
    return zipped({f"cat/{k}.png": b"x" for k in range(count)})


def raw_name(name: bytes) -> bytes:
    """A zip with a name that Python would not write."""
    placeholder = b"N" * len(name)
    return zipped({placeholder.decode(): PNG}).replace(placeholder, name)


HOSTILE: dict[str, tuple[Callable[[], bytes], int, str]] = {
    "no zip": (lambda: b"not a zip at all", 422, "cannot be read as a zip"),
    "nothing": (lambda: b"", 422, "cannot be read as a zip"),
    "an image": (lambda: PNG, 422, "cannot be read as a zip"),
    "cut short": (lambda: zipped({"cat/a.png": PNG})[:-30], 422, "cannot be read as a zip"),
    "a way up": (lambda: zipped({"cat/../../a.png": PNG}), 422, "leads out of it"),
    "absolute": (lambda: zipped({"/etc/cron.d/a": PNG}), 422, "leads out of it"),
    "of a drive": (lambda: zipped({"C:/windows/a.png": PNG}), 422, "leads out of it"),
    "backslashes up": (lambda: zipped({"cat\\..\\..\\a.png": PNG}), 422, "leads out of it"),
    "a share": (lambda: zipped({"\\\\host\\share\\a.png": PNG}), 422, "leads out of it"),
    "a NUL": (lambda: raw_name(b"cat/a.png\x00.txt"), 422, "a letter that is none"),
    "a newline": (lambda: zipped({"cat/a\n.png": PNG}), 422, "a letter that is none"),
    "a long name": (lambda: zipped({f"cat/{'a' * 300}.png": PNG}), 422, "parts of 255 bytes"),
    "deep folders": (lambda: zipped({"a/" * 40 + "a.png": PNG}), 422, "16 parts"),
    "a link": (lambda: with_mode(stat.S_IFLNK), 422, "a link or a device"),
    "a device": (lambda: with_mode(stat.S_IFBLK), 422, "a link or a device"),
    "a pipe": (lambda: with_mode(stat.S_IFIFO), 422, "a link or a device"),
    "a password": (encrypted, 422, "encrypted"),
    "packed by LZMA": (lambda: packed_by(zipfile.ZIP_LZMA), 422, "packed in a rare way"),
    "packed by bzip2": (lambda: packed_by(zipfile.ZIP_BZIP2), 422, "packed in a rare way"),
    "a file in a file": (lambda: zipped({"cat": PNG, "cat/a.png": PNG}), 422, "as a folder"),
    "the same name twice": (lambda: zipped({"cat/a": PNG, "cat//a": PNG}), 422, "twice"),
    "a bomb": (lambda: zipped({"cat/a.png": bytes(2**22)}), 413, "more than 1,048,576 bytes"),
    "a bomb that lies": (understated, 422, "cannot be read as a zip"),
    "names for the same bytes": (overlapping, 422, "cannot be read as a zip"),
    "5,000 tiny files": (lambda: many(5_000), 413, "lists more than 50 files"),
    "100,000 tiny files": (lambda: many(100_000), 413, "lists more than 50 files"),
    "51 files": (lambda: zipped({f"{k}.png": PNG for k in range(51)}), 413, "51 files"),
}


LONG = ("100,000 tiny files",)
ROWS = [pytest.param(n, marks=pytest.mark.long if n in LONG else ()) for n in HOSTILE]


@pytest.mark.parametrize("name", ROWS)
def test_a_hostile_zip_is_refused_and_writes_nothing_outside(name: str, tmp_path: Path) -> None:
    data, status, words = HOSTILE[name]
    archive = tmp_path / "in.zip"
    archive.write_bytes(data())
    (tmp_path / "held").mkdir()
    with pytest.raises(ServiceError, match=words) as refused:
        unpack(archive, tmp_path / "held" / "images", LIMITS)
    assert refused.value.status == status
    assert sorted(path.name for path in tmp_path.iterdir()) == ["held", "in.zip"]
    assert [path.name for path in (tmp_path / "held").iterdir()] == ["images"]
    assert not any(path.is_symlink() for path in (tmp_path / "held").rglob("*"))


def test_what_is_unpacked_is_as_it_was(tmp_path: Path) -> None:
    archive = tmp_path / "in.zip"
    archive.write_bytes(zipped({"set/cat/a.png": PNG, "./set\\dog\\b.png": PNG, "set/dog/": b""}))
    assert unpack(archive, tmp_path / "images", LIMITS) == ()
    found = {
        p.relative_to(tmp_path / "images").as_posix(): p.read_bytes()
        for p in (tmp_path / "images").rglob("*")
        if p.is_file()
    }
    assert found == {"set/cat/a.png": PNG, "set/dog/b.png": PNG}
    assert stat.S_IMODE((tmp_path / "images").stat().st_mode) == 0o700


def test_names_that_some_disks_take_for_one_are_told(tmp_path: Path) -> None:
    archive = tmp_path / "in.zip"
    archive.write_bytes(zipped({"Cat/a.png": PNG, "cat/A.png": PNG, "e\u0301": PNG, "\u00e9": PNG}))
    (told,) = unpack(archive, tmp_path / "images", LIMITS)
    assert told.startswith("2 names in the zip differ in capitals or accents alone")


def test_a_zip_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    archive = tmp_path / "in.zip"
    archive.write_bytes(zipped({"cat/a.png": PNG}))
    with pytest.raises(ServiceError, match="seconds to unpack"):
        unpack(archive, tmp_path / "images", replace(LIMITS, request_s=1e-9))


NAMES = st.one_of(
    st.text(max_size=40),
    st.lists(
        st.sampled_from(["..", ".", "", "a", "C:", "\\", "/", "~", "\0", "é"]), max_size=9
    ).map("/".join),
)


@given(NAMES)
def test_a_path_of_a_zip_stays_in_its_folder_or_is_refused(name: str) -> None:
    try:
        path = PurePosixPath(path_of(name))
    except ServiceError:
        return
    assert not path.is_absolute()
    assert ".." not in path.parts
    assert not {"\\", "\0"} & set(str(path))


@given(st.binary(max_size=300), st.integers(0, 200))
def test_a_zip_that_is_damaged_anywhere_is_unpacked_or_refused(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, place: int
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    data = bytearray(zipped({"cat/a.png": PNG, "dog/b.png": zlib.compress(PNG)}))
    at = place * len(data) // 200
    data[at : at + len(noise)] = noise
    (folder / "in.zip").write_bytes(data)
    with suppress(ServiceError):
        unpack(folder / "in.zip", folder / "images", LIMITS)
    assert {path.name for path in folder.iterdir()} == {"in.zip", "images"}
