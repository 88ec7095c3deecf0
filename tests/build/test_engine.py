"""Filling a zoo with all pairs, and with some, on drawn tasks."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tans.build import costing
from tans.build.base import BASE_SUBNETS
from tans.build.crew import BuildProgress, Listener
from tans.build.engine import build_zoo
from tans.build.measure import Meter
from tans.build.plan.construct import Budget
from tans.build.plan.ledger import REPORT, pairs_of
from tans.build.plan.strategies import STRATEGIES
from tans.build.settings import BuildSettings, Choice, subnets_of
from tans.build.spending import seconds_per_network
from tans.build.supernets import add_supernet
from tans.errors import InputError, ZooError
from tans.interrupts import CAN_WAIT, terminable
from tans.networks.families.elastic.specification import LITE0, ref_of
from tans.tasks.task import Task
from tans.training import accuracy
from tans.types import NetworkRef, ZooEntry
from tans.zoo.rows import LedgerLine
from tans.zoo.sharing import push_zoo
from tans.zoo.verify import verify_zoo
from tans.zoo.zoo import IMAGENET, Zoo
from tests.build.plan.construction import charging
from tests.small_zoo import SMALL
from tests.zoo.conftest import stores  # noqa: F401 - a fixture
from tests.zoo.stores import keys

SETTINGS = replace(SMALL, subnets=6)
Build = Callable[..., Zoo]


@pytest.fixture(scope="module")
def supernets(
    small_zoo: Zoo, small_tasks: list[Task], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A zoo in which nothing is measured; to be copied."""
    zoo = Zoo.create(tmp_path_factory.mktemp("supernets") / "zoo")
    zoo.copy_base(small_zoo)
    for task in small_tasks:
        add_supernet(zoo, SETTINGS, task, None)
    return zoo.path


@pytest.fixture
def build(supernets: Path, small_tasks: list[Task], tmp_path: Path) -> Build:
    """Builds in one folder that has the supernets; one task is named twice, and counts once."""
    folder = tmp_path / "zoo"
    shutil.copytree(supernets, folder)

    def build(
        strategy: str,
        pairs: int,
        on_progress: Listener | None = None,
        cost: str | None = "flops",
    ) -> Zoo:
        choice = Choice(strategy, Budget(pairs), start=1, batch=2, cost=cost)
        tasks = [*small_tasks, small_tasks[0]]
        return build_zoo(folder, tasks, SETTINGS, choice=choice, on_progress=on_progress)

    return build


def own(zoo: Zoo) -> dict[str, float | None]:
    """Measured networks of the tasks."""
    return {e.id: e.val_accuracy for e in zoo.entries(vectors=False) if e.task != IMAGENET}


def test_every_task_has_its_networks(small_zoo: Zoo, small_tasks: list[Task]) -> None:
    entries = small_zoo.entries()
    for task in small_tasks:
        own = [entry for entry in entries if entry.task == task.name]
        refs = {entry.ref for entry in own}
        assert len(own) == len(refs) == SMALL.subnets
        assert {ref_of(LITE0.largest, 32), ref_of(LITE0.smallest, 32)} <= refs
        assert small_zoo.task(task.name).card["family"] == task.card.family
    base = [entry for entry in entries if entry.task == IMAGENET]
    assert len(base) == BASE_SUBNETS + 1 + len(SMALL.imagenet_resolutions)
    assert {entry.accuracy for entry in base} == {None}


@pytest.mark.long
def test_the_networks_of_a_shared_base_are_copied_and_not_measured(
    small_zoo: Zoo, small_tasks: list[Task], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[str] = []
    entry = Meter.entry

    def counted(meter: Meter, ref: NetworkRef) -> ZooEntry:
        measured.append(meter.task)
        return entry(meter, ref)

    monkeypatch.setattr(Meter, "entry", counted)
    zoo = build_zoo(tmp_path / "zoo", small_tasks[:1], SMALL, base_from=small_zoo)
    assert measured == [small_tasks[0].name] * SMALL.subnets
    assert zoo.entries(task=IMAGENET) == small_zoo.entries(task=IMAGENET)
    assert zoo.task(IMAGENET) == small_zoo.task(IMAGENET)


def test_what_is_measured_is_what_is_stored(small_zoo: Zoo, small_tasks: list[Task]) -> None:
    for task in small_tasks:
        entry = next(e for e in small_zoo.entries() if e.task == task.name)
        network = small_zoo.load(entry.id)
        assert accuracy(network, *task.split("test", 32)) == entry.accuracy
        assert accuracy(network, *task.split("val", 32)) == entry.val_accuracy


@pytest.mark.long
def test_the_built_zoo_verifies(small_zoo: Zoo) -> None:
    report = verify_zoo(small_zoo)
    assert report.ok, report.problems
    assert report.networks == len(small_zoo.entries())


@pytest.mark.long
def test_a_stopped_build_goes_on_to_the_same_zoo(
    small_zoo: Zoo, small_tasks: list[Task], tmp_path: Path
) -> None:
    def stop(progress: BuildProgress) -> None:
        if progress.step == "measure" and progress.done == 2:
            raise KeyboardInterrupt

    steps: list[BuildProgress] = []
    for listener in (stop, steps.append):
        try:
            zoo = build_zoo(
                tmp_path / "zoo", small_tasks[:1], SMALL, base_from=small_zoo, on_progress=listener
            )
        except KeyboardInterrupt:
            stored = Zoo.open(tmp_path / "zoo").entries()
            assert sum(entry.task != IMAGENET for entry in stored) == 2
    assert [(p.step, p.done, p.total) for p in steps] == [("measure", 1, 2), ("measure", 2, 2)]
    expected = [e for e in small_zoo.entries() if e.task in (IMAGENET, small_tasks[0].name)]
    assert [e.id for e in zoo.entries()] == [e.id for e in expected]
    assert [e.accuracy for e in zoo.entries()] == [e.accuracy for e in expected]
    assert not list(zoo.path.glob("*.checkpoint"))


def test_another_resolution_is_refused(small_zoo: Zoo, small_tasks: list[Task]) -> None:
    with pytest.raises(ZooError, match="32"):
        build_zoo(small_zoo.path, small_tasks, BuildSettings(resolution=64))


@pytest.mark.long
def test_two_workers_build_what_one_builds(
    small_zoo: Zoo, small_tasks: list[Task], tmp_path: Path
) -> None:
    steps: list[BuildProgress] = []
    zoo = build_zoo(
        tmp_path / "zoo",
        small_tasks,
        SMALL,
        base_from=small_zoo,
        workers=2,
        on_progress=steps.append,
    )
    assert {step.task for step in steps} == {task.name for task in small_tasks}
    drawn = [(e.task, e.ref, e.body_params) for e in zoo.entries()]
    assert sorted(drawn, key=str) == sorted(
        [(e.task, e.ref, e.body_params) for e in small_zoo.entries()], key=str
    )


@pytest.mark.parametrize(
    "strategy",
    [s if s == "pareto" else pytest.param(s, marks=pytest.mark.slow) for s in STRATEGIES],
)
@pytest.mark.long
def test_the_budget_is_measured_and_written_down(build: Build, strategy: str) -> None:
    told: list[BuildProgress] = []
    zoo = build(strategy, 5, told.append)
    lines = pairs_of(zoo)
    assert {line.pair: line.accuracy for line in lines} == pytest.approx(own(zoo), abs=1e-6)
    assert [(step.step, step.done, step.total) for step in told] == [
        ("measure", k, 5) for k in range(1, 6)
    ]
    assert [step.volume for step in told] == pytest.approx([x.volume for x in lines], abs=1e-6)
    assert sum(line.growth for line in lines) / 2 == pytest.approx(lines[-1].volume, abs=1e-5)
    assert all(line.seconds > 0 for line in lines)
    assert seconds_per_network(zoo).keys() == {line.task for line in lines}
    report = verify_zoo(zoo)
    assert report.ok, report.problems


@pytest.mark.long
def test_a_stopped_build_goes_on_and_measures_nothing_twice(build: Build, tmp_path: Path) -> None:
    def stop(step: BuildProgress) -> None:
        if step.done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build("pareto", 8, stop)
    known = own(Zoo.open(tmp_path / "zoo"))
    assert len(known) == 3
    for _ in range(2):  # the second time, the budget is spent
        found = own(build("pareto", 8))
        assert len(found) == len(pairs_of(Zoo.open(tmp_path / "zoo"))) == 8
        assert known.items() <= found.items()


@pytest.mark.long
@pytest.mark.skipif(not CAN_WAIT, reason="this system has no alarms")
def test_what_is_measured_is_stored_though_an_interrupt_comes_meanwhile(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = Zoo.add_entries

    def sent_meanwhile(zoo: Zoo, entries: Sequence[ZooEntry]) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        add(zoo, entries)

    monkeypatch.setattr(Zoo, "add_entries", sent_meanwhile)
    with pytest.raises(SystemExit), terminable():
        build("pareto", 8)
    assert own(Zoo.open(tmp_path / "zoo"))


@pytest.mark.long
def test_a_build_that_goes_on_counts_the_latency_that_it_began_with(
    build: Build, supernets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices = [charging(32, layers=0.1), charging(32, layers=0.1), charging(32, dense=0.1)]
    monkeypatch.setattr(costing, "cached_latency", lambda *_: devices.pop(0))

    def lines() -> list[LedgerLine]:
        return [replace(line, seconds=0.0) for line in pairs_of(Zoo.open(tmp_path / "zoo"))]

    build("pareto", 8, cost=None)
    whole = lines()
    assert all(line.latency_ms and line.latency_ms > 1 for line in whole)
    shutil.rmtree(tmp_path / "zoo")
    shutil.copytree(supernets, tmp_path / "zoo")

    def stop(step: BuildProgress) -> None:
        if step.done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build("pareto", 8, stop, cost=None)
    assert lines() == whole[:4]
    build("pareto", 8, cost=None)
    assert lines() == whole
    assert len(devices) == 1  # another device went on, and was not asked
    with pytest.raises(ZooError, match="counts latency since it began"):
        build("pareto", 8, cost="flops")


@pytest.mark.long
def test_the_report_shows_the_milliseconds_that_were_counted(
    build: Build, small_tasks: list[Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    # the same for all networks of as many layers, so that fronts are not those of multiply-adds
    monkeypatch.setattr(costing, "cached_latency", lambda *_: charging(32, layers=0.5))
    zoo = build("pareto", 12, cost="latency")
    text = (zoo.path / REPORT).read_text()
    assert "parameters and latency" in text
    assert "2% off" in text
    assert f"{pairs_of(zoo)[-1].volume:.4f}" in text
    taken = {line.pair: line.latency_ms for line in pairs_of(zoo)}
    entries = {e.id: e for e in zoo.entries(vectors=False)}
    for task in small_tasks:
        section = text.split(f"## {task.name}\n")[1].split("## ")[0]
        cells = [line.strip("| ").split(" | ") for line in section.splitlines()[5:] if line]
        shown = {row[0]: float(row[4]) for row in cells}
        assert shown == pytest.approx({name: taken[name] for name in shown}, abs=0.01)
        beaten = {
            one.id
            for one in entries.values()
            for other in entries.values()
            if one.task == other.task == task.name
            and other.body_params <= one.body_params
            and (taken[other.id] or 0) <= (taken[one.id] or 0)
            and (other.val_accuracy or 0) > (one.val_accuracy or 0)
        }
        assert shown
        assert not shown.keys() & beaten


@pytest.mark.long
def test_all_pairs_are_those_of_a_plain_build(
    build: Build, small_zoo: Zoo, small_tasks: list[Task], tmp_path: Path
) -> None:
    shutil.copytree(small_zoo.path, tmp_path / "plain")
    plain = build_zoo(tmp_path / "plain", small_tasks, SETTINGS)
    zoo = build("grid", 100)
    assert own(zoo) == own(plain)
    wanted = [a for task in small_tasks for a in subnets_of(task.name, SETTINGS)]
    measured = [zoo.entry(line.pair).ref for line in pairs_of(zoo)]
    assert measured == wanted


@pytest.mark.long
def test_the_report_has_the_front_of_every_dataset(build: Build, small_tasks: list[Task]) -> None:
    zoo = build("pareto", 7)
    text = (zoo.path / REPORT).read_text()
    assert "7 of 12 pairs" in text
    assert f"{pairs_of(zoo)[-1].volume:.4f}" in text
    entries = {e.id: e for e in zoo.entries(vectors=False)}
    for task in small_tasks:
        section = text.split(f"## {task.name}\n")[1].split("## ")[0]
        shown = [line.split(" | ")[0].removeprefix("| ") for line in section.splitlines()[4:]]
        front = [entries[name] for name in shown if name in entries]
        assert front
        assert [e.body_params for e in front] == sorted(e.body_params for e in front)
        for one in front:
            assert not any(
                other.body_params <= one.body_params
                and other.body_flops <= one.body_flops
                and (other.val_accuracy or 0) > (one.val_accuracy or 0)
                for other in entries.values()
                if other.task == task.name
            )


@pytest.mark.usefixtures("stores")
@pytest.mark.long
def test_a_build_at_an_address_gives_what_one_in_a_folder_gives(
    small_zoo: Zoo, small_tasks: list[Task], supernets: Path, tmp_path: Path
) -> None:
    address = "memory://zoos/mine"
    push_zoo(Zoo.open(supernets), address)
    choice = Choice("grid", Budget(5), batch=2, cost="flops")
    given = {"settings": SETTINGS, "choice": choice, "base_from": small_zoo}
    shutil.copytree(supernets, tmp_path / "zoo")
    there = build_zoo(address, small_tasks, **given)
    here = build_zoo(tmp_path / "zoo", small_tasks, **given)
    assert there.entries() == here.entries()
    assert verify_zoo(there).ok
    assert [line.pair for line in pairs_of(there)] == [line.pair for line in pairs_of(here)]
    assert not [key for key in keys(address) if key.startswith("build/")]
    with pytest.raises(InputError, match="came without a choice"):
        build_zoo(address, small_tasks, SETTINGS)


@pytest.mark.usefixtures("stores")
@pytest.mark.slow
def test_a_training_at_an_address_goes_on_from_its_last_epoch(
    small_zoo: Zoo, small_tasks: list[Task], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tans.training.loop.SAVE_EVERY_S", 0.0)
    settings = replace(SETTINGS, least_seen=100)
    address, red = "memory://zoos/mine", small_tasks[:1]
    choice = Choice("grid", Budget(1), cost="flops")
    told: list[int] = []

    def die(step: BuildProgress) -> None:
        if step.step == "train" and step.done == 1:
            raise KeyboardInterrupt

    def tell(step: BuildProgress) -> None:
        if step.step == "train":
            told.append(step.done)

    given = {"settings": settings, "choice": choice, "base_from": small_zoo}
    with pytest.raises(KeyboardInterrupt):
        build_zoo(address, red, **given, on_progress=die)
    assert f"build/{red[0].name}.checkpoint" in keys(address)
    monkeypatch.setenv("TANS_CACHE", str(tmp_path / "elsewhere"))
    there = build_zoo(address, red, **given, on_progress=tell)
    assert told
    assert told[0] == 2
    here = build_zoo(tmp_path / "zoo", red, **given)
    assert there.task(red[0].name).weights == here.task(red[0].name).weights
