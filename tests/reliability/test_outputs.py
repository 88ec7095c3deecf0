"""Results of tans that lie inside a dataset."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tans.cli import views
from tans.errors import TaskError
from tans.export import predict_onnx
from tans.export.classifier import Prediction, find_files
from tans.export.finetuned import save_finetuned
from tans.files import SIGNATURE, cache_dir
from tans.report import write_check
from tans.tasks.outputs import WRITTEN
from tans.tasks.task import Task
from tans.workflow import output_warnings, read_tasks
from tans.zoo.zoo import Zoo
from tans_bench.exchange import export_task
from tests.reliability.counting import Trials
from tests.report.test_page import make_run, make_task
from tests.zoo.conftest import CARD, random_state

Write = Callable[[Path], object]


def folder_of_classes(root: Path) -> Path:
    generator = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (root / name).mkdir(parents=True)
        for index in range(6):
            pixels = generator.integers(0, 256, (16, 16, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{index}.png")
    return root


def save_network(folder: Path) -> None:
    save_finetuned(folder, make_run("Best match", 2).tuned, make_task(["a", "b"]))


def save_predictions(folder: Path) -> None:
    views.predictions.write_predictions(folder / "p.csv", [Prediction(Path("a.png"), "a", 0.5)], 2)


def save_zoo(folder: Path) -> None:
    zoo = Zoo.create(folder)
    zoo.add_task(
        "drawn",
        classes=("a", "b"),
        card=CARD,
        thumbnails=torch.zeros(64, 3, 64, 64, dtype=torch.uint8),
        features=None,
        weights=zoo.add_weights(random_state(0), base=None),
        train_images=6,
        cost_s=1.0,
    )


def save_exported(folder: Path) -> None:
    """As exports leave it; what they are is told by name, or by how they begin."""
    save_network(folder)
    for name in ("network.onnx", "network.int8.onnx", "network.safetensors"):
        (folder / name).write_bytes(b"")
    (folder / "predict_onnx.py").write_bytes(Path(predict_onnx.__file__).read_bytes())
    (folder / "timm").mkdir()
    for name in ("model.safetensors", "README.md"):
        (folder / "timm" / name).write_bytes((folder / name).read_bytes())
    (folder / "timm" / "config.json").write_text("{}")


def save_runs(folder: Path) -> None:
    for name in ("first", "second"):
        save_network(folder / name)
        write_check(folder / name / "report.html", make_task(["a", "b"]))
    (folder / "notes.txt").write_text("mine")


def save_begun_network(folder: Path) -> None:
    """As a fine-tune leaves it that is killed between its two files."""
    save_network(folder)
    (folder / "model.json").rename(folder / ".model.json.0123abcd.tmp")


@pytest.fixture
def writers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Write]:
    """All that tans writes into a folder."""

    def save_cache(folder: Path) -> None:
        monkeypatch.setenv("TANS_CACHE", str(folder))
        make_task(["a", "b"]).save(cache_dir("tasks") / "drawn")

    def save_begun_zoo(folder: Path) -> None:
        save_zoo(folder)
        (folder / "zoo.json").unlink()

    task = make_task(["a", "b"])
    return {
        "network": save_network,
        "exported network": save_exported,
        "network without its description": save_begun_network,
        "several results": save_runs,
        "check page": lambda folder: write_check(folder / "page.html", task),
        "predictions": save_predictions,
        "zoo": save_zoo,
        "zoo in the making": save_begun_zoo,
        "saved task": task.save,
        "export": lambda folder: export_task(task, folder, "azure"),
        "cache": save_cache,
    }


def keys(root: Path) -> set[str]:
    return set(Task.from_path(root).keys or ())


@pytest.mark.long
def test_results_beside_classes(trials: Trials, writers: dict[str, Write], tmp_path: Path) -> None:
    """A result beside the class folders, between those of splits, or in a class: told, not used"""
    for name, write in writers.items():
        for place in ("out", "cat/out", "runs/today/out"):
            with trials.trial((name, place)):
                root = folder_of_classes(tmp_path / name / place.replace("/", "-") / "data")
                before = keys(root)
                write(root / place)
                task = Task.from_path(root)
                assert (task.classes, set(task.keys or ())) == (("cat", "dog"), before)
                where = "runs" if place.startswith("runs") else place
                assert task.found.left_out[WRITTEN] == (where,)
                shutil.rmtree(root)


def test_results_beside_splits(trials: Trials, writers: dict[str, Write], tmp_path: Path) -> None:
    """A result beside the folders of splits, which stay splits"""
    for name, write in writers.items():
        with trials.trial(name):
            root = tmp_path / name / "data"
            for split in ("train", "test"):
                folder_of_classes(root / split)
            write(root / "out")
            found = Task.from_path(root).found
            assert found.layout.startswith("splits of class folders")
            assert found.left_out[WRITTEN] == ("out",)


def test_results_among_images_to_predict(
    trials: Trials, writers: dict[str, Write], tmp_path: Path
) -> None:
    """A result below a folder of images to predict, which are no more than they were"""
    for name, write in writers.items():
        with trials.trial(name):
            root = folder_of_classes(tmp_path / name / "data")
            before, _ = find_files([root])
            write(root / "out")
            files, left_out = find_files([root])
            assert files == before
            assert left_out[WRITTEN] == (str(root / "out"),)


def test_results_in_the_dataset_itself(trials: Trials, tmp_path: Path) -> None:
    """A network, a page and predictions among the class folders or images: the images stay"""
    for place in (".", "cat"):
        with trials.trial(place):
            root = folder_of_classes(tmp_path / f"data-{place}")
            before = keys(root)
            save_network(root / place)
            write_check(root / place / "page.html", make_task(["a", "b"]))
            save_predictions(root / place)
            task = Task.from_path(root)
            assert set(task.keys or ()) == before
            assert len(task.found.left_out[WRITTEN]) == 5


def test_results_among_datasets(trials: Trials, writers: dict[str, Write], tmp_path: Path) -> None:
    """A result in a folder of datasets that a zoo is built on: told, and no dataset"""
    for name, write in writers.items():
        if name in ("saved task", "predictions"):
            continue
        with trials.trial(name):
            root = tmp_path / name
            folder_of_classes(root / "animals")
            write(root / "out")
            told: list[str] = []
            assert [task.name for task in read_tasks([str(root)], tell=told.append)] == ["animals"]
            assert told == [f"{root / 'out'} is left out: {WRITTEN}"]
    with trials.trial("predictions"):
        folder_of_classes(tmp_path / "all" / "animals")
        save_predictions(tmp_path / "all")
        assert [task.name for task in read_tasks([str(tmp_path / "all")])] == ["animals"]


def test_what_only_looks_like_a_result(trials: Trials, tmp_path: Path) -> None:
    """A user's own files of such names in class folders: the images are used"""
    for name, text in {
        "model.json": "{}",
        "manifest.json": json.dumps({"name": "app"}),
        "task.json": "{}",
        "zoo.json": "{}",
        "page.html": "<!doctype html><title>mine</title>",
        "labels.csv": "path,label\na,b\n",
        "CACHEDIR.TAG": "something else",
    }.items():
        with trials.trial(name):
            root = folder_of_classes(tmp_path / name)
            before = keys(root)
            (root / "cat" / name).write_text(text)
            assert keys(root) == before
    with trials.trial("an empty class folder"):
        (folder_of_classes(tmp_path / "empty") / "cow").mkdir()
        with pytest.raises(TaskError, match="without an image: cow"):
            Task.from_path(tmp_path / "empty")


def test_a_result_that_goes_into_the_dataset_is_told(trials: Trials, tmp_path: Path) -> None:
    """An output folder inside the dataset, in several ways of writing: a warning before training"""
    root = folder_of_classes(tmp_path / "data")
    (tmp_path / "link").symlink_to(root)
    for output in (root / "out", root, root / "cat" / "x" / "y", tmp_path / "link" / "out"):
        with trials.trial(output):
            assert len(output_warnings(root, output)) == 1
    for output in (tmp_path / "out", tmp_path / "data2"):
        with trials.trial(output):
            assert output_warnings(root, output) == []


def test_a_cache_says_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TANS_CACHE", str(tmp_path / "cache"))
    cache_dir("tasks")
    assert (tmp_path / "cache" / "CACHEDIR.TAG").read_bytes().startswith(SIGNATURE)
