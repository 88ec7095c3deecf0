"""Images without labels."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tans.errors import InputError
from tans.tasks import unlabelled
from tans.tasks.splits import TEST, TRAIN
from tans.tasks.task import Task
from tans.tasks.unlabelled import read_unlabelled
from tests.tasks.drawing import scene, store


@pytest.fixture
def task(tmp_path: Path) -> Task:
    for k in range(40):
        store(tmp_path / "own" / ("cat" if k % 2 else "dog") / f"{k}.png", scene(k))
    return Task.from_folder(tmp_path / "own")


def test_all_images_below_a_folder_are_read_as_those_of_the_task(
    tmp_path: Path, task: Task
) -> None:
    assert task.keys is not None
    rows = (task.splits == TRAIN).nonzero().flatten().tolist()
    for place, row in enumerate(rows):
        (tmp_path / "more" / "deep").mkdir(parents=True, exist_ok=True)
        copy = tmp_path / "more" / "deep" / f"{place:03}.png"
        shutil.copy(tmp_path / "own" / task.keys[row], copy)
    found = read_unlabelled(tmp_path / "more", task)
    assert (len(found), found.left_out) == (len(rows), ())
    assert torch.equal(found.pixels.at(32), task.pixels.at(32, torch.tensor(rows)))
    assert torch.equal(found.pixels.at(64), task.pixels.at(64, torch.tensor(rows)))


def test_what_is_left_out_is_told(
    tmp_path: Path, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = tmp_path / "more"
    assert task.keys is not None
    rows = torch.arange(len(task))
    for split, name in ((TEST, "test"), (TRAIN, "train")):
        row = int(rows[task.splits == split][0])
        store(more / f"a-{name}.png", scene(int(Path(task.keys[row]).stem)))
    for k in range(100, 104):
        store(more / f"b-{k}.png", scene(k))
    (more / "c.png").write_bytes(b"no image")
    (more / "notes.txt").write_text("mine")
    deep = np.full((64, 64), 40_000, dtype=np.uint16)
    Image.fromarray(deep).save(more / "d.png")
    found = read_unlabelled(more, task)
    names = [path.name for path in found.pixels.paths]
    assert names == ["a-train.png", *(f"b-{k}.png" for k in range(100, 104))]
    said = " ".join(found.left_out)
    for told in (
        "1 files in",
        "are no images",
        "2 files in",
        "cannot be read as the labelled images are",
        "equal a validation or test image",
    ):
        assert told in said
    monkeypatch.setattr(unlabelled, "MOST", 4)
    few = read_unlabelled(more, task)
    assert "4 files in" in " ".join(few.left_out)
    assert len(few) <= 4


def test_a_folder_without_images_is_refused(tmp_path: Path, task: Task) -> None:
    with pytest.raises(InputError, match="is no folder"):
        read_unlabelled(tmp_path / "none", task)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no image to learn from"):
        read_unlabelled(tmp_path / "empty", task)
