"""A small zoo, built for real on drawn tasks, and the tasks it is built on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from tans.build.engine import build_zoo
from tans.build.settings import BuildSettings
from tans.build.transfers import TransferSettings, measure_transfers
from tans.meta.data import MetaData
from tans.meta.presets import MetaSettings
from tans.meta.published import SETTINGS
from tans.meta.train import meta_train
from tans.tasks.task import Task, TaskCard
from tans.training import Recipe
from tans.zoo.zoo import Zoo

SMALL = BuildSettings(
    resolution=32,
    subnets=4,
    imagenet_resolutions=(48,),
    least_seen=1,
    recipe=Recipe(epochs=1, batch_size=16, clip=None),
    base_recipe=Recipe(epochs=1, learning_rate=1e-3, batch_size=16, clip=None),
)
TRANSFERS = TransferSettings(Recipe(epochs=1, batch_size=8, seed=3), images=30, first=1, others=1)
SHARED = "TANS_TESTS_SHARED"
"""Variable that names the shared folder of a run to a run of pytest that a test of it starts."""
SHORT_PUBLISHED = replace(SETTINGS, steps=5, query_images=20, query_least=20, query_subsets=4)
"""Of a paper's retriever that is learnt in a moment."""


@pytest.fixture
def short_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The paper's method with a short meta-training, kept in a cache of the test's own."""
    monkeypatch.setattr("tans.meta.published.SETTINGS", SHORT_PUBLISHED)
    monkeypatch.setattr("tans.meta.published._UNKEPT", {})
    monkeypatch.setenv("TANS_CACHE", str(tmp_path / "cache"))


def drawn_task(name: str, family: str, seed: int = 0, n: int = 60) -> Task:
    """Noise of a task's own colour under bars across, bars down, or both."""
    generator = torch.Generator().manual_seed(seed)
    colour = torch.randint(0, 120, (3, 1, 1), generator=generator)
    noise = torch.randint(0, 80, (n, 3, 32, 32), generator=generator)
    images = (noise + colour).to(torch.uint8)
    labels = torch.arange(n) % 3
    images[labels != 1, :, ::8] = 255
    images[labels != 0, :, :, ::8] = 255
    card = TaskCard(source="drawn", version="1", licence="CC0-1.0", made="bars", family=family)
    classes = tuple(f"{name} {way}" for way in ("across", "down", "both"))
    return Task.from_arrays(name, images, labels, classes, card)


@pytest.fixture(scope="session")
def small_tasks() -> list[Task]:
    return [drawn_task("red", "one", seed=1), drawn_task("blue", "two", seed=2)]


@pytest.fixture(scope="session")
def session_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of a run share."""
    if SHARED in os.environ:
        return Path(os.environ[SHARED])
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


def once(folder: Path, make: Callable[[Path], object]) -> Path:
    """A folder that the first worker to ask for it makes, and that the others wait for."""
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            unfinished = folder.with_name(f"{folder.name} unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            make(unfinished)
            unfinished.rename(folder)
    return folder


@pytest.fixture(scope="session")
def small_zoo(session_folder: Path, small_tasks: list[Task]) -> Zoo:
    """Built once for all tests: read it, or copy its folder before writing."""

    def make(folder: Path) -> None:
        zoo = build_zoo(folder, small_tasks, SMALL)
        settings = MetaSettings(steps=20, query_images=20, query_least=20, evaluate_every=0)
        meta_train(MetaData.from_zoo(zoo), settings).save(zoo.retrieval)

    return Zoo.open(once(session_folder / "small", make))


@pytest.fixture(scope="session")
def measured_zoo(small_zoo: Zoo, small_tasks: list[Task], session_folder: Path) -> Zoo:
    """The small zoo with transfers between its tasks; as it, to be read only."""

    def make(folder: Path) -> None:
        shutil.copytree(small_zoo.path, folder)
        measure_transfers(Zoo.open(folder), small_tasks, TRANSFERS)

    return Zoo.open(once(session_folder / "measured", make))
