"""Filling a zoo with some pairs, on drawn tasks."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tans.errors import InputError, ZooError
from tans.meta.surrogate import describe_pairs
from tans.tasks.task import Task
from tans.zoo import ledger
from tans.zoo.build import build_zoo, make_supernets, subnets_of
from tans.zoo.chosen import Choice, build_chosen
from tans.zoo.construct import Budget, Step
from tans.zoo.spending import seconds_per_network
from tans.zoo.store import IMAGENET, Zoo
from tans.zoo.strategies import STRATEGIES
from tans.zoo.verify import verify_zoo
from tests.conftest import SMALL

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

    def build(strategy: str, pairs: int, on_pair: Callable[[Step, int], None] | None = None) -> Zoo:
        choice = Choice(strategy, Budget(pairs), start=1, batch=2)
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


def test_a_damaged_ledger_is_named(tmp_path: Path) -> None:
    (tmp_path / ledger.LEDGER).write_text("{half\n")
    with pytest.raises(ZooError, match=ledger.LEDGER):
        ledger.read(tmp_path)
    assert ledger.read(tmp_path / "none") == []
