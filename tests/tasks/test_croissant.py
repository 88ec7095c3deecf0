from __future__ import annotations

import csv
import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import mlcroissant as mlc
import pytest
import torch

from tans.errors import TaskError
from tans.tasks.croissant import read_croissant
from tans.tasks.task import Task
from tests.tasks.drawing import scene, store


def of_pictures(what: mlc.FileProperty) -> mlc.Source:
    return mlc.Source(file_set="pngs", extract=mlc.Extract(file_property=what))


def of_table(column: str) -> mlc.Source:
    return mlc.Source(file_object="labels.csv", extract=mlc.Extract(column=column))


def described(folder: Path, name: str = "label", licence: str = "MIT") -> Path:
    """A dataset of an archive of pictures and a table of what they show."""
    with zipfile.ZipFile(folder / "pictures.zip", "w") as archive:
        for seed in range(20):
            path = store(folder / f"{seed}.png", scene(seed))
            archive.write(path, f"pictures/{path.name}")
            path.unlink()
    with (folder / "labels.csv").open("w", newline="") as file:
        rows = [(f"{k}.png", ("cat", "dog")[k % 2], ("train", "test")[k > 11]) for k in range(20)]
        csv.writer(file).writerows([("file", name, "split"), *rows])

    def file_of(own: str, kind: str) -> mlc.FileObject:
        digest = hashlib.sha256((folder / own).read_bytes()).hexdigest()
        return mlc.FileObject(
            id=own, name=own, content_url=own, encoding_formats=[kind], sha256=digest
        )

    text, key = mlc.DataType.TEXT, of_table("file")
    name_of = of_pictures(mlc.FileProperty.filename)
    fields = [
        mlc.Field(id="pets/file", name="file", data_types=[text], source=name_of, references=key),
        mlc.Field(
            id="pets/picture",
            name="picture",
            data_types=[mlc.DataType.IMAGE_OBJECT],
            source=of_pictures(mlc.FileProperty.content),
        ),
        *(
            mlc.Field(id=f"pets/{own}", name=own, data_types=[text], source=of_table(own))
            for own in (name, "split")
        ),
    ]
    metadata: Any = mlc.Metadata(
        name="pets",
        description="pets",
        url="https://example.org",
        license=[f"https://spdx.org/licenses/{licence}.html"],
        distribution=[
            file_of("pictures.zip", "application/zip"),
            mlc.FileSet(
                id="pngs",
                name="pngs",
                contained_in=["pictures.zip"],
                encoding_formats=["image/png"],
                includes=["pictures/*.png"],
            ),
            file_of("labels.csv", "text/csv"),
        ],
        record_sets=[mlc.RecordSet(id="pets", name="pets", fields=fields)],
    )
    path = folder / "pets.json"
    path.write_text(json.dumps(metadata.to_json(), default=str))
    return path


def test_a_described_dataset_becomes_a_task(tmp_path: Path) -> None:
    task = Task.from_path(described(tmp_path))
    assert (task.name, task.classes, len(task)) == ("pets", ("cat", "dog"), 20)
    assert task.card.licence == "MIT"
    assert int((task.splits == 2).sum()) == 8  # as a field says
    assert torch.equal(
        task.pixels.at(64), Task.from_croissant(tmp_path / "pets.json").pixels.at(64)
    )


def test_a_licence_that_is_no_expression_is_unstated(tmp_path: Path) -> None:
    assert read_croissant(str(described(tmp_path, licence="ask-me"))).licence == "unstated"


def test_what_is_not_described_is_told(tmp_path: Path) -> None:
    path = described(tmp_path, "mood")
    with pytest.raises(TaskError, match="none of which tells a class"):
        read_croissant(str(path))
    with pytest.raises(TaskError, match=r"of which none may be meant"):
        read_croissant(str(path), "cars")
    (tmp_path / "pictures.zip").unlink()
    with pytest.raises(TaskError, match="cannot be read as Croissant"):
        read_croissant(str(described_elsewhere(path)))
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(TaskError, match="bad.json cannot be read as Croissant"):
        Task.from_path(tmp_path / "bad.json")


def described_elsewhere(path: Path) -> Path:
    """The same description with a proper field of classes, in a folder without the files."""
    other = path.parent / "alone"
    other.mkdir()
    target = other / "pets.json"
    target.write_text(path.read_text().replace("mood", "label"))
    return target
