from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import fsspec
import pytest
import torch
import webdataset
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tans.errors import TaskError
from tans.tasks.shards import read_shards
from tans.tasks.task import Task
from tests.tasks.drawing import picture


def png(seed: int) -> bytes:
    stream = io.BytesIO()
    picture(seed).save(stream, "PNG")
    return stream.getvalue()


def shard(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def pets(path: Path, start: int = 0, count: int = 20) -> Path:
    """Samples as WebDataset's own writer stores them."""
    with webdataset.TarWriter(str(path)) as sink:
        for seed in range(start, start + count):
            sink.write({"__key__": f"{seed:04d}", "png": png(seed), "cls": str(seed % 2)})
    return path


def test_a_shard_becomes_a_task_whose_images_are_read_in_place(tmp_path: Path) -> None:
    task = Task.from_shards(str(pets(tmp_path / "pets.tar")), ["cat", "dog"])
    assert (task.name, task.classes, len(task)) == ("pets", ("cat", "dog"), 20)
    assert task.keys is not None
    for row, key in enumerate(task.keys):
        seed = int(key.rpartition("/")[2])
        assert task.classes[int(task.labels[row])] == ("cat", "dog")[seed % 2]
        (tmp_path / "one").mkdir(exist_ok=True)
    images = task.pixels.at(32, torch.tensor([0]))
    plain = picture(int(task.keys[0].rpartition("/")[2])).convert("RGB").resize((32, 32))
    assert images.shape == (1, 3, 32, 32)
    assert abs(images.float().mean().item() - sum(plain.convert("L").tobytes()) / 1024) < 20


def test_several_shards_are_named_by_a_pattern_and_tell_splits(tmp_path: Path) -> None:
    for number in range(2):
        pets(tmp_path / f"train-{number:03d}.tar", 20 * number)
    pets(tmp_path / "val-000.tar", 50, 6)
    pets(tmp_path / "test-000.tar", 60, 8)
    found = read_shards(f"{tmp_path}/*.tar")
    assert len(found.records) == 54
    assert [sum(r.split == k for r in found.records) for k in range(3)] == [40, 6, 8]
    braced = read_shards(f"{tmp_path}/train-{{000..001}}.tar")
    assert len(braced.records) == 40
    task = Task.from_path(f"{tmp_path}/*.tar")
    assert torch.bincount(task.splits.long()).tolist() == [40, 6, 8]
    assert read_shards(str(tmp_path / "train-000.tar")).records[0].split == 0


def test_shards_in_another_store_are_read_there() -> None:
    memory = fsspec.filesystem("memory")
    with memory.open("/shards/a.tar", "wb") as file, tarfile.open(fileobj=file, mode="w") as tar:
        for seed in range(8):
            for ending, content in (("png", png(seed)), ("cls", b"ab"[seed % 2 : seed % 2 + 1])):
                member = tarfile.TarInfo(f"{seed}.{ending}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    assert Task.from_shards("memory://shards/a.tar").classes == ("a", "b")


def test_a_class_is_told_by_json_or_by_the_folder(tmp_path: Path) -> None:
    files = {
        "x/1.png": png(1),
        "x/1.json": json.dumps({"label": "one", "width": 3}).encode(),
        "two/2.png": png(2),
        "two/.hidden.png": png(3),
        "notes.txt": b"nothing",
    }
    found = read_shards(str(shard(tmp_path / "a.tar", files)))
    assert {r.key: r.label for r in found.records} == {"a.tar/x/1": "one", "a.tar/two/2": "two"}
    assert found.left_out == {"not an image": ("a.tar/notes",)}


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"1.png": b""}, "1 has no class"),
        ({"1.png": b"", "1.json": b"{"}, "1.json is damaged"),
        ({"1.png": b"", "1.cls": b"7"}, "1 is of class 7, and 2 names are given"),
        ({"notes.txt": b""}, "holds no image"),
    ],
)
def test_samples_that_cannot_be_used_are_refused(
    tmp_path: Path, files: dict[str, bytes], said: str
) -> None:
    with pytest.raises(TaskError, match=said):
        read_shards(str(shard(tmp_path / "a.tar", files)), ["cat", "dog"])


def test_a_place_without_a_shard_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="there is no shard"):
        read_shards(str(tmp_path / "none.tar"))
    (tmp_path / "bad.tar").write_bytes(b"no archive at all" * 100)
    with pytest.raises(TaskError, match=r"bad.tar cannot be read.*not compressed"):
        read_shards(str(tmp_path / "bad.tar"))
    with pytest.raises(TaskError, match="nowhere://x.tar cannot be reached"):
        read_shards("nowhere://x.tar")


def test_an_image_that_is_gone_or_damaged_is_told_like_any_other(tmp_path: Path) -> None:
    files = {f"{'ab'[k % 2]}/{k}.png": png(k) for k in range(40)} | {"a/bad.png": b"no image"}
    task = Task.from_shards(str(shard(tmp_path / "a.tar", files)))
    assert len(task) == 40
    assert any("a/bad" in key for keys in task.found.left_out.values() for key in keys)
    (tmp_path / "a.tar").unlink()
    with pytest.raises(TaskError, match="could be read earlier and no longer can"):
        task.pixels.at(300)  # finer than what is held


def is_image(name: str) -> bool:
    """Whether a file of that name, with .png behind it, is neither hidden nor without a key."""
    return not name.startswith(".")


@given(names=st.lists(st.text("abc.", min_size=1, max_size=4), min_size=1, max_size=6, unique=True))
def test_any_names_in_a_shard_are_samples_or_left_out(
    names: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("shard") / "a.tar"
    image = io.BytesIO()
    Image.new("L", (2, 2)).save(image, "PNG")
    shard(path, {f"class/{name}.png": image.getvalue() for name in names})
    if not any(is_image(name) for name in names):
        with pytest.raises(TaskError, match="holds no image"):
            read_shards(str(path))
        return
    found = read_shards(str(path))
    assert {record.label for record in found.records} == {"class"}
    assert len({record.key for record in found.records}) == len(found.records) <= len(names)
