import shutil
from pathlib import Path

from tans.tasks.task import Task
from tans.training import Recipe, finetune
from tans.zoo.build import BuildProgress
from tans.zoo.store import IMAGENET, Zoo
from tans.zoo.transfers import measure_transfers


def test_every_other_source_is_measured_once(
    small_zoo: Zoo, small_tasks: list[Task], tmp_path: Path
) -> None:
    shutil.copytree(small_zoo.path, tmp_path / "zoo")
    zoo = Zoo.open(tmp_path / "zoo")
    recipe = Recipe(epochs=1, batch_size=8, seed=3)
    steps: list[BuildProgress] = []
    for _ in range(2):
        measure_transfers(zoo, small_tasks, recipe=recipe, images=12, on_progress=steps.append)
    assert [step.done for step in steps] == [1, 2, 3, 4]
    owner = {entry.id: entry.task for entry in zoo.entries(vectors=False)}
    red, blue = (task.name for task in small_tasks)
    pairs = {(owner[t.source], t.target) for t in zoo.transfers()}
    assert pairs == {(IMAGENET, red), (IMAGENET, blue), (red, blue), (blue, red)}
    first = zoo.transfers()[0]
    target = next(task for task in small_tasks if task.name == first.target)
    again = finetune(zoo.load(first.source), target, 32, recipe, limit=12)
    assert again.test_accuracy == first.accuracy
