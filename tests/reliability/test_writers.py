"""Writers that die, and writers that meet.

A writer that dies at a certain write leaves its folder as it was before that write; so one run
that copies its folder at each write gives what all deaths leave, of those alike once.
"""

from __future__ import annotations

import os
import random
import select
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import torch

from tans import cli, workflow
from tans.build.engine import build_zoo
from tans.errors import InputError
from tans.export.finetuned import load_finetuned
from tans.files import is_unfinished, sweep, write_file
from tans.meta.presets import MetaSettings
from tans.tasks.task import Task
from tans.training import Recipe
from tans.zoo.blobs import name_of
from tans.zoo.verify import verify_zoo
from tans.zoo.zoo import Zoo
from tests.reliability.counting import Trials
from tests.small_zoo import SMALL

SETTINGS = replace(SMALL, subnets=3)
META = MetaSettings(steps=20, query_images=20, query_least=20, evaluate_every=0)
DEATHS = 20
PATIENCE_S = 120
WRITES = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree"}
FORKS = get_context("forkserver")  # its children have all imports done, and no threads
FORKS.set_forkserver_preload([__name__])

Process = Any  # of multiprocessing, whose contexts have one each


# What is compared


def content(zoo: Path) -> object:
    """What a zoo says, but for times; its files are read, which checks their hashes."""
    opened = Zoo.open(zoo)
    files = [opened.files.get(*name) for name in map(name_of, opened.files.keys())]
    tasks = [replace(task, cost_s=0.0) for task in opened.tasks()]
    steps = {(cost.task, cost.step) for cost in opened.costs.read()}
    return opened.entries(), tasks, opened.transfers(), files, steps


def shape(folder: Path) -> Counter[str]:
    """Number of files in each folder, those of LanceDB too; unfinished ones and locks count."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return Counter(path.parent.relative_to(folder).as_posix() for path in files)


def tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def everything(folder: Path) -> dict[str, bytes | None]:
    """Contents of all files, and None for each folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def same(zoo: Path, whole: Path) -> None:
    assert content(zoo) == content(whole)
    assert shape(zoo) == shape(whole)


# Deaths at writes


class Writes:
    """Copies a folder before each write to it by this process, while it is told to.

    Not where it is as it was before the last one: to lock a file or to make room changes nothing.
    """

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.copies: list[Path] = []
        self.place = Path()
        self.last: dict[str, bytes | None] | None = None
        sys.addaudithook(self._hook)

    @contextmanager
    def copied(self, folder: Path, place: Path) -> Iterator[list[Path]]:
        self.folder, self.copies, self.place, self.last = folder, [], place, None
        try:
            yield self.copies
        finally:
            self.folder = None

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        folder = self.folder
        if folder is None or event not in WRITES:
            return
        reads = event == "open" and not (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if not reads and str(arguments[0]).startswith(str(folder)) and folder.exists():
            self.folder = None  # copying writes too
            if (now := everything(folder)) != self.last:
                self.copies.append(self.place / str(len(self.copies)))
                shutil.copytree(folder, self.copies[-1])
            self.folder, self.last = folder, now


WATCHED = Writes()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_deaths_of_a_build(
    trials: Trials, small_zoo: Zoo, small_tasks: list[Task], tmp_path: Path
) -> None:
    """A build that dies at any of its writes, and goes on"""
    build = partial(
        build_zoo, tasks=small_tasks[:1], settings=replace(SMALL, subnets=2), base_from=small_zoo
    )
    whole = tmp_path / "zoo"
    with WATCHED.copied(whole, tmp_path / "deaths") as deaths:
        build(whole)
    for death in deaths:
        with trials.trial(death.name):
            build(death)
            same(death, whole)
        shutil.rmtree(death)


@pytest.mark.long
def test_deaths_of_a_meta_training(trials: Trials, small_zoo: Zoo, tmp_path: Path) -> None:
    """A meta-training that dies at any of its writes, and is run again"""
    whole = tmp_path / "zoo"
    shutil.copytree(small_zoo.path, whole)
    settings = replace(META, seed=5)  # another retriever than the one that is there
    with WATCHED.copied(whole, tmp_path / "deaths") as deaths:
        workflow.train(Zoo.open(whole), settings)
    for death in deaths:
        with trials.trial(death.name):
            workflow.train(Zoo.open(death), settings)
            assert tree(death / "retrieval") == tree(whole / "retrieval")
            assert shape(death) == shape(whole)


@pytest.fixture(scope="module")
def results(
    small_zoo: Zoo, small_tasks: list[Task]
) -> tuple[workflow.FinetuneResult, workflow.FinetuneResult]:
    """Two fine-tunes of a task."""

    def tune(seed: int) -> workflow.FinetuneResult:
        recipe = Recipe(epochs=1, batch_size=16, seed=seed)
        return workflow.finetune_best(
            small_tasks[0], small_zoo, workflow.Selection(network="imagenet"), recipe
        )

    return tune(0), tune(1)


@pytest.mark.long
@pytest.mark.parametrize("before", [pytest.param(False, marks=pytest.mark.slow), True])
def test_deaths_of_saving(
    trials: Trials,
    results: tuple[workflow.FinetuneResult, workflow.FinetuneResult],
    tmp_path: Path,
    before: bool,
) -> None:
    """A fine-tune that dies at any write of its result, into a new folder or over another result"""
    old, new = results
    whole = tmp_path / "tuned"
    if before:
        old.save(whole)
    known = [load_finetuned(whole).card["recipe"]["seed"]] if before else []
    with WATCHED.copied(whole, tmp_path / "deaths") as deaths, workflow.reserved(whole, before):
        new.save(whole)
    for death in deaths:
        with trials.trial(death.name):
            if before:  # there is the old or the new, also before anyone mends anything
                assert load_finetuned(death).card["recipe"]["seed"] in (*known, 1)
            try:
                with workflow.reserved(death, force=before):
                    new.save(death)
            except InputError:  # it is not empty: the new one is there, perhaps without its report
                assert load_finetuned(death).card["recipe"]["seed"] == 1
                new.save(death)
            assert tree(death) == tree(whole)


@pytest.mark.long
def test_a_living_writers_files_stay_and_a_dead_ones_go(trials: Trials, tmp_path: Path) -> None:
    """What a writer that is killed leaves is swept by the next, and a living one's is not"""
    for number in range(5):
        with trials.trial(number):
            began = FORKS.Event()
            writer = FORKS.Process(target=write_forever, args=(tmp_path / "file", began))
            writer.start()
            assert began.wait(PATIENCE_S)
            sweep(tmp_path)
            write_file(tmp_path / "another", b"whole")
            assert any(map(is_unfinished, tmp_path.iterdir()))
            writer.kill()
            writer.join()
            write_file(tmp_path / "another", b"whole")
            assert [path.name for path in tmp_path.iterdir()] == ["another"]


def write_forever(path: Path, began: Any) -> None:
    from tans.files import replacing

    with replacing(path) as fresh:
        fresh.write_bytes(b"half")
        began.set()
        signal.pause()


# Processes that run commands


def command(
    small: Path, said: Path, began: Any, *arguments: object, settings: object = SETTINGS
) -> None:
    """In a process of its own: a command, with small settings; its standard error in a file."""
    os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT), 2)
    os.dup2(2, 1)
    # a run in the background of a shell ignores it, and so would this process
    signal.signal(signal.SIGINT, signal.default_int_handler)
    torch.set_num_threads(1)
    open_zoo = Zoo.open

    def opened(path: str | Path | None = None, *_: object) -> Zoo:
        began.set()  # the command runs
        return open_zoo(small if path is None else path)

    Zoo.open = opened  # type: ignore[assignment, method-assign]
    workflow.BuildSettings = lambda **_: settings  # type: ignore[assignment, misc]
    workflow.find_base = lambda *_: Zoo.open()  # type: ignore[assignment]
    try:
        cli.main([str(argument) for argument in arguments])
    finally:
        began.set()  # one that was refused runs no more


Start = Callable[..., Process]


@pytest.fixture
def start(small_zoo: Zoo, tmp_path: Path) -> Iterator[Start]:
    """Begins a command; what it says is in the file ``said``."""
    begun: list[Process] = []

    def start(*arguments: object) -> Process:
        said, began = tmp_path / f"said-{len(begun)}", FORKS.Event()
        process = FORKS.Process(target=command, args=(small_zoo.path, said, began, *arguments))
        process.start()
        assert began.wait(PATIENCE_S)
        process.said = said
        begun.append(process)
        return process

    yield start
    for process in begun:
        process.kill()
        process.join()


def ended(process: Process) -> int:
    process.join(PATIENCE_S)
    assert process.exitcode is not None, "it does not end"
    return process.exitcode


@pytest.fixture(scope="module")
def data(small_tasks: list[Task], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each of the small tasks in a folder of its own."""
    folder = tmp_path_factory.mktemp("data")
    for task in small_tasks:
        task.save(folder / task.name / task.name)
    return folder


@pytest.fixture(scope="module")
def built(
    small_zoo: Zoo, data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Path]:
    """The zoo of tasks whose build nobody disturbed."""

    def built(*names: str) -> Path:
        folder = tmp_path_factory.getbasetemp() / "-".join(("built", *names))
        if not folder.exists():
            tasks = [Task.from_path(data / name / name) for name in names]
            build_zoo(folder, tasks, SETTINGS, base_from=small_zoo)
        return folder

    return built


def build_of(data: Path, *names: str) -> list[object]:
    return ["--epochs", 1, *(part for name in names for part in ("--tasks", data / name))]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_kills_of_a_build(
    trials: Trials, start: Start, built: Callable[..., Path], data: Path, tmp_path: Path
) -> None:
    """`tans zoo build` is killed at a random moment, and goes on"""
    whole, rng = built("red", "blue"), random.Random(0)
    arguments = "zoo", "build", tmp_path / "zoo", *build_of(data, "red", "blue")
    began = time.monotonic()
    assert ended(start(*arguments)) == 0
    taken = time.monotonic() - began
    for number in range(DEATHS):
        with trials.trial(number):
            shutil.rmtree(tmp_path / "zoo")
            process = start(*arguments)
            process.join(rng.random() * taken)
            process.kill()
            process.join()
            assert ended(start(*arguments)) == 0
            same(tmp_path / "zoo", whole)


@pytest.mark.slow
def test_kills_of_a_meta_training(
    trials: Trials, start: Start, small_zoo: Zoo, tmp_path: Path
) -> None:
    """`tans train` is killed at a random moment, and run again"""
    rng = random.Random(0)
    for name in ("whole", "zoo"):
        shutil.copytree(small_zoo.path, tmp_path / name)
    began = time.monotonic()
    assert ended(start("train", "--zoo", tmp_path / "whole")) == 0
    taken = time.monotonic() - began
    for number in range(DEATHS):
        with trials.trial(number):
            process = start("train", "--zoo", tmp_path / "zoo")
            process.join(rng.random() * taken)
            process.kill()
            process.join()
            assert ended(start("train", "--zoo", tmp_path / "zoo")) == 0
            assert tree(tmp_path / "zoo/retrieval") == tree(tmp_path / "whole/retrieval")
            assert shape(tmp_path / "zoo") == shape(tmp_path / "whole")


# Writers that meet


@pytest.mark.slow
@pytest.mark.parametrize("others", [("red",), ("blue",)])
def test_two_builds(
    trials: Trials,
    start: Start,
    built: Callable[..., Path],
    data: Path,
    tmp_path: Path,
    others: tuple[str, ...],
) -> None:
    """Two builds of one zoo at once, of the same task or of different ones"""
    whole = built(*sorted({"red", *others}, reverse=True))
    for number in range(2):
        zoo = tmp_path / f"zoo-{number}"
        with trials.trial(number):
            both = [
                start("zoo", "build", zoo, *build_of(data, *names)) for names in (("red",), others)
            ]
            assert [ended(process) for process in both] == [0, 0]
            same(zoo, whole)


@pytest.mark.slow
def test_a_build_beside_trainings_and_a_reader(
    trials: Trials, start: Start, small_zoo: Zoo, data: Path, tmp_path: Path
) -> None:
    """A zoo is built, trained twice and read at once"""
    zoo = tmp_path / "zoo"
    shutil.copytree(small_zoo.path, zoo)
    third = replace(Task.from_path(data / "red" / "red"), name="third")
    third.save(tmp_path / "third" / "third")
    writers = [
        start("zoo", "build", zoo, *build_of(tmp_path, "third")),
        start("train", "--zoo", zoo),
        start("train", "--zoo", zoo),
    ]
    while any(writer.exitcode is None for writer in writers):
        with trials.trial("read"):
            opened = Zoo.open(zoo)
            names = {task.name for task in opened.tasks()}
            assert {entry.task for entry in opened.entries(vectors=False)} <= names
            report = verify_zoo(opened)
            assert report.ok, report.problems
            workflow.search_within(third, Zoo.open(zoo), workflow.Constraints())
    with trials.trial("writers"):
        assert [ended(writer) for writer in writers] == [0, 0, 0]
        assert "third" in {task.name for task in Zoo.open(zoo).tasks()}
        assert not list(filter(is_unfinished, zoo.rglob("*")))


@pytest.mark.long
def test_two_finetunes_into_one_folder(
    trials: Trials, start: Start, data: Path, tmp_path: Path
) -> None:
    """A second fine-tune into the same folder gets one clear error, and the first its result"""
    arguments = finetune_of(data, tmp_path, epochs=20)
    with trials.trial("second"):
        first = start(*arguments)
        second = start(*arguments)
        assert ended(second) == 1
        assert second.said.read_text().startswith("error: another process")
        assert len(second.said.read_text().splitlines()) == 1
        os.kill(first.pid, signal.SIGTERM)
        assert ended(first) == 143


def finetune_of(data: Path, folder: Path, epochs: int) -> list[object]:
    task, output = data / "red" / "red", folder / "tuned"
    return ["finetune", task, "-o", output, "--network", "imagenet", "--epochs", epochs]


# Signals


@pytest.mark.long
@pytest.mark.parametrize("name", ["build", "train", "finetune"])
def test_signals(
    trials: Trials, start: Start, small_zoo: Zoo, data: Path, tmp_path: Path, name: str
) -> None:
    """SIGTERM and SIGINT end a build, a meta-training and a fine-tune cleanly"""
    zoo = tmp_path / "zoo"
    shutil.copytree(small_zoo.path, zoo)
    arguments = {
        "build": ["zoo", "build", tmp_path / "new", *build_of(data, "red", "blue")],
        "train": ["train", "--preset", "paper", "--zoo", zoo],
        "finetune": finetune_of(data, tmp_path, epochs=5_000),  # none ends by itself meanwhile
    }[name]
    for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        for wait_s in (0.0, 0.2, 0.6):
            with trials.trial((number.name, wait_s)):
                process = start(*arguments)
                process.join(wait_s)
                os.kill(process.pid, number)
                assert ended(process) == code
                assert "Traceback" not in process.said.read_text()
                assert not list(filter(is_unfinished, tmp_path.rglob("*")))
                for made in ("tuned", "new"):  # or a build would have ever less to do
                    shutil.rmtree(tmp_path / made, ignore_errors=True)


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_worker_outlives_its_parent(
    trials: Trials, start: Start, data: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """Worker processes end when their parent is killed or stopped"""
    with trials.trial(number.name):
        arguments = "zoo", "build", tmp_path / "zoo", *build_of(data, "red", "blue")
        parent = start(*arguments, "--workers", 2)
        while not list((tmp_path / "zoo").glob(".[rb]*.turn.*.lock")):  # a worker has begun
            parent.join(0.1)
            assert parent.exitcode is None, parent.said.read_text()
        children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
        opened = [os.pidfd_open(int(child)) for child in children]
        assert len(opened) >= 2
        os.kill(parent.pid, number)
        for child in opened:
            readable, _, _ = select.select([child], [], [], PATIENCE_S)
            assert readable, "it lives on"
        assert ended(parent) == (143 if number == signal.SIGTERM else -number)
        assert "Traceback" not in parent.said.read_text()
        assert ended(start(*arguments)) == 0
        assert not list(filter(is_unfinished, (tmp_path / "zoo").rglob("*")))
