"""What is measured of networks on tasks that are not their own."""

from __future__ import annotations

import pytest

from tans.build.crew import BuildProgress
from tans.build.transfers import measure_transfers
from tans.tasks.task import Task
from tans.training import finetune
from tans.zoo.sources import Sources
from tans.zoo.zoo import IMAGENET, Zoo
from tests.small_zoo import TRANSFERS


def test_every_source_is_probed_on_every_other_task(
    measured_zoo: Zoo, small_tasks: list[Task]
) -> None:
    sources = Sources.of(measured_zoo)
    probes = {(t.source, t.target) for t in measured_zoo.transfers() if not t.epochs}
    for task in small_tasks:
        others = [entry for name, entry in sources.largest.items() if name != task.name]
        expected = {entry.id for entry in (*others, *sources.always)}
        assert {source for source, target in probes if target == task.name} == expected


def test_imagenet_and_the_first_source_are_fine_tuned(
    measured_zoo: Zoo, small_tasks: list[Task]
) -> None:
    sources = Sources.of(measured_zoo)
    tuned = {(t.source, t.target) for t in measured_zoo.transfers() if t.epochs}
    owner = {entry.id: entry.task for entry in measured_zoo.entries(vectors=False)}
    for task in small_tasks:
        own = {source for source, target in tuned if target == task.name}
        assert {sources.base.id, sources.whole[0].id} <= own
        assert {owner[source] for source in own} == {IMAGENET, *sources.largest} - {task.name}


def test_imagenet_is_also_fine_tuned_above_the_resolution_of_the_zoo(measured_zoo: Zoo) -> None:
    whole = {entry.id: entry.resolution for entry in Sources.of(measured_zoo).whole}
    found = [whole[t.source] for t in measured_zoo.transfers() if t.epochs and t.source in whole]
    assert set(found) == {32, 48}


@pytest.mark.long
def test_a_measurement_can_be_made_again(measured_zoo: Zoo, small_tasks: list[Task]) -> None:
    first = next(t for t in measured_zoo.transfers() if t.epochs)
    target = next(task for task in small_tasks if task.name == first.target)
    network = measured_zoo.load(first.source, len(target.classes))
    again = finetune(network, target, 32, TRANSFERS.recipe, limit=TRANSFERS.images)
    assert again.test_accuracy == first.accuracy
    assert all(transfer.seconds > 0 for transfer in measured_zoo.transfers())


def test_nothing_is_measured_twice(measured_zoo: Zoo, small_tasks: list[Task]) -> None:
    before = measured_zoo.transfers()
    steps: list[BuildProgress] = []
    measure_transfers(measured_zoo, small_tasks, TRANSFERS, on_progress=steps.append)
    assert Zoo.open(measured_zoo.path).transfers() == before
    assert {step.step for step in steps} == {"probe", "transfer"}
