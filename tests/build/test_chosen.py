"""Filling a zoo with some pairs, on drawn tasks."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tans.build import costing
from tans.build.chosen import Choice, build_chosen
from tans.build.engine import build_zoo, make_supernets, subnets_of
from tans.build.plan import ledger
from tans.build.plan.construct import Budget, Step
from tans.build.plan.strategies import STRATEGIES
from tans.build.plan.surrogate import describe_pairs
from tans.build.spending import seconds_per_network
from tans.errors import InputError, ZooError
from tans.tasks.task import Task
from tans.zoo.verify import verify_zoo
from tans.zoo.zoo import IMAGENET, Zoo
from tests.build.plan.construction import charging
from tests.small_zoo import SMALL

SETTINGS = replace(SMALL, subnets=6)
Build = Callable[..., Zoo]


@pytest.fixture(scope="module")
def supernets(
    small_zoo: Zoo, small_tasks: list[Task], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A zoo in which nothing is measured; to be copied."""
    folder = tmp_path_factory.mktemp("supernets") / "zoo"
    return make_supernets(folder, small_tasks, SETTINGS, base_from=small_zoo).path


@pytest.fixture
def build(supernets: Path, small_tasks: list[Task], tmp_path: Path) -> Build:
    """Builds in one folder that has the supernets; one task is named twice, and counts once."""
    folder = tmp_path / "zoo"
    shutil.copytree(supernets, folder)

    def build(
        strategy: str,
        pairs: int,
        on_pair: Callable[[Step, int], None] | None = None,
        cost: str | None = "flops",
    ) -> Zoo:
        choice = Choice(strategy, Budget(pairs), start=1, batch=2, cost=cost)
        return build_chosen(
            folder,
            [*small_tasks, small_tasks[0]],
            SETTINGS,
            choice,
            describe_pairs,
            on_pair=on_pair,
        )

    return build


def own(zoo: Zoo) -> dict[str, float | None]:
    """Measured networks of the tasks."""
    return {e.id: e.val_accuracy for e in zoo.entries(vectors=False) if e.task != IMAGENET}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_budget_is_measured_and_written_down(build: Build, strategy: str) -> None:
    told: list[tuple[int, int]] = []
    zoo = build(strategy, 5, lambda step, total: told.append((step.pairs, total)))
    lines = ledger.read(zoo.path)
    assert {line.pair: line.accuracy for line in lines} == pytest.approx(own(zoo), abs=1e-6)
    assert told == [(k, 5) for k in range(1, 6)]
    assert sum(line.growth for line in lines) / 2 == pytest.approx(lines[-1].volume, abs=1e-5)
    assert all(line.seconds > 0 for line in lines)
    assert seconds_per_network(zoo).keys() == {line.task for line in lines}
    report = verify_zoo(zoo)
    assert report.ok, report.problems


def test_a_stopped_build_goes_on_and_measures_nothing_twice(build: Build, tmp_path: Path) -> None:
    def stop(step: Step, _: int) -> None:
        if step.pairs == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build("pareto", 8, stop)
    known = own(Zoo.open(tmp_path / "zoo"))
    assert len(known) == 3
    for _ in range(2):  # the second time, the budget is spent
        found = own(build("pareto", 8))
        assert len(found) == len(ledger.read(tmp_path / "zoo")) == 8
        assert known.items() <= found.items()


def test_a_build_that_goes_on_counts_the_latency_that_it_began_with(
    build: Build, supernets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices = [charging(32, layers=0.1), charging(32, layers=0.1), charging(32, dense=0.1)]
    monkeypatch.setattr(costing, "cached_latency", lambda *_: devices.pop(0))

    def lines() -> list[ledger.Line]:
        return [replace(line, seconds=0.0) for line in ledger.read(tmp_path / "zoo")]

    build("pareto", 8, cost=None)
    whole = lines()
    assert all(line.latency_ms and line.latency_ms > 1 for line in whole)
    shutil.rmtree(tmp_path / "zoo")
    shutil.copytree(supernets, tmp_path / "zoo")

    def stop(step: Step, _: int) -> None:
        if step.pairs == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build("pareto", 8, stop, cost=None)
    assert lines() == whole[:4]
    build("pareto", 8, cost=None)
    assert lines() == whole
    assert len(devices) == 1  # another device went on, and was not asked
    with pytest.raises(ZooError, match="counts latency since it began"):
        build("pareto", 8, cost="flops")


def test_the_report_shows_the_milliseconds_that_were_counted(
    build: Build, small_tasks: list[Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    # the same for all networks of as many layers, so that fronts are not those of multiply-adds
    monkeypatch.setattr(costing, "cached_latency", lambda *_: charging(32, layers=0.5))
    zoo = build("pareto", 12, cost="latency")
    text = (zoo.path / ledger.REPORT).read_text()
    assert "parameters and latency" in text
    assert "2% off" in text
    assert f"{ledger.read(zoo.path)[-1].volume:.4f}" in text
    taken = {line.pair: line.latency_ms for line in ledger.read(zoo.path)}
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
            and other.params <= one.params
            and (taken[other.id] or 0) <= (taken[one.id] or 0)
            and (other.val_accuracy or 0) > (one.val_accuracy or 0)
        }
        assert shown
        assert not shown.keys() & beaten


def test_all_pairs_are_those_of_a_plain_build(
    build: Build, small_zoo: Zoo, small_tasks: list[Task], tmp_path: Path
) -> None:
    shutil.copytree(small_zoo.path, tmp_path / "plain")
    plain = build_zoo(tmp_path / "plain", small_tasks, SETTINGS)
    zoo = build("grid", 100)
    assert own(zoo) == own(plain)
    wanted = [a for task in small_tasks for a in subnets_of(task.name, SETTINGS)]
    measured = [zoo.entry(line.pair).architecture for line in ledger.read(zoo.path)]
    assert measured == wanted


def test_the_report_has_the_front_of_every_dataset(build: Build, small_tasks: list[Task]) -> None:
    zoo = build("pareto", 7)
    text = (zoo.path / ledger.REPORT).read_text()
    assert "7 of 12 pairs" in text
    assert f"{ledger.read(zoo.path)[-1].volume:.4f}" in text
    entries = {e.id: e for e in zoo.entries(vectors=False)}
    for task in small_tasks:
        section = text.split(f"## {task.name}\n")[1].split("## ")[0]
        shown = [line.split(" | ")[0].removeprefix("| ") for line in section.splitlines()[4:]]
        front = [entries[name] for name in shown if name in entries]
        assert front
        assert [e.params for e in front] == sorted(e.params for e in front)
        for one in front:
            assert not any(
                other.params <= one.params
                and other.flops <= one.flops
                and (other.val_accuracy or 0) > (one.val_accuracy or 0)
                for other in entries.values()
                if other.task == task.name
            )


def test_what_cannot_be_chosen_is_refused() -> None:
    with pytest.raises(InputError, match="no strategy 'best'; expected one of grid, random"):
        Choice("best", Budget(5))
    with pytest.raises(InputError, match="at least 1"):
        Choice("pareto", Budget(0))
    with pytest.raises(InputError, match="no cost 'watts'; expected one of latency, flops"):
        Choice("pareto", Budget(5), cost="watts")


def test_a_pair_that_was_measured_again_is_one_line(tmp_path: Path) -> None:
    given = (("a", 1.0), ("b", 2.0), ("b", 3.0))
    first, lost, again = (
        ledger.Line(name, "t", seconds, 0.5, None, 0.1, 0.2) for name, seconds in given
    )
    for line in (first, lost, again):
        ledger.append(tmp_path, line)
    assert ledger.read(tmp_path) == [first, again]


def test_a_damaged_ledger_is_named(tmp_path: Path) -> None:
    (tmp_path / ledger.LEDGER).write_text("{half\n")
    with pytest.raises(ZooError, match=ledger.LEDGER):
        ledger.read(tmp_path)
    assert ledger.read(tmp_path / "none") == []
