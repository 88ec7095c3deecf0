import json
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file, save_file

from tans.errors import InputError, TaskError
from tans.files import is_unfinished
from tans.tasks.decoding import DAMAGED, EMPTY, TOO_LARGE
from tans.tasks.findings import Findings, Overrides
from tans.tasks.records import COPIES
from tans.tasks.task import SPLITS, Task, TaskCard
from tests.tasks.drawing import fill, grey, png16, scene, store

CARD = TaskCard("drawn", "1", "CC0-1.0", "drawn for a test", "squares")


def folder_of(root, sizes, seed=0):
    """Class folders of small random images."""
    rng = np.random.default_rng(seed)
    for name, size in sizes.items():
        (root / name).mkdir(parents=True)
        for index in range(size):
            pixels = rng.integers(0, 256, (6, 9, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{index}.png")
    return root


def train_folder(root, labels=("x", "y")):
    """Split folders ``train`` and ``test`` of the same classes."""
    folder_of(root / "train", dict.fromkeys(labels, 6), seed=1)
    folder_of(root / "test", dict.fromkeys(labels, 2), seed=2)
    return root


def array_task(sizes=(10, 10), side=8, **options):
    labels = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    generator = torch.Generator().manual_seed(0)
    shape = (len(labels), 3, side, side)
    images = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    classes = [f"class {index}" for index in range(len(sizes))]
    return Task.from_arrays("drawn", images, labels, classes, CARD, **options)


def same(one, other):
    plain = ("name", "classes", "card", "groups", "found")
    return (
        all(getattr(one, field) == getattr(other, field) for field in plain)
        and torch.equal(one.labels, other.labels)
        and torch.equal(one.splits, other.splits)
    )


def test_the_licence_of_images_is_what_their_owner_says(tmp_path):
    folder = folder_of(tmp_path / "pets", {"dog": 10, "a cat": 5})
    said = Overrides(licence="cc-by-4.0")
    task = Task.from_path(folder, overrides=said)
    assert task.card.licence == "CC-BY-4.0"
    Task.from_folder(folder).save(tmp_path / "saved")
    assert Task.from_path(tmp_path / "saved", overrides=said).card == task.card
    with pytest.raises(InputError, match="no SPDX licence"):
        Overrides(licence="mine")


def test_a_folder_becomes_a_task_with_sorted_classes(tmp_path):
    task = Task.from_folder(folder_of(tmp_path / "pets", {"dog": 10, "a cat": 5}))
    assert (task.name, task.classes, len(task)) == ("pets", ("a cat", "dog"), 15)
    assert torch.bincount(task.labels).tolist() == [5, 10]
    assert task.card.licence == "unstated"
    assert [path.parent.name for path in task.pixels.paths] == [
        task.classes[label] for label in task.labels
    ]
    assert task.pixels.at(64).shape == (15, 3, 64, 64)


def test_folder_splits_do_not_depend_on_place_or_file_order(tmp_path):
    first = Task.from_folder(folder_of(tmp_path / "a", {"x": 12, "y": 12}))
    root = tmp_path / "b"
    names = [f"{c}/{i}.png" for c in "yx" for i in range(12)]
    random.Random(3).shuffle(names)
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes((tmp_path / "a" / name).read_bytes())
    second = Task.from_folder(root, name="a")
    assert torch.equal(first.splits, second.splits)
    assert torch.equal(first.labels, second.labels)
    assert torch.equal(first.pixels.at(64), second.pixels.at(64))


def test_given_test_folder_is_kept_and_val_carved(tmp_path):
    folder_of(tmp_path / "train", {"x": 10, "y": 10}, seed=1)
    folder_of(tmp_path / "test", {"x": 3, "y": 2}, seed=2)
    task = Task.from_path(tmp_path)
    counts = torch.bincount(task.splits.long()).tolist()
    assert counts == [16, 4, 5]
    from_test = [path.parts[-3] == "test" for path in task.pixels.paths]
    assert (task.splits == 2).tolist() == from_test


def test_a_table_becomes_a_task_by_group(tmp_path):
    folder_of(tmp_path / "images", {"x": 12, "y": 12})
    rows = [f"{c}/{i}.png,{c},g{i // 2}" for c in "xy" for i in range(12)]
    (tmp_path / "t.csv").write_text("\n".join(["path,label,group", *rows]))
    task = Task.from_csv(tmp_path / "t.csv", root=tmp_path / "images")
    assert task.name == "t"
    pairs = set(zip(task.groups, task.splits.tolist(), strict=True))
    assert len(pairs) == 6
    (tmp_path / "t.csv").write_text("\n".join(["path,label,group", *reversed(rows)]))
    assert same(task, Task.from_csv(tmp_path / "t.csv", root=tmp_path / "images"))


def test_unreadable_files_are_named_and_left_out(tmp_path):
    folder_of(tmp_path, {"x": 10, "y": 10})
    (tmp_path / "x/3.png").write_text("no image")
    task = Task.from_folder(tmp_path)
    assert task.found.left_out == {DAMAGED: ("x/3.png",)}
    assert len(task) == len(task.pixels.at(64)) == 19


def test_too_many_unreadable_files_are_refused(tmp_path):
    folder_of(tmp_path, {"x": 10, "y": 10})
    for index in range(3):
        (tmp_path / f"x/{index}.png").write_text("no image")
    with pytest.raises(TaskError, match=r"3 of 20 images .* x/0\.png: .*expected at most 10%"):
        Task.from_folder(tmp_path)


def test_a_single_class_is_refused(tmp_path):
    with pytest.raises(TaskError, match=r"has 1 class \(x\); expected at least 2"):
        Task.from_folder(folder_of(tmp_path, {"x": 4}))


def test_a_class_of_one_image_is_refused(tmp_path):
    with pytest.raises(TaskError, match=r"fewer than 2 readable images: y \(1\)"):
        Task.from_folder(folder_of(tmp_path, {"x": 4, "y": 1}))


def test_a_class_without_training_image_is_refused(tmp_path):
    folder_of(tmp_path / "train", {"w": 4, "x": 4, "y": 4}, seed=1)
    folder_of(tmp_path / "test", {"w": 2, "x": 2, "z": 2})
    with pytest.raises(TaskError, match="no training image: z"):
        Task.from_folder(tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing", "there is nothing at"),
        ("pets.zip", "is an archive.*unpack it"),
        ("cat.jpg", "is a single image"),
        ("notes.txt", "is a file; expected a folder"),
    ],
)
def test_paths_that_are_no_dataset_are_refused(tmp_path, name, message):
    if name != "missing":
        (tmp_path / name).touch()
    with pytest.raises(TaskError, match=message):
        Task.from_path(tmp_path / name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": [0, 0, 1]}, "expected one of each for every image"),
        ({"groups": ["g"] * 3}, "expected one of each for every image"),
        ({"splits": torch.zeros(3, dtype=torch.uint8)}, "expected one of each for every image"),
        ({"labels": [0, 0, 1, 2]}, "reach from 0 to 2; expected 0 to 1"),
        ({"labels": [0, 0, 0, 1]}, r"fewer than 2 readable images: b \(1\)"),
        ({"classes": ["a", "a"]}, "names a class twice"),
        ({"classes": ["a"], "labels": [0] * 4}, "has 1 class"),
        ({"images": torch.zeros(4, 3, 5, 5)}, "expected uint8"),
        ({"splits": torch.tensor([0, 0, 0, 7], dtype=torch.uint8)}, r"has splits \[7\]"),
        ({"splits": torch.tensor([0, 0, 2, 2], dtype=torch.uint8)}, "no training image: b"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change, message):
    parts = {
        "name": "t",
        "images": torch.zeros(4, 3, 5, 5, dtype=torch.uint8),
        "labels": [0, 0, 1, 1],
        "classes": ["a", "b"],
        "card": CARD,
    }
    with pytest.raises(TaskError, match=message):
        Task.from_arrays(**parts | change)


@settings(max_examples=20, deadline=None)
@given(sizes=st.lists(st.integers(2, 20), min_size=2, max_size=5), seed=st.integers(0, 3))
def test_the_splits_are_a_partition(sizes, seed):
    task = array_task(sizes, side=2, seed=seed)
    parts = [task.split(name, 2) for name in SPLITS]
    images = torch.cat([images for images, _ in parts]).flatten(1)
    assert torch.equal(images.sort(0).values, task.pixels.at(2).flatten(1).sort(0).values)
    assert sum(len(labels) for _, labels in parts) == len(task) == sum(sizes)


def test_a_split_can_be_limited():
    task = array_task((40, 20))
    images, labels = task.split("train", 8, limit=9, seed=1)
    assert images.shape == (9, 3, 8, 8)
    assert torch.bincount(labels).tolist() == [6, 3]
    assert not torch.equal(images, task.split("train", 8, limit=9, seed=2)[0])
    with pytest.raises(TaskError, match="split 'dev' was asked for; expected one of train"):
        task.split("dev", 8)


def test_a_limited_task_keeps_what_it_is_judged_by(tmp_path):
    for task in (array_task((40, 20)), Task.from_folder(folder_of(tmp_path, {"a": 40, "b": 20}))):
        few = task.limited(12)
        assert torch.equal(few.limited(12).labels, few.labels)
        assert torch.bincount(few.split("train", 8)[1]).tolist() == [8, 4]
        for name in ("val", "test"):
            for kept, whole in zip(few.split(name, 8), task.split(name, 8), strict=True):
                assert torch.equal(kept, whole)
        assert len(task.limited(1000)) == len(task)


def test_a_limited_task_keeps_its_groups():
    groups = [str(index // 2) for index in range(40)]
    few = array_task((20, 20), groups=groups).limited(10)
    assert few.groups is not None
    assert len(few.groups) == len(few)


def test_a_sample_is_balanced_and_from_train():
    task = array_task((40, 10))
    images, labels = task.sample(10, 16)
    assert images.shape == (10, 3, 16, 16)
    assert torch.bincount(labels).tolist() == [5, 5]
    assert len(task.sample(1000, 8)[1]) == int((task.splits == 0).sum())


def test_thumbnails_repeat_where_images_are_few():
    thumbnails = array_task((3, 3)).thumbnails(16)
    assert thumbnails.shape == (16, 3, 64, 64)
    assert thumbnails.dtype == torch.uint8
    assert len(thumbnails.flatten(1).unique(dim=0)) == 2


def test_saving_and_loading_gives_the_same_task(tmp_path):
    groups = [f"g\u00e9 {index % 10}" for index in range(20)]
    task = array_task(side=7, groups=groups)
    task.save(tmp_path / "deep/saved")
    loaded = Task.from_path(tmp_path / "deep/saved")
    assert same(task, loaded)
    assert torch.equal(task.pixels.at(7), loaded.pixels.at(7))
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["saved"]


def test_a_task_of_files_is_saved_at_a_resolution(tmp_path):
    folder_of(tmp_path / "pets", {"x": 10, "y": 10})
    (tmp_path / "pets/x/bad.png").touch()
    task = Task.from_folder(tmp_path / "pets")
    task.save(tmp_path / "saved", resolution=24)
    loaded = Task.load(tmp_path / "saved")
    assert same(task, loaded)
    assert loaded.found.left_out == {EMPTY: ("x/bad.png",)}
    assert loaded.found == task.found
    assert torch.equal(loaded.pixels.at(24), task.pixels.at(24))


def test_saving_replaces_a_saved_task_and_nothing_else(tmp_path):
    array_task((4, 4)).save(tmp_path / "saved")
    array_task((6, 6)).save(tmp_path / "saved")
    assert len(Task.load(tmp_path / "saved")) == 12
    (tmp_path / "other").mkdir()
    (tmp_path / "other/precious.txt").touch()
    with pytest.raises(TaskError, match="is not a saved task"):
        array_task().save(tmp_path / "other")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "saved"]


def test_a_save_that_fails_at_the_last_step_brings_the_old_task_back(tmp_path, monkeypatch):
    array_task((4, 4)).save(tmp_path / "saved")
    rename = Path.replace

    def refuse(source, target):
        if source.suffix == ".tmp":
            raise OSError("busy")
        return rename(source, target)

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(TaskError, match="busy"):
        array_task((6, 6)).save(tmp_path / "saved")
    assert len(Task.load(tmp_path / "saved")) == 8
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]


def test_a_failed_save_leaves_the_old_task(tmp_path, monkeypatch):
    array_task((4, 4)).save(tmp_path / "saved")

    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr("tans.tasks.task.save_file", full)
    with pytest.raises(TaskError, match="no space left"):
        array_task((6, 6)).save(tmp_path / "saved")
    assert len(Task.load(tmp_path / "saved")) == 8
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]


@pytest.mark.long
def test_a_killed_save_leaves_nothing_half_written(tmp_path):
    array_task((4, 4)).save(tmp_path / "saved")
    script = f"""
import os, signal, torch
from tans.tasks import task as module
write = module.save_file
def killed(tensors, path):
    write(tensors, path)
    os.kill(os.getpid(), signal.SIGKILL)
task = module.Task.load({str(tmp_path / "saved")!r})
module.save_file = killed
task.save({str(tmp_path / "saved")!r})
"""
    ended = subprocess.run([sys.executable, "-c", script], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert len(Task.load(tmp_path / "saved")) == 8
    leftover = [path for path in tmp_path.iterdir() if path.name != "saved"]
    assert leftover
    assert all(is_unfinished(path) for path in leftover)
    Task.load(tmp_path / "saved").save(tmp_path / "another")
    assert not list(filter(is_unfinished, tmp_path.iterdir()))


def test_another_schema_is_refused(tmp_path):
    array_task().save(tmp_path)
    about = json.loads((tmp_path / "task.json").read_text())
    (tmp_path / "task.json").write_text(json.dumps(about | {"schema": 99}))
    with pytest.raises(
        TaskError, match="has schema 99; this version of tans reads schemas up to 2"
    ):
        Task.load(tmp_path)


def test_a_folder_without_a_saved_task_is_refused(tmp_path):
    with pytest.raises(TaskError, match="no saved task can be read"):
        Task.load(tmp_path)


@pytest.mark.parametrize(
    "damage", ["cut", "no labels", "other labels", "fewer images", "no json", "other card"]
)
def test_a_damaged_task_is_refused(tmp_path, damage):
    array_task().save(tmp_path)
    images, about = tmp_path / "images.safetensors", tmp_path / "task.json"
    tensors = {name: tensor.clone() for name, tensor in load_file(images).items()}
    if damage == "cut":
        images.write_bytes(images.read_bytes()[:100])
    elif damage == "no labels":
        save_file({"images": tensors["images"]}, images)
    elif damage == "other labels":
        save_file(tensors | {"labels": tensors["labels"] + 5}, images)
    elif damage == "fewer images":
        save_file(tensors | {"images": tensors["images"][1:].clone()}, images)
    elif damage == "no json":
        about.write_text("{")
    else:
        about.write_text(json.dumps(json.loads(about.read_text()) | {"card": {"colour": "red"}}))
    with pytest.raises(TaskError, match=r"damaged|no saved task can be read"):
        Task.load(tmp_path)


def test_a_task_saved_by_an_older_version_keeps_what_it_left_out(tmp_path):
    array_task().save(tmp_path)
    about = json.loads((tmp_path / "task.json").read_text())
    del about["found"]
    old = about | {"schema": 1, "skipped": ["x/3.png"]}
    (tmp_path / "task.json").write_text(json.dumps(old))
    assert Task.load(tmp_path).found == Findings(left_out={DAMAGED: ("x/3.png",)})
    (tmp_path / "task.json").write_text(json.dumps(old | {"skipped": []}))
    assert Task.load(tmp_path).found == Findings()


def test_what_was_found_is_saved_and_loaded(tmp_path):
    rows = [(seed, "cat") for seed in range(8)] + [(seed, "dog") for seed in range(20, 28)]
    for index, (seed, label) in enumerate([*rows, (0, "cat"), (20, "dog")]):
        high = 4095 if index % 2 else 3000
        samples = (grey(seed) * high).round().astype(np.uint16)
        png16(tmp_path / "pets" / label / f"{index}.png", samples)
    (tmp_path / "pets/cat/empty.png").touch()
    task = Task.from_path(tmp_path / "pets")
    assert task.found.layout == "one folder for each class"
    assert task.found.left_out == {EMPTY: ("cat/empty.png",)}
    assert task.found.reading.ranges == {"uint16": (0, 4095)}
    task.save(tmp_path / "saved")
    assert Task.load(tmp_path / "saved").found == task.found


def test_a_saved_task_takes_no_overrides(tmp_path):
    array_task().save(tmp_path)
    assert len(Task.from_path(tmp_path, overrides=Overrides())) == 20
    with pytest.raises(TaskError, match="is a saved task, whose images are read already"):
        Task.from_path(tmp_path, overrides=Overrides(layout="classes"))


@pytest.mark.parametrize(("train", "test"), [("Training", "Testing"), ("seg_train", "seg_test")])
def test_folders_of_splits_become_splits(tmp_path, train, test):
    fill(tmp_path / train, ["disc", "square", "bars"], count=6, seed=1)
    fill(tmp_path / test, ["disc", "square", "bars"], count=2, seed=2)
    task = Task.from_path(tmp_path)
    assert task.classes == ("bars", "disc", "square")
    assert len(task.split("test", 8)[1]) == 6
    assert {
        key.split("/")[0] for key, split in zip(task.keys, task.splits, strict=True) if split == 2
    } == {test}
    assert "validation images are taken from train" in task.found.remarks


def test_a_class_called_train_is_a_class(tmp_path):
    task = Task.from_path(fill(tmp_path, ["bus", "car", "train"]))
    assert task.classes == ("bus", "car", "train")


def test_folders_that_are_not_clear_are_asked_about_and_then_taken_as_said(tmp_path):
    fill(tmp_path, ["cat/day", "cat/night", "dog/day", "dog/night"], count=3)
    with pytest.raises(TaskError, match="--layout classes"):
        Task.from_path(tmp_path)
    assert Task.from_path(tmp_path, overrides=Overrides(layout="classes")).classes == ("cat", "dog")
    parts = Overrides(split={"train": "cat", "test": "dog"})
    assert Task.from_path(tmp_path, overrides=parts).classes == ("day", "night")


def test_a_table_of_splits_and_synonyms_becomes_a_task(tmp_path):
    fill(tmp_path, ["a", "b"], count=8)
    rows = [f"{label}\\{i}.png;{label};{i > 5}" for label in "ab" for i in range(8)]
    text = "\r\n".join(["sep=;", "FileName;Class;is_valid", *rows])
    (tmp_path / "t.csv").write_bytes(text.encode("utf-16"))
    task = Task.from_path(tmp_path / "t.csv")
    assert (task.classes, len(task), len(task.split("val", 8)[1])) == (("a", "b"), 16, 4)


def test_a_picture_of_too_many_pixels_is_left_out_unless_it_is_allowed(tmp_path, monkeypatch):
    fill(tmp_path, ["x", "y"], count=10)
    store(tmp_path / "x/large.png", scene(77, 100, 100))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 9000)
    assert Task.from_path(tmp_path).found.left_out == {TOO_LARGE: ("x/large.png",)}
    allowed = Task.from_path(tmp_path, overrides=Overrides(max_pixels=10_000))
    assert allowed.found.left_out == {}
    assert len(allowed) == 21


def test_a_range_can_be_stated_for_a_task_and_none_for_8_bits(tmp_path):
    for label, start in (("x", 0), ("y", 50)):
        for index in range(4):
            samples = (grey(start + index) * 4000).astype(np.uint16)
            png16(tmp_path / label / f"{index}.png", samples)
    task = Task.from_path(tmp_path, overrides=Overrides(ranges={"any": (0, 65535)}))
    assert task.found.reading.ranges == {"uint16": (0, 65535)}
    assert int(task.pixels.at(64).max()) < 17
    store(tmp_path / "x/plain.png", grey(99))
    with pytest.raises(InputError, match="8 bits are always 0:255"):
        Task.from_path(tmp_path, overrides=Overrides(ranges={"uint8": (0, 127)}))


def test_copies_of_test_images_leave_train(tmp_path):
    train_folder(tmp_path)
    (tmp_path / "train/x/copy.png").write_bytes((tmp_path / "test/x/0.png").read_bytes())
    task = Task.from_path(tmp_path)
    assert task.found.left_out == {COPIES: ("train/x/copy.png",)}
    assert len(task) == 16


def test_classes_spelt_in_two_ways_are_refused_in_folders_too(tmp_path):
    fill(tmp_path / "train", ["cat", "dog"])
    fill(tmp_path / "test", ["Cat", "dog"], seed=1)
    with pytest.raises(TaskError, match="'Cat' = 'cat'"):
        Task.from_path(tmp_path)


def test_each_image_keeps_its_key(tmp_path):
    task = Task.from_path(train_folder(tmp_path))
    assert [path.relative_to(tmp_path).as_posix() for path in task.pixels.paths] == list(task.keys)
    few = task.limited(4)
    assert [path.relative_to(tmp_path).as_posix() for path in few.pixels.paths] == list(few.keys)
    assert array_task().keys is None


def test_copies_among_arrays_stay_on_one_side():
    generator = torch.Generator().manual_seed(3)
    once = torch.randint(0, 256, (40, 3, 16, 16), generator=generator, dtype=torch.uint8)
    images, labels = once.repeat(3, 1, 1, 1), (torch.arange(40) % 2).repeat(3)
    task = Task.from_arrays("drawn", images, labels, ["a", "b"], CARD)
    assert (task.splits.view(3, 40) == task.splits[:40]).all()
    assert len(task.found.copies) == 40
    assert any("80 copies" in words for words in task.found.words())
    apart = Task.from_arrays("drawn", images, labels, ["a", "b"], CARD, join_copies=False)
    assert not (apart.splits.view(3, 40) == apart.splits[:40]).all()
    assert apart.groups is None


def test_copies_among_arrays_join_the_groups_that_are_given():
    generator = torch.Generator().manual_seed(3)
    once = torch.randint(0, 256, (40, 3, 16, 16), generator=generator, dtype=torch.uint8)
    images, labels = once.repeat(2, 1, 1, 1), (torch.arange(40) % 2).repeat(2)
    groups = [f"g{index // 4:02}" for index in range(80)]  # copies are ten groups apart
    task = Task.from_arrays("drawn", images, labels, ["a", "b"], CARD, groups)
    assert len(set(task.groups)) == 10
    homes = {group: set() for group in task.groups}
    for group, split in zip(task.groups, task.splits.tolist(), strict=True):
        homes[group].add(split)
    assert all(len(home) == 1 for home in homes.values())
