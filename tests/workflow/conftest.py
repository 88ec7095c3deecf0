"""A small task, and a network of the small zoo."""

from __future__ import annotations

import pytest

from tans.tasks.task import Task
from tans.types import ZooEntry
from tans.zoo.zoo import Zoo
from tests.small_zoo import drawn_task


@pytest.fixture(scope="module")
def task() -> Task:
    return drawn_task("green", "three", seed=3)


@pytest.fixture(scope="module")
def red(small_zoo: Zoo) -> ZooEntry:
    return next(entry for entry in small_zoo.entries() if entry.task == "red")
