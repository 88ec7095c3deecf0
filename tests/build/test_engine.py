import json
import shutil
from pathlib import Path

import pytest

from tans.build.engine import BASE_SUBNETS, BuildSettings, build_zoo
from tans.build.measure import Meter
from tans.build.spending import COSTS, seconds_per_network, seconds_spent
from tans.build.workers import BuildProgress
from tans.errors import ZooError
from tans.tasks.task import Task
from tans.training import accuracy
from tans.types import Architecture, ZooEntry
from tans.zoo.verify import verify_zoo
from tans.zoo.zoo import IMAGENET, Zoo
from tests.small_zoo import SMALL


def test_every_task_has_its_networks(small_zoo: Zoo, small_tasks: list[Task]) -> None:
    entries = small_zoo.entries()
    for task in small_tasks:
        own = [entry for entry in entries if entry.task == task.name]
        architectures = {entry.architecture for entry in own}
        assert len(own) == len(architectures) == SMALL.subnets
        assert {small_zoo.space.largest, small_zoo.space.smallest} <= architectures
        assert small_zoo.task(task.name).card["family"] == task.card.family
    base = [entry for entry in entries if entry.task == IMAGENET]
    assert len(base) == BASE_SUBNETS + 1 + len(SMALL.imagenet_resolutions)
    assert {entry.accuracy for entry in base} == {None}


def test_the_networks_of_a_shared_base_are_copied_and_not_measured(
    small_zoo: Zoo, small_tasks: list[Task], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[str] = []
    entry = Meter.entry

    def counted(meter: Meter, architecture: Architecture) -> ZooEntry:
        measured.append(meter.task)
        return entry(meter, architecture)

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


def test_the_built_zoo_verifies(small_zoo: Zoo) -> None:
    report = verify_zoo(small_zoo)
    assert report.ok, report.problems
    assert report.networks == len(small_zoo.entries())


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


def test_every_step_is_in_the_log_of_costs(small_zoo: Zoo, small_tasks: list[Task]) -> None:
    lines = [json.loads(line) for line in (small_zoo.path / COSTS).read_text().splitlines()]
    steps = [(line["task"], line["step"]) for line in lines]
    own = [(task.name, step) for task in small_tasks for step in ("train", "measure")]
    assert steps == [(IMAGENET, "distil"), *own]
    assert all(line["seconds"] > 0 and line["count"] > 0 for line in lines)


def test_another_resolution_is_refused(small_zoo: Zoo, small_tasks: list[Task]) -> None:
    with pytest.raises(ZooError, match="32"):
        build_zoo(small_zoo.path, small_tasks, BuildSettings(resolution=64))


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
    drawn = [(e.task, e.architecture, e.params) for e in zoo.entries()]
    assert sorted(drawn, key=str) == sorted(
        [(e.task, e.architecture, e.params) for e in small_zoo.entries()], key=str
    )


def test_what_a_zoo_cost_is_known_by_step(measured_zoo: Zoo) -> None:
    spent = seconds_spent(measured_zoo)
    assert spent.keys() == {"distil", "train", "measure", "transfer"}
    assert min(spent.values()) > 0


def test_what_a_network_cost_is_known_by_task(measured_zoo: Zoo, small_tasks: list[Task]) -> None:
    each = seconds_per_network(measured_zoo)
    assert each.keys() == {task.name for task in small_tasks}
    assert sum(each.values()) * SMALL.subnets == pytest.approx(
        seconds_spent(measured_zoo)["measure"]
    )


def test_a_damaged_record_of_costs_is_named(small_zoo: Zoo, tmp_path: Path) -> None:
    shutil.copytree(small_zoo.path, tmp_path / "zoo")
    (tmp_path / "zoo" / COSTS).write_text("{half\n")
    with pytest.raises(ZooError, match=COSTS):
        seconds_spent(Zoo.open(tmp_path / "zoo"))
