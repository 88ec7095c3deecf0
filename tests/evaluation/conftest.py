"""Experiments on the small zoo, on a drawn task that takes the name of a packaged one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tans.evaluation import jobs
from tans.evaluation.bench import Bench
from tans.evaluation.results import Results
from tans.tasks.task import Task
from tans.zoo.store import Zoo
from tests.conftest import drawn_task

DEV_TASK, SEALED_TASK = "script-greek", "solar-cells"


@pytest.fixture
def bench(tmp_path: Path, measured_zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A folder without results; every task is drawn instead of fetched."""

    def drawn(name: str, images: int) -> Task:
        return drawn_task(name, "three", seed=3).limited(images)

    monkeypatch.setattr(jobs, "prepared", drawn)
    return Bench(Results(tmp_path / "results"), measured_zoo)
