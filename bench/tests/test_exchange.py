"""Tasks as commercial services take them: what is written, whole or not at all."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tans.errors import InputError, TaskError
from tans.tasks.splits import SPLITS
from tans.tasks.task import Task
from tans_bench import exchange
from tans_bench.exchange import LARGEST, check_export, export_task, safe_labels
from tests.small_zoo import drawn_task
from tests.tasks.drawing import fill

PLACE = "gs://bucket/some/prefix"


@pytest.fixture
def task() -> Task:
    """60 images of three classes, in groups of three."""
    plain = drawn_task("bars", "one")
    groups = [f"group {row // 3}" for row in range(len(plain))]
    return Task.from_arrays(
        plain.name, plain.pixels.at(32), plain.labels, plain.classes, plain.card, groups
    )


def manifest(folder: Path) -> dict[str, object]:
    found = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*.png")}


def test_azure_trains_on_all_but_the_test_images(task: Task, tmp_path: Path) -> None:
    done = export_task(task, tmp_path / "out", "azure")
    counts = torch.bincount(task.splits.long(), minlength=3).tolist()
    assert done.counts == {"training": counts[0] + counts[1], "test": counts[2]}
    assert {path.name for path in done.folder.iterdir()} == {"training", "test", "manifest.json"}
    labels = {path.name for path in (done.folder / "training").iterdir()}
    assert labels == {"bars_across", "bars_down", "bars_both"} == set(done.labels)
    assert done.scarce == {}


def test_no_group_is_parted_and_every_image_is_there_once(task: Task, tmp_path: Path) -> None:
    export_task(task, tmp_path / "out", "azure")
    images = manifest(tmp_path / "out")["images"]
    assert isinstance(images, list)
    assert len(images) == len(task)
    assert {image["file"] for image in images} == files(tmp_path / "out")
    tops: dict[str, set[str]] = {}
    for image in images:
        top, label, _ = image["file"].split("/")
        assert label == image["label"]
        assert (top == "test") == (image["split"] == "test")
        tops.setdefault(image["group"], set()).add(top)
    assert len(tops) == 20
    assert all(len(found) == 1 for found in tops.values())


def test_images_are_written_as_they_are(task: Task, tmp_path: Path) -> None:
    export_task(task, tmp_path / "out", "azure")
    images = manifest(tmp_path / "out")["images"]
    assert isinstance(images, list)
    for row in (0, 31, 59):
        with Image.open(tmp_path / "out" / images[row]["file"]) as image:
            assert (image.format, image.mode) == ("PNG", "RGB")
            stored = torch.from_numpy(np.array(image)).permute(2, 0, 1)
        assert torch.equal(stored, task.pixels.at(32)[row])
        assert images[row]["split"] == SPLITS[int(task.splits[row])]


def test_vertex_is_given_the_split_place_and_label_of_each_image(
    task: Task, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    export_task(task, out, "vertex", gcs=f"{PLACE}/")
    with (out / "import.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert {f"{PLACE}/{name}" for name in files(out)} == {uri for _, uri, _ in rows}
    assert len(rows) == len(task)
    for use, uri, label in rows:
        assert use in {"training", "validation", "test"}
        assert uri.startswith(f"{PLACE}/{use}/{label}/")
        assert re.fullmatch(r"[A-Za-z]\w*", label)
    lines = [json.loads(line) for line in (out / "import.jsonl").read_text().splitlines()]
    key = "aiplatform.googleapis.com/ml_use"
    same = [
        (
            line["dataItemResourceLabels"][key],
            line["imageGcsUri"],
            line["classificationAnnotation"]["displayName"],
        )
        for line in lines
    ]
    assert same == [tuple(row) for row in rows]
    uses = [use for use, _, _ in rows]
    wanted = ("training", "validation", "test")
    assert uses == [wanted[split] for split in task.splits.tolist()]


def test_size_resizes(task: Task, tmp_path: Path) -> None:
    export_task(task, tmp_path / "out", "azure", size=48)
    with Image.open(next((tmp_path / "out").rglob("*.png"))) as image:
        assert image.size == (48, 48)


def test_files_are_written_as_squares_of_256_pixels(tmp_path: Path) -> None:
    for name, shade in (("dark", 20), ("light", 220)):
        (tmp_path / "data" / name).mkdir(parents=True)
        for k in range(4):
            picture = Image.new("RGB", (30 + k, 20), (shade + k,) * 3)
            picture.save(tmp_path / "data" / name / f"{k}.jpg")
    done = export_task(Task.from_path(tmp_path / "data"), tmp_path / "out", "azure")
    for path in (tmp_path / "out").rglob("*.png"):
        with Image.open(path) as image:
            assert image.size == (256, 256)
    assert set(done.scarce) == {"dark", "light"}  # 3 of 4 train, Azure asks for 5


def test_a_file_that_has_gone_leaves_nothing(tmp_path: Path) -> None:
    task = Task.from_path(fill(tmp_path / "data", ["a", "b"]))
    (tmp_path / "data" / "a" / "0.png").unlink()
    with pytest.raises(TaskError, match="no longer can"):
        export_task(task, tmp_path / "out", "azure")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_what_is_too_large_needs_a_size(tmp_path: Path) -> None:
    images = torch.zeros(6, 3, 2, LARGEST + 1, dtype=torch.uint8)
    card = drawn_task("bars", "one").card
    task = Task.from_arrays("wide", images, [0, 0, 0, 1, 1, 1], ("a", "b"), card)
    with pytest.raises(TaskError, match="--size"):
        export_task(task, tmp_path / "out", "azure")
    assert list(tmp_path.iterdir()) == []
    export_task(task, tmp_path / "out", "azure", size=8)
    assert len(files(tmp_path / "out")) == 6


def test_an_earlier_export_is_replaced_if_asked_to(task: Task, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export_task(task, out, "vertex", gcs=PLACE)
    with pytest.raises(InputError, match="not empty.*--force"):
        export_task(task, out, "azure")
    export_task(task, out, "azure", force=True)
    assert {path.name for path in out.iterdir()} == {"training", "test", "manifest.json"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_failed_replacement_leaves_the_earlier_export(
    task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    export_task(task, out, "azure")
    before = files(out)

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exchange.Image.Image, "save", refuse)
    with pytest.raises(InputError, match="cannot be written.*No space left"):
        export_task(replace(task, name="other"), out, "azure", force=True)
    assert files(out) == before
    assert manifest(out)["task"] == "bars"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_is_no_export_is_never_replaced(task: Task, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="something else"):
        export_task(task, tmp_path, "azure", force=True)
    with pytest.raises(InputError, match="is a file"):
        export_task(task, tmp_path / "notes.txt", "azure", force=True)
    export_task(task, tmp_path / "out", "azure")
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="something else"):
        export_task(task, tmp_path / "out", "azure", force=True)
    assert (tmp_path / "out" / "mine.txt").exists()


@pytest.mark.parametrize(
    ("service", "options", "words"),
    [
        ("aws", {}, "no format 'aws'; expected one of azure, vertex"),
        ("vertex", {}, "no place is given.*--gcs gs://bucket/prefix"),
        ("vertex", {"gcs": "http://bucket/x"}, "'http://bucket/x' is no place"),
        ("vertex", {"gcs": "gs://"}, "'gs://' is no place"),
        ("vertex", {"gcs": "gs://bucket/a b"}, "is no place"),
        ("vertex", {"gcs": "gs://bucket//a"}, "is no place"),
        ("azure", {"gcs": PLACE}, "for vertex only"),
        ("azure", {"size": 0}, "size is 0"),
        ("azure", {"size": LARGEST + 1}, f"expected 1 to {LARGEST} pixels"),
    ],
)
def test_bad_arguments(
    task: Task, tmp_path: Path, service: str, options: dict[str, object], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        check_export(tmp_path / "out", service, **options)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=words):
        export_task(task, tmp_path / "out", service, **options)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_labels_of_odd_names() -> None:
    odd = ("café crème", "3D", "猫", "a/b", "a b", "A.B", "..", "under_score")
    assert safe_labels(odd) == [
        *("cafe_creme", "class_3D", "class_3", "a_b", "a_b_2", "A_B_3", "class_7"),
        "under_score",
    ]


@settings(max_examples=50)
@given(st.lists(st.text(max_size=120), max_size=12))
def test_labels_are_safe_and_tell_classes_apart(classes: list[str]) -> None:
    labels = safe_labels(classes)
    assert len(labels) == len(classes) == len({label.lower() for label in labels})
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,127}", label) for label in labels)
