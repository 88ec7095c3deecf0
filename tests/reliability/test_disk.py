"""Disks that are full, broken or read-only."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from tans.build.adding import add_network
from tans.build.engine import build_zoo
from tans.build.transfers import measure_transfers
from tans.cli.views.predictions import write_predictions
from tans.costs.latency import cached_time
from tans.errors import InputError, TansError, TansWarning, ZooError
from tans.export.classifier import Prediction
from tans.export.finetuned import check_writable, load_finetuned, save_finetuned
from tans.meta.presets import MetaSettings
from tans.meta.retriever import Retriever
from tans.networks.families.elastic.specification import LITE0, ref_of
from tans.networks.family import build
from tans.report import write_check
from tans.tasks.task import Task
from tans.training import Epoch, FineTuned, Recipe
from tans.workflow import train
from tans.zoo.copy import copy_tasks
from tans.zoo.zoo import Zoo
from tests.reliability.counting import Trials
from tests.reliability.test_writers import META, same
from tests.small_zoo import SMALL, TRANSFERS, drawn_task

FAILURES = (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT, errno.EIO)


@dataclass
class Disk:
    """Counts what is asked of it, and fails the one that is to fail; ``None`` for none."""

    fails_at: int | None
    code: int
    for_good: bool = False
    """Whether whatever comes after fails too."""
    asked: int = 0

    def ask(self, path: object) -> None:
        self.asked += 1
        if self.fails_at is None or self.asked < self.fails_at:
            return
        if self.for_good or self.asked == self.fails_at:
            raise OSError(self.code, os.strerror(self.code), str(path))


@contextmanager
def failing(
    fails_at: int | None, code: int = errno.ENOSPC, for_good: bool = False
) -> Iterator[Disk]:
    """A disk of which the so many-th write, sync, rename or new folder fails."""
    disk = Disk(fails_at, code, for_good)
    with pytest.MonkeyPatch.context() as patch:
        write, rename, make, sync = Path.write_bytes, Path.replace, Path.mkdir, os.fsync

        def write_half(path: Path, data: bytes) -> int:
            try:
                disk.ask(path)
            except OSError:
                write(path, data[: len(data) // 2])
                raise
            return write(path, data)

        def move(path: Path, target: Path) -> Path:
            disk.ask(path)
            return rename(path, target)

        def mkdir(path: Path, *given: Any, **named: Any) -> None:
            if not path.exists():
                disk.ask(path)
            make(path, *given, **named)

        def fsync(file: int) -> None:
            disk.ask("a file")
            sync(file)

        patch.setattr(Path, "write_bytes", write_half)
        patch.setattr(Path, "replace", move)
        patch.setattr(Path, "mkdir", mkdir)
        patch.setattr(os, "fsync", fsync)
        yield disk


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def try_each(
    trials: Trials,
    folder: Path,
    act: Callable[[Path], object],
    made: Callable[[Path], object],
    codes: tuple[int, ...] = FAILURES,
    over: bool = True,
) -> None:
    """Fail each step of what writes into a folder, new or in use: nothing is lost, and it can be
    done again.

    Args:
        made: what is to be equal where it was done at last.
        over: the folder may be in use.
    """
    with failing(None) as disk:
        act(folder / "wanted")
    wanted, total = made(folder / "wanted"), disk.asked
    assert total
    for used in (False, True)[: 1 + over]:
        for code in codes:
            for step in range(1, total + used + 1):
                place = folder / "place"
                shutil.rmtree(place, ignore_errors=True)
                if used:
                    act(place)
                    (place / "mine.txt").write_text("mine")
                before = tree(place)
                with failing(step, code) as disk:
                    try:
                        act(place)
                    except TansError as error:
                        said: str | None = str(error)
                    else:
                        said = None
                if disk.asked < step:
                    continue  # a folder in use needs none to be made
                with trials.trial(f"{errno.errorcode[code]} at step {step} of {total}"):
                    assert said is not None, "no error"
                    assert os.strerror(code) in said
                    assert "\n" not in said
                    after = tree(place)
                    assert {name: after.get(name) for name in before} == before
                    assert not [name for name in after if name.endswith((".tmp", ".old"))]
                    act(place)
                    assert made(place) == wanted


def read_one(name: str) -> Callable[[Path], bytes]:
    return lambda folder: (folder / name).read_bytes()


@pytest.mark.long
def test_a_page(trials: Trials, tmp_path: Path) -> None:
    """A page cannot be written, at any step of it"""
    task = drawn_task("red", "one")
    try_each(trials, tmp_path, lambda p: write_check(p / "page.html", task), read_one("page.html"))


def test_predictions(trials: Trials, tmp_path: Path) -> None:
    """A CSV file of predictions cannot be written, at any step of it"""
    found = [Prediction(Path("a.png"), "red", 0.5, None, (("red", 0.5),))]
    try_each(
        trials, tmp_path, lambda p: write_predictions(p / "p.csv", found, 1), read_one("p.csv")
    )


def test_a_task(trials: Trials, tmp_path: Path) -> None:
    """A task cannot be saved, at any step of it"""
    task = drawn_task("red", "one", n=12)

    def save(place: Path) -> None:
        os.makedirs(place, exist_ok=True)  # noqa: PTH103 - as this is no part of what is tried
        task.save(place / "task")

    try_each(
        trials, tmp_path, save, lambda p: Task.load(p / "task").pixels.at(8).tolist(), FAILURES[:2]
    )


@pytest.fixture(scope="module")
def tuned() -> FineTuned:
    network = build(ref_of(LITE0.smallest, 32), 3).eval()
    history, counts = (Epoch(1, 1.2, 0.5, 0.5, 0.5),), torch.eye(3, dtype=torch.int64)
    classes = drawn_task("red", "one").classes
    return FineTuned(network, history, 1, 1.0, counts, 1.1, classes, Recipe(epochs=1))


@pytest.mark.long
def test_a_fine_tuned_network(
    trials: Trials, tmp_path: Path, tuned: FineTuned, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fine-tuned network cannot be saved, at any step of it: the old one stays, and it is kept
    elsewhere"""
    task = drawn_task("red", "one")
    (tmp_path / "spare").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "spare"))
    try_each(
        trials,
        tmp_path,
        lambda place: save_finetuned(place, tuned, task),
        lambda place: load_finetuned(place).network.classifier.weight.tolist(),
        FAILURES[:2],
    )
    kept = list((tmp_path / "spare").iterdir())
    with trials.trial("kept elsewhere"):
        assert kept
        assert {load_finetuned(folder).classes for folder in kept} == {task.classes}


def test_a_network_that_no_place_takes(
    trials: Trials, tmp_path: Path, tuned: FineTuned, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no place at all can be written, one error says so"""

    def full(path: Path, data: bytes) -> int:  # noqa: ARG001
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(Path, "write_bytes", full)
    with trials.trial("full"):
        with pytest.raises(InputError, match="no other place can be either"):
            save_finetuned(tmp_path / "out", tuned, drawn_task("red", "one"))
        assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_trying_a_folder(trials: Trials, tmp_path: Path) -> None:
    """A folder that is only tried is left as it was, whatever fails"""
    for code in FAILURES:
        for step in (1, 2):
            with trials.trial(f"{errno.errorcode[code]} at step {step}"):
                with failing(step, code), pytest.raises(InputError, match="cannot be written"):
                    check_writable(tmp_path / "new")
                assert not list(tmp_path.iterdir())


def test_a_retrieval_model(trials: Trials, tmp_path: Path, small_zoo: Zoo) -> None:
    """A retrieval model cannot be saved, at any step of it"""
    model = Retriever.load(small_zoo.retrieval)

    def load(place: Path) -> object:
        return Retriever.load(place).matrix.tolist()

    try_each(trials, tmp_path, model.save, load, FAILURES[:1])


@pytest.mark.slow
def test_a_copy_of_a_zoo(trials: Trials, tmp_path: Path, small_zoo: Zoo) -> None:
    """A zoo cannot be copied, at any step of it; then the copy goes on"""
    try_each(
        trials,
        tmp_path,
        lambda place: copy_tasks(small_zoo, place, ["red"]),
        lambda place: (Zoo.open(place).entries(), Zoo.open(place).tasks()),
        FAILURES[:1],
        over=False,
    )


def go_on(
    trials: Trials,
    place: Path,
    act: Callable[[Path], object],
    before: Callable[[Path], object],
    equal: Callable[[Path], object],
    most: int = 1000,
) -> None:
    """Fill the disk for good at each step of what writes into a folder; with room, it goes on.

    Args:
        most: steps to try, evenly spread.
        before: makes the folder as it is at the beginning.
        equal: raises what is not as it should be at the end.
    """
    before(place)
    with failing(None) as disk:
        act(place)
    for step in range(1, disk.asked + 1, -(-disk.asked // most)):
        shutil.rmtree(place)
        before(place)
        with trials.trial(f"step {step} of {disk.asked}"):
            with (
                failing(step, for_good=True),
                pytest.raises((TansError, OSError), match=os.strerror(errno.ENOSPC)),
            ):
                act(place)
            act(place)
            equal(place)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_build(trials: Trials, tmp_path: Path, small_zoo: Zoo, small_tasks: list[Task]) -> None:
    """The disk is full from some step of a build on; with room, the build goes on"""
    settings = replace(SMALL, subnets=2)
    build = partial(build_zoo, tasks=small_tasks[:1], settings=settings, base_from=small_zoo)
    build(tmp_path / "whole")
    go_on(trials, tmp_path / "zoo", build, Path.mkdir, partial(same, whole=tmp_path / "whole"))


@pytest.mark.long
def test_a_meta_training(
    trials: Trials, tmp_path: Path, small_zoo: Zoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full from some step of a meta-training on; with room, it is done again"""
    # the first writes there, the others find it, and none needs it
    monkeypatch.setattr("tans.zoo.kept.keep", lambda *_: None)
    settings = replace(META, seed=5)
    shutil.copytree(small_zoo.path, tmp_path / "whole")
    train(Zoo.open(tmp_path / "whole"), settings)
    go_on(
        trials,
        tmp_path / "zoo",
        lambda place: train(Zoo.open(place), settings),
        partial(shutil.copytree, small_zoo.path),
        partial(same, whole=tmp_path / "whole"),
    )


@pytest.mark.slow
def test_transfers(trials: Trials, tmp_path: Path, small_zoo: Zoo, small_tasks: list[Task]) -> None:
    """The disk is full from some step of measuring transfers on; with room, it goes on"""

    def measure(place: Path) -> None:
        measure_transfers(Zoo.open(place), small_tasks, TRANSFERS)

    def equal(place: Path) -> None:
        found, wanted = (
            [replace(t, seconds=0.0) for t in Zoo.open(folder).transfers()]
            for folder in (place, tmp_path / "whole")
        )
        assert found == wanted
        assert not list(place.rglob(".*.tmp"))

    shutil.copytree(small_zoo.path, tmp_path / "whole")
    measure(tmp_path / "whole")
    go_on(trials, tmp_path / "zoo", measure, partial(shutil.copytree, small_zoo.path), equal, 8)


# Disks of their own


def mount(place: Path, *options: str) -> None:
    place.mkdir(exist_ok=True)
    try:
        done = subprocess.run(
            ["mount", *options, str(place)], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("there is no command mount here, so no small or read-only disk can be had")
    if done.returncode:
        pytest.skip(f"no disk may be mounted here ({done.stderr.strip()}): only root may")


@contextmanager
def disk_of(place: Path, size: str) -> Iterator[Callable[[str], None]]:
    """A disk of that size; yields what changes it."""
    mount(place, "-t", "tmpfs", "-o", f"size={size}", "tmpfs")
    try:
        yield lambda size: mount(place, "-o", f"remount,size={size}")
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@contextmanager
def read_only(source: Path, place: Path) -> Iterator[None]:
    """A folder seen at another place, where nothing can be written."""
    mount(place, "--bind", str(source))
    try:
        mount(place, "-o", "remount,bind,ro")
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="disks are mounted on Linux")


def fill(path: Path) -> None:
    """Write into a file until its disk is full."""
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)


@needs_linux
@pytest.mark.long
def test_a_zoo_on_a_small_disk(trials: Trials, tmp_path: Path, small_zoo: Zoo) -> None:
    """A disk fills up while LanceDB or tans writes to it; with room, the copy goes on"""
    wanted = small_zoo.entries()
    for size in ("8k", "40k", "60k", "200k", "6m"):
        with disk_of(tmp_path / "disk", size) as resize, trials.trial(size):
            with pytest.raises(ZooError, match="No space left|os error 28|check the disk"):
                copy_tasks(small_zoo, tmp_path / "disk/zoo", ["red", "blue"])
            assert not list((tmp_path / "disk").rglob(".*.tmp"))
            resize("60m")
            assert copy_tasks(small_zoo, tmp_path / "disk/zoo", ["red", "blue"]).entries() == wanted


@pytest.mark.long
@needs_linux
def test_rows_on_a_full_disk(trials: Trials, tmp_path: Path, small_zoo: Zoo) -> None:
    """LanceDB cannot add rows to a table on a full disk; what was there can be read"""
    with disk_of(tmp_path / "disk", "60m") as resize, trials.trial("entries"):
        shutil.copytree(small_zoo.path, tmp_path / "disk/zoo")
        zoo = Zoo.open(tmp_path / "disk/zoo")
        before = zoo.entries()
        filler = tmp_path / "disk/filler"
        fill(filler)
        with pytest.raises(ZooError, match="check the disk"):
            zoo.add_entries(before)
        assert Zoo.open(tmp_path / "disk/zoo").entries() == before
        filler.unlink()
        resize("61m")
        zoo.add_entries(before)
        assert Zoo.open(tmp_path / "disk/zoo").entries() == before


@pytest.mark.long
@needs_linux
def test_a_zoo_that_cannot_be_written(
    trials: Trials, tmp_path: Path, small_zoo: Zoo, small_tasks: list[Task]
) -> None:
    """A read-only zoo is read and copied; what would write says so before anyone waits"""
    writers: dict[str, Callable[[Zoo], object]] = {
        "train": lambda zoo: train(zoo, MetaSettings(steps=10**9)),
        "transfers": lambda zoo: measure_transfers(zoo, small_tasks),
        "add": lambda zoo: add_network(zoo, "tf_efficientnet_lite1", sizes=[32]),
        "entries": lambda zoo: zoo.add_entries(small_zoo.entries()),
    }
    before = tree(small_zoo.path)
    with read_only(small_zoo.path, tmp_path / "seen"):
        zoo = Zoo.open(tmp_path / "seen")
        with trials.trial("read"):
            assert zoo.entries() == small_zoo.entries()
            assert zoo.load(zoo.entries()[0].id) is not None
        with trials.trial("copied"):
            assert copy_tasks(zoo, tmp_path / "copy", ["red"]).tasks()
        for name, write in writers.items():
            with trials.trial(name), pytest.raises(ZooError, match="Read-only|check the disk"):
                write(Zoo.open(tmp_path / "seen"))
    with trials.trial("unchanged"):
        assert tree(small_zoo.path) == before


# The cache


def test_a_cache_that_cannot_be_written(
    trials: Trials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a cache would keep is measured, and it is told that it cannot be kept"""

    def time() -> object:
        return cached_time(ref_of(LITE0.smallest, 32), lambda refs: [2.0 for _ in refs])

    monkeypatch.setenv("TANS_CACHE", str(tmp_path / "cache"))
    with failing(None) as disk:
        measured = time()
    for step in range(1, disk.asked + 1):
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)
        with (
            trials.trial(f"step {step}"),
            failing(step, for_good=True),
            pytest.warns(TansWarning, match="anew"),
        ):
            assert time() == measured
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    (tmp_path / "cache").write_text("a file")
    with trials.trial("a file"), pytest.warns(TansWarning, match="TANS_CACHE"):
        assert time() == measured
