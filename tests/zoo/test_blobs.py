"""One contract for every place that content may lie at."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tans.errors import ZooError
from tans.zoo.blobs import SUFFIXES, Blobs, Files, LocalBlobs, as_blobs, name_of

KEYS = ("zoo.json", "sheets/a.webp", "sheets/b.webp", "weights/a.safetensors")
CLIMBING = (
    "",
    "/",
    "/etc/passwd",
    "..",
    "../zoo.json",
    "sheets/../../zoo.json",
    "sheets/",
    "sheets//a",
    "./zoo.json",
    "..\\zoo.json",
    "C:zoo.json",
    "zoo\0.json",
)


@pytest.fixture(params=[LocalBlobs])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    """Every implementation, empty."""
    return request.param(tmp_path / "zoo")


def test_what_is_put_is_there_until_it_is_deleted(blobs: Blobs) -> None:
    assert blobs.list() == []
    for key in KEYS:
        assert not blobs.exists(key)
        blobs.put(key, b"first")
        blobs.put(key, key.encode())
    assert blobs.list() == sorted(KEYS)
    assert [blobs.get(key) for key in KEYS] == [key.encode() for key in KEYS]
    assert [blobs.local(key).read_bytes() for key in KEYS] == [key.encode() for key in KEYS]
    blobs.delete(KEYS[0])
    blobs.delete(KEYS[0])
    assert not blobs.exists(KEYS[0])
    assert blobs.list() == sorted(KEYS[1:])


def test_keys_are_listed_by_how_they_begin(blobs: Blobs) -> None:
    for key in KEYS:
        blobs.put(key, b"")
    assert blobs.list("sheets/") == ["sheets/a.webp", "sheets/b.webp"]
    assert blobs.list("sheets/b") == ["sheets/b.webp"]
    assert blobs.list("s") == ["sheets/a.webp", "sheets/b.webp"]
    assert blobs.list("nowhere/") == blobs.list("zoo.jsonl") == []


def test_what_is_missing_is_one_clear_error(blobs: Blobs) -> None:
    blobs.put("sheets/a.webp", b"")
    for key in ("zoo.json", "sheets", "sheets/b.webp", "sheets/a.webp/b"):
        assert not blobs.exists(key)
        for read in (blobs.get, blobs.local):
            with pytest.raises(ZooError, match=f"{key} is missing; run 'tans zoo verify'"):
                read(key)


@pytest.mark.parametrize("key", CLIMBING)
def test_keys_that_climb_are_refused(blobs: Blobs, tmp_path: Path, key: str) -> None:
    (tmp_path / "zoo.json").write_bytes(b"another's")
    for use in (blobs.get, blobs.local, blobs.exists, blobs.delete, lambda k: blobs.put(k, b"")):
        with pytest.raises(ZooError, match="is no name of a file"):
            use(key)
    assert [path.name for path in tmp_path.iterdir()] == ["zoo.json"]


def test_a_prefix_that_climbs_is_refused(blobs: Blobs) -> None:
    with pytest.raises(ZooError, match="is no name of a file"):
        blobs.list("../")


def test_what_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ZooError, match="cannot write .*; check the disk and rights"):
        LocalBlobs(tmp_path / "file").put("zoo.json", b"")


def test_what_dead_writers_left_is_not_listed_and_swept(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path)
    blobs.put("sheets/a.webp", b"")
    left = tmp_path / "sheets" / ".a.webp.0123abcd.tmp"
    left.write_bytes(b"half")
    assert blobs.list() == ["sheets/a.webp"]
    blobs.sweep()
    assert left.exists()
    os.utime(left, (time.time() - 4000,) * 2)
    blobs.sweep()
    assert not left.exists()
    assert blobs.list() == ["sheets/a.webp"]


def test_a_folder_is_a_store(tmp_path: Path) -> None:
    for place in (tmp_path, str(tmp_path), LocalBlobs(tmp_path)):
        assert str(as_blobs(place)) == str(tmp_path)


@given(st.sampled_from(sorted(SUFFIXES)), st.binary())
def test_content_is_named_by_its_hash(kind: str, data: bytes) -> None:
    with tempfile.TemporaryDirectory() as made:
        files = Files(LocalBlobs(made))
        digest = files.put(kind, data)
        assert digest == hashlib.sha256(data).hexdigest()
        assert files.get(kind, digest) == data
        (key,) = files.keys()
        assert name_of(key) == (kind, digest)


def test_changed_and_missing_content_is_refused(blobs: Blobs) -> None:
    files = Files(blobs)
    digest = files.put("sheets", b"whole")
    blobs.put(f"sheets/{digest}.webp", b"other")
    with pytest.raises(ZooError, match="is damaged .*does not match its name"):
        files.get("sheets", digest)
    assert files.put("sheets", b"whole") == digest
    assert files.get("sheets", digest) == b"whole"
    files.require("sheets", digest)
    for missing in ("0" * 64, "../" * 3):
        with pytest.raises(ZooError, match="is missing|is no name"):
            files.require("sheets", missing)
