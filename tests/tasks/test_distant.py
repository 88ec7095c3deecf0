from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
import torch

from tans.errors import TaskError
from tans.tasks.distant import find_distant
from tans.tasks.task import Task
from tests.tasks.drawing import scene, store


@pytest.fixture
def pets(tmp_path: Path) -> Iterator[Path]:
    """A folder whose files another store holds too, as ``memory://pets``."""
    for split, count in (("train", 10), ("test", 4)):
        for name in ("cat", "dog"):
            for seed in range(count):
                shown = scene(seed + 100 * (name == "dog") + 50 * (split == "test"))
                store(tmp_path / split / name / f"{seed}.png", shown)
    (tmp_path / "train" / "cat" / "notes.txt").write_text("none")
    (tmp_path / "train" / ".hidden.png").write_bytes(b"")
    memory = fsspec.filesystem("memory")
    memory.put(str(tmp_path), "/pets", recursive=True)
    yield tmp_path
    memory.rm("/pets", recursive=True)


def test_a_folder_elsewhere_is_the_task_that_it_is_here(pets: Path) -> None:
    here, there = Task.from_path(pets), Task.from_path("memory://pets")
    assert there.name == "pets"
    assert (there.classes, there.keys, there.found) == (here.classes, here.keys, here.found)
    assert torch.equal(there.labels, here.labels)
    assert torch.equal(there.splits, here.splits)
    assert torch.equal(there.pixels.at(48), here.pixels.at(48))


@pytest.mark.usefixtures("pets")
def test_an_image_is_fetched_when_it_is_decoded() -> None:
    found = find_distant("memory://pets")
    fsspec.filesystem("memory").rm(f"/pets/{found.records[0].key}")
    with pytest.raises(FileNotFoundError):
        found.records[0].path.open("rb")


def test_what_cannot_be_reached_is_refused() -> None:
    with pytest.raises(TaskError, match="there is nothing at memory://nothing"):
        find_distant("memory://nothing")
    with pytest.raises(TaskError, match="nowhere://x cannot be reached"):
        find_distant("nowhere://x")
