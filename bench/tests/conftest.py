"""Experiments on the small zoo, on a drawn task that takes the name of a packaged one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tans.meta.presets import MetaSettings
from tans.tasks.task import Task
from tans.zoo.zoo import Zoo
from tans_bench.methods import ablations
from tans_bench.runs import jobs, ranks
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Drawing
from tans_bench.runs.experiment import Experiment, P
from tans_bench.runs.results import Results
from tans_bench.runs.runner import run_experiment
from tests.small_zoo import drawn_task

DEV_TASK, SEALED_TASK = "script-greek", "solar-cells"
SHORT = MetaSettings(
    parts=("topology", "similarities"), steps=20, query_images=20, query_least=20, evaluate_every=0
)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Meta-training of 20 steps, kept for one test."""
    monkeypatch.setattr(ablations, "DEFAULT", SHORT)
    monkeypatch.setenv("TANS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def bench(tmp_path: Path, measured_zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A folder without results; every task is drawn instead of fetched."""

    def drawn(name: str, images: int) -> Task:
        return drawn_task(name, "three", seed=3).limited(images)

    for module in (jobs, ranks):
        monkeypatch.setattr(module, "prepared", drawn)
    return Bench(Results(tmp_path / "results"), measured_zoo)


def run_and_draw(experiment: Experiment[P], bench: Bench, folder: Path) -> list[Drawing]:
    """Run an experiment, save what it draws, and return it."""
    run_experiment(experiment, bench.results.folder, zoo=bench.zoo.path)
    drawings = list(experiment.draw(bench.results))
    for drawing in drawings:
        drawing.save(folder)
    return drawings
