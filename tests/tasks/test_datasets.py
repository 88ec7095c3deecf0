from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from tans.errors import TaskError
from tans.tasks.datasets import read_huggingface, read_torchvision
from tans.tasks.task import Task
from tests.tasks.drawing import picture, scene, store


def rows(count: int = 20, licence: str = "mit") -> datasets.Dataset:
    kinds = datasets.Features(
        {"picture": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])}
    )
    data = {
        "picture": [picture(seed) for seed in range(count)],
        "label": [seed % 2 for seed in range(count)],
    }
    info = datasets.DatasetInfo(features=kinds, license=licence)
    return datasets.Dataset.from_dict(data, features=kinds, info=info)


def test_a_dataset_of_hugging_face_becomes_a_task() -> None:
    task = Task.from_huggingface(rows(), name="pets")
    assert (task.name, task.classes, len(task)) == ("pets", ("cat", "dog"), 20)
    assert task.card.licence == "MIT"
    assert torch.bincount(task.labels).tolist() == [10, 10]
    assert Task.from_huggingface(rows(licence="ask me")).card.licence == "unstated"


def test_images_are_those_of_the_rows() -> None:
    task = Task.from_huggingface(rows())
    assert task.keys is not None
    for row, key in enumerate(task.keys[:3]):
        (found,) = task.pixels.at(64, torch.tensor([row]))
        stream = io.BytesIO()
        picture(int(key.rpartition("/")[2])).save(stream, "PNG")
        wanted = np.asarray(Image.open(stream).convert("RGB").resize((64, 64)), dtype=float)
        assert np.abs(found.permute(1, 2, 0).numpy() - wanted).mean() < 8


def test_parts_of_a_dataset_are_splits() -> None:
    parts = datasets.DatasetDict({"train": rows(20), "validation": rows(6), "test": rows(8)})
    found = read_huggingface(parts, None, None)
    assert [sum(r.split == k for r in found.records) for k in range(3)] == [20, 6, 8]
    with pytest.raises(TaskError, match="parts extra; expected splits"):
        read_huggingface({"train": rows(), "extra": rows()}, None, None)


def test_a_dataset_of_folders_is_read_from_its_files(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        for seed in range(6):
            store(tmp_path / "pets" / name / f"{seed}.png", scene(seed + 10 * (name == "dog")))
    data = datasets.load_dataset(
        "imagefolder", data_dir=str(tmp_path / "pets"), cache_dir=str(tmp_path / "cache")
    )
    assert Task.from_huggingface(data["train"]).classes == ("cat", "dog")
    plain = torchvision.datasets.ImageFolder(str(tmp_path / "pets"))
    found = read_torchvision(plain)
    assert {str(r.path) for r in found.records} == {str(path) for path, _ in plain.samples}


def test_columns_are_named_where_they_are_not_clear() -> None:
    two = rows().add_column("class", [0] * 20)
    assert len(read_huggingface(two, None, None).records) == 20  # of classes that have names
    with pytest.raises(TaskError, match="none is named 'colour'"):
        read_huggingface(rows(), None, "colour")
    with pytest.raises(TaskError, match="may hold images; expected one"):
        read_huggingface(rows().remove_columns("picture"), None, None)
    with pytest.raises(TaskError, match="IterableDataset; expected a Dataset"):
        read_huggingface(rows().to_iterable_dataset(), None, None)


class Pairs:
    """Images of a kind that a test says, and their classes."""

    def __init__(self, convert: Any, classes: tuple[str, ...] = ("cat", "dog")) -> None:
        self.convert, self.classes = convert, classes

    def __len__(self) -> int:
        return 20

    def __getitem__(self, row: int) -> tuple[Any, int]:
        return self.convert(picture(row)), row % 2


@pytest.mark.parametrize("convert", [lambda x: x, np.asarray, lambda x: x.convert("L")])
def test_pairs_of_image_and_class_become_a_task(convert: Any) -> None:
    task = Task.from_torchvision(Pairs(convert), name="pets")
    assert (task.classes, len(task), task.name) == (("cat", "dog"), 20, "pets")
    assert Task.from_torchvision(Pairs(convert), ["one", "two"]).classes == ("one", "two")
    assert Task.from_torchvision(Pairs(convert, ())).classes == ("0", "1")


def test_datasets_by_split_become_one_task() -> None:
    same = Pairs(lambda image: image)
    found = read_torchvision({"train": same, "test": same})
    assert [sum(r.split == k for r in found.records) for k in range(3)] == [20, 0, 20]


def test_what_gives_no_image_is_refused() -> None:
    with pytest.raises(TaskError, match="is of torch.float32; expected a PIL image"):
        Task.from_torchvision(Pairs(torchvision.transforms.ToTensor()))
    with pytest.raises(TaskError, match="is a generator; expected one of so many images"):
        Task.from_torchvision(pair for pair in ())
    with pytest.raises(TaskError, match="of class 1, and there are 1 names"):
        Task.from_torchvision(Pairs(lambda image: image), ["cat"])
