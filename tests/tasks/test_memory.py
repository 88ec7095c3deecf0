"""Images in memory, of any sizes and sample types, become tasks as files do."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tans.errors import InputError, TaskError
from tans.tasks.memory import picture_in_memory
from tans.tasks.task import Task, TaskCard

CARD = TaskCard("drawn", "1", "CC0-1.0", "noise")


def noise(count: int = 20, seed: int = 0) -> list[np.ndarray]:
    """Grey images of several sizes, uint8 (h, w)."""
    generator = np.random.default_rng(seed)
    return [generator.integers(0, 256, (12 + k % 5, 9), dtype=np.uint8) for k in range(count)]


def made(images: list[Any]) -> Task:
    return Task.from_images("noise", images, np.arange(len(images)) % 2, ("even", "odd"), CARD)


def test_images_of_several_sizes_are_squares_when_asked_for() -> None:
    task = made(noise())
    assert task.pixels.at(8).shape == (20, 3, 8, 8)
    rows = torch.tensor([3, 1])
    assert (task.pixels.at(8, rows) == task.pixels.at(8)[rows]).all()
    assert (task.pixels.take(rows).at(8) == task.pixels.at(8)[rows]).all()
    with pytest.raises(TaskError, match="resolution is 0"):
        task.pixels.at(0)


def test_memory_and_files_give_the_same_task(tmp_path: Path) -> None:
    paths = [tmp_path / f"{index}.png" for index in range(20)]
    for path, image in zip(paths, noise(), strict=True):
        Image.fromarray(image).save(path)
    labels = ["even", "odd"] * 10
    from_files = Task.from_files(paths, labels, name="noise")
    assert from_files.classes == ("even", "odd")
    assert from_files.keys is not None
    order = [int(Path(key).stem) for key in from_files.keys]
    opened = made([Image.open(path) for path in paths])
    arrays = made(noise())
    assert (arrays.pixels.at(16)[order] == from_files.pixels.at(16)).all()
    assert (opened.pixels.at(16) == arrays.pixels.at(16)).all()


def test_one_range_is_found_for_all_images() -> None:
    dark = [image / 255 / 4 for image in noise(10)]
    task = made([*dark, *(image / 255 for image in noise(10, seed=1))])
    assert task.found.reading.ranges == {"float32": (0.0, 1.0)}
    pixels = task.pixels.at(16).float()
    assert pixels[:10].mean() < 0.5 * pixels[10:].mean()


def test_copies_stay_on_one_side() -> None:
    images = noise(12)
    task = made([*images, *images])
    assert len(task.found.copies) == 12
    assert task.groups is not None
    for group in set(task.groups):
        rows = [row for row, name in enumerate(task.groups) if name == group]
        assert len(set(task.splits[rows].tolist())) == 1


def test_a_task_of_images_in_memory_travels() -> None:
    task = made(noise())
    assert (pickle.loads(pickle.dumps(task)).pixels.at(8) == task.pixels.at(8)).all()


def test_what_is_no_image_is_refused() -> None:
    for wrong in (np.zeros(4), np.zeros((3, 8, 8)), np.zeros((8, 8), dtype=complex), "a.png"):
        with pytest.raises(InputError, match="expected numbers"):
            picture_in_memory(wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="transparency"):
        picture_in_memory(np.zeros((8, 8, 4)))
    with pytest.raises(TaskError, match="20 images came with 19 labels"):
        Task.from_images("noise", noise(), [0, 1] * 9 + [0], ("a", "b"), CARD)
    with pytest.raises(TaskError, match="2 paths came with 1"):
        Task.from_files(["a.png", "b.png"], ["a"], name="noise")
    with pytest.raises(TaskError, match="fewer than 2"):
        Task.from_images("noise", noise(3), [0, 0, 1], ("a", "b"), CARD)
