"""CIFAR is read in its binary version, and never unpickled."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tans.errors import TaskError
from tans_bench.sources.cifar import read_cifar

CLASSES = {"cifar10": 10, "cifar100": 100}


def write_cifar(folder: Path, name: str = "cifar10", each: int = 3, seed: int = 0) -> Path:
    """So many images of each class in every file, as published."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn, classes = np.random.default_rng(seed), CLASSES[name]
    ten = name == "cifar10"
    files = [f"data_batch_{number}.bin" for number in range(1, 6)] if ten else ["train.bin"]
    for file in (*files, "test_batch.bin" if ten else "test.bin"):
        labels = np.repeat(np.arange(classes, dtype=np.uint8), each)
        images = drawn.integers(0, 256, (len(labels), 3072), dtype=np.uint8)
        images[:, :1024] = labels[:, None]  # red tells the class
        coarse = [] if ten else [labels[:, None] // 5]
        (folder / file).write_bytes(np.hstack([*coarse, labels[:, None], images]).tobytes())
    names = "batches.meta.txt" if ten else "fine_label_names.txt"
    (folder / names).write_text("".join(f"thing {k}\n" for k in range(classes)) + "\n")
    return folder


@pytest.mark.parametrize("name", CLASSES)
def test_both_are_read_with_the_published_split(tmp_path: Path, name: str) -> None:
    inside = {"cifar10": "cifar-10-batches-bin", "cifar100": "cifar-100-binary"}[name]
    write_cifar(tmp_path / inside, name)
    for folder in (tmp_path, tmp_path / inside):
        task = read_cifar(folder)
        assert (task.name, len(task.classes)) == (name, CLASSES[name])
        assert task.classes[3] == "thing 3"
        files = 5 if name == "cifar10" else 1
        assert len(task) == CLASSES[name] * 3 * (files + 1)
        test = task.splits == 2
        assert test.sum() == CLASSES[name] * 3
        assert bool(test[-int(test.sum()) :].all())
        images = task.pixels.at(32)
        assert torch.equal(images[:, 0, 0, 0].long(), task.labels)


def test_the_version_for_python_is_refused_and_not_opened(tmp_path: Path) -> None:
    (tmp_path / "data_batch_1").write_bytes(pickle.dumps({b"labels": [1]}))
    with pytest.raises(TaskError, match="version for Python.*cifar-10-batches-bin"):
        read_cifar(tmp_path)
    (tmp_path / "py").mkdir()
    (tmp_path / "py" / "train").write_bytes(b"\x80\x02}.")
    with pytest.raises(TaskError, match="cifar-100-binary"):
        read_cifar(tmp_path / "py")


def test_what_is_wrong_is_told_with_its_file(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="holds no CIFAR"):
        read_cifar(tmp_path)
    folder = write_cifar(tmp_path / "c")
    batch, names = folder / "data_batch_2.bin", folder / "batches.meta.txt"
    whole = batch.read_bytes()
    for content, expected in (
        (whole[:-1], "data_batch_2.bin has 92,189 bytes; expected rows of 3,073"),
        (b"", "data_batch_2.bin has 0 bytes"),
        (b"\x0a" + whole[1:], "label 10 in row 0; expected one of 10 classes"),
    ):
        batch.write_bytes(content)
        with pytest.raises(TaskError, match=expected):
            read_cifar(folder)
    batch.unlink()
    with pytest.raises(TaskError, match=r"data_batch_2.bin cannot be read"):
        read_cifar(folder)
    for text, expected in (("", "names 0 classes"), ("a\na\n", "names 2 classes")):
        names.write_text(text)
        with pytest.raises(TaskError, match=expected):
            read_cifar(folder)
    names.write_bytes(b"\xff\xfe")
    with pytest.raises(TaskError, match=r"batches.meta.txt cannot be read"):
        read_cifar(folder)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_files_of_any_length_are_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    folder = write_cifar(tmp_path / "c", "cifar100", each=2)
    whole = (folder / "train.bin").read_bytes()
    size = data.draw(st.integers(0, len(whole)) | st.integers(0, 200).map(lambda k: k * 3074))
    (folder / "train.bin").write_bytes(whole[:size])
    try:
        read = len(read_cifar(folder))
    except TaskError:
        return
    assert size % 3074 == 0
    assert read == size // 3074 + 200
