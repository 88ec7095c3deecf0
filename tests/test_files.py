"""Files are written whole or not at all; what is read from them is checked."""

from __future__ import annotations

import json
import math
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import PositiveInt

from tans import files
from tans.errors import InputError, ZooError
from tans.files import (
    Manifest,
    alone,
    is_unfinished,
    replacing,
    sweep,
    try_folder,
    write_file,
    write_files,
)
from tans.interrupts import CAN_WAIT
from tests.interrupted import interruptions

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=40)
LONG_AGO = time.time() - 4000


class FullError(OSError):
    """Of a disk without room."""


def tree(folder: Path) -> dict[str, bytes]:
    """Content of every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def fill(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)


def age(path: Path) -> None:
    os.utime(path, (LONG_AGO, LONG_AGO))


def died(place: Path, data: bytes) -> Path:
    """An unfinished file, as its writer's death leaves it."""
    with suppress(KeyboardInterrupt), replacing(place) as fresh:
        fresh.write_bytes(data)
        raise KeyboardInterrupt
    assert not fresh.exists()
    fresh.write_bytes(data)
    return fresh


# Writing


@given(NAMES.filter(lambda name: name not in {".", ".."}), st.binary(), st.binary())
def test_what_was_written_is_there_and_nothing_else(name: str, first: bytes, second: bytes) -> None:
    with tempfile.TemporaryDirectory() as made:
        for data in (first, second):
            write_file(Path(made, "new", "deep") / name, data)
            assert tree(Path(made)) == {f"new/deep/{name}": data}


@pytest.mark.parametrize("step", ["write_bytes", "replace", "fsync"])
def test_a_failing_write_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    write_file(tmp_path / "file", b"old")

    def full(*_: object) -> None:
        raise FullError("no space left")

    monkeypatch.setattr(os if step == "fsync" else Path, step, full)
    for name in ("file", "another"):
        with pytest.raises(OSError, match="no space left"):
            write_file(tmp_path / name, b"new")
    assert tree(tmp_path) == {"file": b"old"}


def test_a_write_that_is_stopped_half_way_leaves_what_was_there(tmp_path: Path) -> None:
    write_file(tmp_path / "file", b"old")
    died(tmp_path / "file", b"half").unlink()
    assert tree(tmp_path) == {"file": b"old"}


@given(st.dictionaries(st.sampled_from("abc"), st.binary()), st.booleans())
def test_a_folder_takes_the_place_of_another_as_a_whole(
    files: dict[str, bytes], fails: bool
) -> None:
    old = {"a": b"old", "d": b"old"}
    with tempfile.TemporaryDirectory() as made:
        place = Path(made, "folder")
        fill(place, old)
        try:
            with replacing(place) as fresh:
                fill(fresh, files)
                if fails:
                    raise FullError
        except FullError:
            assert fails
        assert tree(place) == (old if fails else files)
        assert [path.name for path in Path(made).iterdir()] == ["folder"]


def test_a_folder_that_cannot_take_its_place_brings_the_old_one_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "folder", {"a": b"old"})
    rename = Path.replace

    def busy(source: Path, target: Path) -> Path:
        if source.suffix == ".tmp":
            raise OSError("busy")
        return rename(source, target)

    monkeypatch.setattr(Path, "replace", busy)
    with pytest.raises(OSError, match="busy"), replacing(tmp_path / "folder") as fresh:
        fill(fresh, {"a": b"new"})
    assert tree(tmp_path) == {"folder/a": b"old"}


def test_a_folder_is_tried_and_left_as_it_was(tmp_path: Path) -> None:
    try_folder(tmp_path / "new" / "deep")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="file"):
        try_folder(tmp_path / "file" / "deep")


# What dead writers leave


def test_what_dead_writers_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    others = [
        "mine.tmp",
        ".mine.tmp",
        ".mine.0123abcd.old.txt",
        ".x.0123abcg.tmp",
        "x.0123abcd.tmp",
    ]
    for name in others:
        (tmp_path / name).write_bytes(b"")
        age(tmp_path / name)
    dead, living = died(tmp_path / "file", b"1"), died(tmp_path / "file", b"2")
    folder = tmp_path / ".folder.0123abcd.tmp"
    fill(folder, {"a": b""})
    assert is_unfinished(dead)
    assert is_unfinished(folder)
    age(dead)
    age(folder)
    sweep(tmp_path)
    assert sorted(tree(tmp_path)) == sorted([*others, living.name])
    sweep(tmp_path / "nowhere")


def test_a_folder_that_was_put_aside_comes_back_or_goes(tmp_path: Path) -> None:
    aside = tmp_path / ".folder.0123abcd.old"
    fill(aside, {"a": b"1"})
    age(aside)
    sweep(tmp_path)
    assert tree(tmp_path) == {"folder/a": b"1"}
    fill(aside, {"a": b"2"})
    age(aside)
    sweep(tmp_path)
    assert tree(tmp_path) == {"folder/a": b"1"}


def test_what_lies_beside_a_free_lock_goes_at_once_and_beside_a_held_one_stays(
    tmp_path: Path,
) -> None:
    dead = tmp_path / ".file.0123abcd.tmp"
    for path in (dead, dead.with_suffix(".lock")):
        path.write_bytes(b"")
    with replacing(tmp_path / "other") as fresh:
        assert not dead.exists()
        fresh.write_bytes(b"whole")
        sweep(tmp_path)
    assert tree(tmp_path) == {"other": b"whole"}


# One at a time


def test_who_comes_second_is_told_and_waits(tmp_path: Path) -> None:
    told, done = threading.Event(), []

    def second() -> None:
        with alone(tmp_path / "new" / "name", told.set):
            done.append("second")

    with alone(tmp_path / "new" / "name") as held, alone(tmp_path / "new" / "another"):
        assert held
        waiting = threading.Thread(target=second)
        waiting.start()
        assert told.wait(60)
        done.append("first")
    waiting.join()
    assert done == ["first", "second"]
    assert not list((tmp_path / "new").iterdir())


def test_who_need_not_wait_does_not(tmp_path: Path) -> None:
    def refuse() -> None:
        raise InputError("held")

    with alone(tmp_path / "name"), pytest.raises(InputError), alone(tmp_path / "name", refuse):
        pass
    (tmp_path / ".name.00000000.lock").write_bytes(b"")  # of a process that died
    with alone(tmp_path / "name", refuse):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("missing", [True, False])
def test_where_there_are_no_locks_nobody_waits_and_age_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: bool
) -> None:
    def flock(*_: object) -> None:
        raise OSError("no locks here")

    if missing:
        monkeypatch.setattr(files, "fcntl", None)
    else:
        monkeypatch.setattr("fcntl.flock", flock)
    with alone(tmp_path / "name") as held, alone(tmp_path / "name"):
        assert not held
    fresh = died(tmp_path / "file", b"half")
    write_file(tmp_path / "other", b"whole")
    assert fresh.exists()
    age(fresh)
    write_file(tmp_path / "other", b"whole")
    assert tree(tmp_path) == {"other": b"whole"}


# Interrupts


def make_folder(folder: Path) -> None:
    with replacing(folder / "made") as fresh:
        fill(fresh, {"a": b"new", "b": b"new"})


def hold(folder: Path) -> None:
    with alone(folder / "held"):
        write_file(folder / "file", b"new")


WRITERS: dict[str, Callable[[Path], object]] = {
    "file": lambda folder: write_file(folder / "file", b"new"),
    "files": lambda folder: write_files(folder, {"a": b"new", "b": b"new"}),
    "folder": make_folder,
    "held": hold,
    "tried": lambda folder: try_folder(folder / "tried" / "deep"),
}


@pytest.mark.skipif(not CAN_WAIT, reason="this system has no alarms")
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in ("file", "tried") else pytest.mark.long)
        for name in WRITERS
    ],
)
def test_an_interrupt_leaves_the_old_or_the_new_and_nothing_unfinished(
    tmp_path: Path, name: str
) -> None:
    old = {"file": b"old", "a": b"old", "b": b"old", "made/a": b"old"}
    folder, points = tmp_path / "folder", 0

    def prepare() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        fill(folder, {"file": b"old", "a": b"old", "b": b"old"})
        fill(folder / "made", {"a": b"old"})

    for _ in interruptions(partial(WRITERS[name], folder), prepare):
        found = tree(folder)
        changed = {place: data for place, data in found.items() if data != old.get(place)}
        assert set(changed.values()) <= {b"new"}
        assert found == old or len(changed) == {"files": 2, "folder": 2, "tried": 0}.get(name, 1)
        assert not list(filter(is_unfinished, folder.iterdir()))
        assert not (folder / "tried").exists()
        with alone(folder / "held", lambda: pytest.fail("it is still held")):
            points += 1
    assert points > 20  # of one look for dead writers alone


# Manifests


class Cat(Manifest):
    """Its first version had no legs, and its second counted them in pairs."""

    SCHEMA = 3
    ERROR = ZooError
    REMEDY = "fetch the cat"
    MIGRATIONS: ClassVar = {
        1: lambda fields: {**fields, "pairs": 2},
        2: lambda fields: {"name": fields["name"], "legs": 2 * fields["pairs"]},
    }

    name: str
    legs: PositiveInt
    weight: float = math.inf


class Unnumbered(Manifest):
    """Its first files named no schema."""

    MIGRATIONS: ClassVar = {0: lambda fields: fields}

    name: str


def parse(fields: object) -> Cat:
    return Cat.parse(json.dumps(fields).encode(), "cat.json")


@given(st.text(st.characters()), st.integers(1), st.floats(allow_nan=False))
def test_what_is_read_is_what_was_written(name: str, legs: int, weight: float) -> None:
    cat = Cat(name=name, legs=legs, weight=weight)
    assert Cat.parse(cat.to_bytes(), "cat.json") == cat
    assert json.loads(cat.to_bytes())["schema"] == 3


def test_migrations_follow_one_another() -> None:
    assert parse({"schema": 1, "name": "Tom"}) == Cat(name="Tom", legs=4)
    assert parse({"schema": 2, "name": "Tom", "pairs": 3}) == Cat(name="Tom", legs=6)
    assert parse({"schema": 3, "name": "Tom", "legs": 3}) == Cat(name="Tom", legs=3)
    assert Unnumbered.parse(b'{"name": "Tom"}', "it") == Unnumbered(name="Tom")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "cannot read it as JSON"),
        (b"{", "cannot read it as JSON"),
        (b"\xff", "cannot read it as JSON"),
        (b"[" * 10**6, "cannot read it as JSON"),
        (b"[]", r"it holds \[\]; expected fields with names"),
        (b"{}", "its schema is None; expected a number"),
        (b'{"schema": true}', "its schema is True"),
        (b'{"schema": "3"}', "its schema is '3'"),
        (b'{"schema": 1}', "'name' is missing"),
        (b'{"schema": 2, "name": "Tom", "pairs": null}', "unsupported"),
        (b'{"schema": 3, "name": "Tom"}', "legs: Field required"),
        (b'{"schema": 3, "name": 5, "legs": 4}', "name: .* string and not 5"),
        (b'{"schema": 3, "name": "Tom", "legs": "many"}', "legs: .* and not 'many'"),
        (b'{"schema": 3, "name": "Tom", "legs": 0}', "legs: .* greater than 0 and not 0"),
        (b'{"schema": 3, "name": "Tom", "legs": 4, "\\u001b[31m": 2}', r"\\x1b\[31m: .* permitted"),
        (b'{"schema": 3, "name": "Tom", "legs": 4, "arms": 2}', "arms: .* not permitted"),
    ],
)
def test_damage_is_one_error_that_says_what_came_and_what_to_do(data: bytes, reason: str) -> None:
    with pytest.raises(ZooError, match=f"cat.json is damaged .*{reason}.*; fetch the cat"):
        Cat.parse(data, "cat.json")


@pytest.mark.parametrize("schema", [-1, 0, 4, 10**30])
def test_a_schema_that_no_step_leads_from_is_refused(schema: int) -> None:
    with pytest.raises(ZooError, match=rf"has schema {schema}; .* reads schemas up to 3; .*fetch"):
        parse({"schema": schema, "name": "Tom", "legs": 4})


def test_errors_name_the_schemas_that_are_read() -> None:
    class Late(Cat):
        ERROR = InputError
        MIGRATIONS: ClassVar = {2: Cat.MIGRATIONS[2]}

    class Only(Cat):
        MIGRATIONS: ClassVar = {}

    for kind, read in ((Late, "schemas 2 to 3"), (Only, "schema 3")):
        with pytest.raises(kind.ERROR, match=f"has schema 1; this version of tans reads {read};"):
            kind.parse(b'{"schema": 1}', "cat.json")


@given(st.recursive(st.none() | st.integers() | st.text(), st.lists), st.integers(-1, 4))
@pytest.mark.long
def test_any_json_is_read_or_refused(value: object, schema: int) -> None:
    for fields in (value, {"schema": schema, "name": value}, {"schema": value, "legs": value}):
        with suppress(ZooError):
            assert isinstance(parse(fields), Cat)
