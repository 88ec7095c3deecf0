"""Experiments on the small zoo, on a drawn task that takes the name of a packaged one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tans.meta.presets import MetaSettings
from tans.tasks.task import Task
from tans.zoo.zoo import Zoo
from tans_bench.methods import ablations
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Drawing
from tans_bench.runs.experiment import Experiment, P
from tans_bench.runs.results import Results
from tans_bench.runs.runner import run_experiment
from tests.small_zoo import drawn_task

DEV_TASK, STRANGER_TASK = "script-greek", "solar-cells"
SHORT = MetaSettings(
    parts=("topology", "similarities"), steps=20, query_images=20, query_least=20, evaluate_every=0
)


@pytest.fixture(autouse=True, scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Meta-training of 20 steps, kept for the tests of one file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ablations, "DEFAULT", SHORT)
        patch.setenv("TANS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def bench(tmp_path: Path, measured_zoo: Zoo) -> Bench:
    """A folder without results, and tasks that are drawn."""
    return Bench(Results(tmp_path / "results"), measured_zoo, unseen)


@pytest.fixture(scope="module")
def run_once(tmp_path_factory: pytest.TempPathFactory, measured_zoo: Zoo) -> Bench:
    """A bench as above, for what the tests of one file run once; each takes a copy."""
    return Bench(Results(tmp_path_factory.mktemp("once") / "results"), measured_zoo, unseen)


def copied(bench: Bench, folder: Path) -> Bench:
    """A bench with the results of another in a folder of its own."""
    shutil.copytree(bench.results.folder, folder)
    return replace(bench, results=Results(folder))


def unseen(name: str, images: int | None) -> Task:
    """A task that the small zoo has not seen, of 60 training images."""
    task = drawn_task(name, "three", seed=3)
    return task if images is None else task.limited(images)


def of_zoo(name: str, images: int | None) -> Task:
    """A task of the small zoo."""
    task = drawn_task(name, "one", seed={"red": 1, "blue": 2}[name])
    return task if images is None else task.limited(images)


def run_and_draw(experiment: Experiment[P], bench: Bench, folder: Path) -> list[Drawing]:
    """Run an experiment, save what it draws, and return it."""
    run_experiment(experiment, bench)
    drawings = list(experiment.draw(bench.results))
    for drawing in drawings:
        drawing.save(folder)
    return drawings
