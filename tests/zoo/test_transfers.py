import shutil

import pytest

from tans.tasks.task import Task
from tans.training import Recipe, finetune
from tans.zoo.sources import Sources
from tans.zoo.store import IMAGENET, Zoo
from tans.zoo.transfers import TransferSettings, measure_transfers
from tans.zoo.workers import BuildProgress

SETTINGS = TransferSettings(Recipe(epochs=1, batch_size=8, seed=3), images=30, first=1, others=1)


@pytest.fixture(scope="module")
def measured(
    small_zoo: Zoo, small_tasks: list[Task], tmp_path_factory: pytest.TempPathFactory
) -> Zoo:
    folder = tmp_path_factory.mktemp("transfers") / "zoo"
    shutil.copytree(small_zoo.path, folder)
    zoo = Zoo.open(folder)
    measure_transfers(zoo, small_tasks, SETTINGS)
    return Zoo.open(folder)


def test_every_source_is_probed_on_every_other_task(measured: Zoo, small_tasks: list[Task]) -> None:
    sources = Sources.of(measured)
    probes = {(t.source, t.target) for t in measured.transfers() if not t.epochs}
    for task in small_tasks:
        others = [entry for name, entry in sources.largest.items() if name != task.name]
        expected = {entry.id for entry in (*others, *sources.always)}
        assert {source for source, target in probes if target == task.name} == expected


def test_imagenet_and_the_first_source_are_fine_tuned(
    measured: Zoo, small_tasks: list[Task]
) -> None:
    sources = Sources.of(measured)
    tuned = {(t.source, t.target) for t in measured.transfers() if t.epochs}
    owner = {entry.id: entry.task for entry in measured.entries(vectors=False)}
    for task in small_tasks:
        own = {source for source, target in tuned if target == task.name}
        assert {sources.base.id, sources.whole[0].id} <= own
        assert {owner[source] for source in own} == {IMAGENET, *sources.largest} - {task.name}


def test_imagenet_is_also_fine_tuned_above_the_resolution_of_the_zoo(measured: Zoo) -> None:
    whole = {entry.id: entry.resolution for entry in Sources.of(measured).whole}
    found = [whole[t.source] for t in measured.transfers() if t.epochs and t.source in whole]
    assert set(found) == {32, 48}


def test_a_measurement_can_be_made_again(measured: Zoo, small_tasks: list[Task]) -> None:
    first = next(t for t in measured.transfers() if t.epochs)
    target = next(task for task in small_tasks if task.name == first.target)
    network = measured.load(first.source, len(target.classes))
    again = finetune(network, target, 32, SETTINGS.recipe, limit=SETTINGS.images)
    assert again.test_accuracy == first.accuracy
    assert all(transfer.seconds > 0 for transfer in measured.transfers())


def test_nothing_is_measured_twice(measured: Zoo, small_tasks: list[Task]) -> None:
    before = measured.transfers()
    steps: list[BuildProgress] = []
    measure_transfers(measured, small_tasks, SETTINGS, on_progress=steps.append)
    assert Zoo.open(measured.path).transfers() == before
    assert {step.step for step in steps} == {"probe", "transfer"}
