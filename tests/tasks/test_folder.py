"""The image files of a folder, and what is left out."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from tans.errors import TaskError
from tans.tasks.decoding import CAMERA_RAW, NO_IMAGE
from tans.tasks.findings import Overrides
from tans.tasks.folder import LEFTOVER, LINKED, find_images, images_below, is_leftover, legible
from tans.tasks.splits import TEST, TRAIN, VAL
from tests.tasks.drawing import fill, put, scene, store


def keys(found):
    return sorted(record.key for record in found.records)


def labels(found):
    return {record.key: record.label for record in found.records}


def test_class_folders_give_labels_at_any_depth(tmp_path):
    put(tmp_path, "cat/a.png", "cat/more/deep/b.JPG", "big dog/c.webp")
    found = {(record.key, record.label, record.split) for record in find_images(tmp_path).records}
    assert found == {
        ("cat/a.png", "cat", None),
        ("cat/more/deep/b.JPG", "cat", None),
        ("big dog/c.webp", "big dog", None),
    }


def test_other_and_hidden_files_are_left_out_and_counted(tmp_path):
    put(tmp_path, "cat/a.png", "cat/Thumbs.db", "cat/._a.png", "cat/notes.txt", "cat/.git/b.png")
    put(tmp_path, ".hidden/c.png", "__MACOSX/cat/d.png", "loose.png", "dog/e.png", "dog/f.CR2")
    found = find_images(tmp_path)
    assert keys(found) == ["cat/a.png", "dog/e.png"]
    left = {why: sorted(names) for why, names in found.left_out.items()}
    assert left == {
        LEFTOVER: [".hidden", "__MACOSX", "cat/._a.png", "cat/.git", "cat/Thumbs.db"],
        NO_IMAGE: ["cat/notes.txt"],
        CAMERA_RAW: ["dog/f.CR2"],
        "beside the class folders, in none of them": ["loose.png"],
    }


@pytest.mark.parametrize(
    "leftover",
    [
        "@eaDir",
        "__MACOSX",
        ".ipynb_checkpoints",
        "#recycle",
        "$RECYCLE.BIN",
        ".Trash-1000",
        "System Volume Information",
        "lost+found",
        "__pycache__",
        ".git",
    ],
)
@pytest.mark.parametrize("place", ["", "disc", "train", "train/disc"])
def test_what_other_programs_leave_is_never_a_class_nor_an_image(tmp_path, leftover, place):
    root = put(tmp_path, "train/disc/a.png", "train/bar/b.png", "test/disc/c.png", "test/bar/d.png")
    if place == "disc":
        root = tmp_path / "train"
    folder = root / place / leftover
    put(folder, "a.png/SYNOPHOTO_THUMB_M.png", "disc/a.png", "b.png")
    found = find_images(root)
    assert set(labels(found).values()) == {"disc", "bar"}
    assert not [key for key in keys(found) if leftover in key]
    assert [Path(name).name for name in found.left_out[LEFTOVER]] == [leftover]


@pytest.mark.parametrize(
    "name", ["Thumbs.db", "desktop.ini", ".DS_Store", "._a.jpg", "~$table.xlsx", "ZbThumbnail.info"]
)
def test_files_of_other_programs_are_leftovers(name):
    assert is_leftover(name)


@pytest.mark.parametrize("name", ["recycled", "a.png", "thumbs", "trash", "macosx"])
def test_other_names_are_no_leftovers(name):
    assert not is_leftover(name)


def test_an_archive_of_a_mac_is_read_without_what_it_adds(tmp_path):
    fill(tmp_path / "made", ["pets/cat", "pets/dog"], count=2)
    with zipfile.ZipFile(tmp_path / "pets.zip", "w") as archive:
        for path in sorted((tmp_path / "made").rglob("*.png")):
            name = path.relative_to(tmp_path / "made").as_posix()
            archive.write(path, name)
            folder, _, file = name.rpartition("/")
            archive.writestr(f"__MACOSX/{folder}/._{file}", b"\0\5\x16\7")
        archive.writestr("pets/.DS_Store", b"\0\0\0\1Bud1")
        archive.writestr("pets/cat/.DS_Store", b"\0\0\0\1Bud1")
    with zipfile.ZipFile(tmp_path / "pets.zip") as archive:
        archive.extractall(tmp_path / "unpacked")
    found = find_images(tmp_path / "unpacked")
    assert labels(found) == {
        f"pets/{label}/{index}.png": label for label in ("cat", "dog") for index in (0, 1)
    }
    assert {why: len(names) for why, names in found.left_out.items()} == {LEFTOVER: 3}


def test_contents_decide_what_is_an_image(tmp_path):
    fill(tmp_path, ["cat", "dog"], count=1)
    picture = Image.open(tmp_path / "cat/0.png")
    for name in ("cat/IMG_1.heic", "cat/scan7", "dog/b.dat", "dog/2020.01.02"):
        picture.save(tmp_path / name, format="PNG")
    (tmp_path / "dog/README").write_text("no image")
    (tmp_path / "dog/list.csv").write_text("a,b\n")
    found = find_images(tmp_path)
    assert keys(found) == [
        "cat/0.png",
        "cat/IMG_1.heic",
        "cat/scan7",
        "dog/0.png",
        "dog/2020.01.02",
        "dog/b.dat",
    ]
    assert found.left_out == {NO_IMAGE: ("dog/README", "dog/list.csv")}


@pytest.mark.parametrize("val", ["val", "valid", "validation", "Val"])
def test_split_folders_are_never_classes(tmp_path, val):
    put(tmp_path, "train/cat/a.png", f"{val}/cat/b.png", "TEST/cat/c.png", "docs/readme.txt")
    found = {record.key: (record.label, record.split) for record in find_images(tmp_path).records}
    assert found == {
        "train/cat/a.png": ("cat", TRAIN),
        f"{val}/cat/b.png": ("cat", VAL),
        "TEST/cat/c.png": ("cat", TEST),
    }


def test_a_class_may_be_empty_in_one_split(tmp_path):
    put(tmp_path, "train/cat/a.png", "train/dog/b.png", "test/cat/c.png")
    (tmp_path / "test/dog").mkdir()
    assert len(find_images(tmp_path).records) == 3


def test_an_empty_split_is_said_to_be_none(tmp_path):
    put(tmp_path, "train/cat/a.png", "train/dog/b.png", "test/cat/c.png", "val/.DS_Store")
    found = find_images(tmp_path)
    assert "val is empty, so it is no split" in found.remarks
    assert {record.split for record in found.records} == {TRAIN, TEST}


def test_what_the_user_says_comes_before_what_is_found(tmp_path):
    put(tmp_path, "one/cat/a.png", "one/dog/b.png", "two/cat/c.png", "two/dog/d.png")
    with pytest.raises(TaskError, match="hold folders of the same names"):
        find_images(tmp_path)
    found = find_images(tmp_path, Overrides(layout="classes"))
    assert set(labels(found).values()) == {"one", "two"}
    found = find_images(tmp_path, Overrides(split={"train": "one", "test": "two"}))
    assert {(record.label, record.split) for record in found.records} == {
        ("cat", TRAIN),
        ("dog", TRAIN),
        ("cat", TEST),
        ("dog", TEST),
    }


def test_splits_mixed_with_classes_are_refused(tmp_path):
    put(tmp_path, "train/cat/a.png", "dog/b.png")
    with pytest.raises(TaskError, match=r"beside them, folders of images: dog"):
        find_images(tmp_path)


def test_unicode_names_are_one_class_however_they_are_composed(tmp_path):
    put(tmp_path, "train/caf\u00e9/a.png", "test/cafe\u0301/b.png", "train/\u732b/c.png")
    found = find_images(tmp_path)
    assert {record.label for record in found.records} == {"caf\u00e9", "\u732b"}


def test_undecodable_names_become_text_that_can_be_printed(tmp_path):
    folder = os.fsencode(tmp_path) + b"/cl\xff"
    try:
        os.mkdir(folder)  # noqa: PTH102
    except OSError:
        pytest.skip("this file system takes only Unicode names")
    put(tmp_path, os.fsdecode(b"cl\xff/a.png"))
    (record,) = find_images(tmp_path).records
    assert record.label == "cl\ufffd"
    assert record.path.is_file()


def test_symlink_loops_end_and_name_no_image_twice(tmp_path):
    root = tmp_path / "data"
    put(root, "cat/a.png", "cat/sub/b.png", "dog/c.png")
    (root / "cat/sub/up").symlink_to(root / "cat")
    (root / "cat/root").symlink_to(root)
    (root / "cat/above").symlink_to(tmp_path)
    (root / "again").symlink_to(root)
    (root / "dog/self").symlink_to("self")
    found = find_images(root)
    assert keys(found) == ["cat/a.png", "cat/sub/b.png", "dog/c.png"]
    assert sorted(found.left_out[LINKED]) == ["again", "cat/above", "cat/root", "cat/sub/up"]
    assert found.left_out["links that lead nowhere"] == ("dog/self",)


def test_linked_class_folders_and_files_are_followed(tmp_path):
    put(tmp_path, "elsewhere/a.png", "data/dog/b.png")
    (tmp_path / "data/cat").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data/dog/c.png").symlink_to(tmp_path / "elsewhere/a.png")
    found = labels(find_images(tmp_path / "data"))
    assert found == {"cat/a.png": "cat", "dog/b.png": "dog", "dog/c.png": "dog"}


def test_a_folder_that_two_links_lead_to_is_read_once(tmp_path):
    put(tmp_path, "elsewhere/a.png", "data/dog/b.png")
    for name in ("cat", "kitten"):
        (tmp_path / "data" / name).symlink_to(tmp_path / "elsewhere")
    found = find_images(tmp_path / "data")
    assert keys(found) == ["cat/a.png", "dog/b.png"]
    assert found.left_out == {LINKED: ("kitten",)}


def test_a_dataset_that_is_a_link_itself_is_read(tmp_path):
    put(tmp_path, "real/cat/a.png", "real/dog/b.png")
    (tmp_path / "data").symlink_to(tmp_path / "real")
    assert keys(find_images(tmp_path / "data")) == ["cat/a.png", "dog/b.png"]


def test_a_pipe_is_not_waited_for(tmp_path):
    put(tmp_path, "cat/a.png", "dog/b.png")
    os.mkfifo(tmp_path / "cat/pipe")
    os.mkfifo(tmp_path / "cat/pipe.png")
    found = find_images(tmp_path)
    assert keys(found) == ["cat/a.png", "dog/b.png"]
    assert found.left_out == {NO_IMAGE: ("cat/pipe", "cat/pipe.png")}


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(TaskError, match="holds no class folder and 0 images"):
        find_images(tmp_path)


def test_images_outside_class_folders_are_refused(tmp_path):
    put(tmp_path, "a.png", "b.png")
    with pytest.raises(TaskError, match="holds no class folder and 2 images"):
        find_images(tmp_path)


def test_a_class_folder_without_images_is_refused(tmp_path):
    put(tmp_path, "cat/a.png", "dog/readme.txt")
    with pytest.raises(TaskError, match="class folders without an image: dog"):
        find_images(tmp_path)


def test_an_image_given_as_a_folder_is_refused(tmp_path):
    store(tmp_path / "a.png", scene(0))
    with pytest.raises(TaskError, match="is a single image"):
        find_images(tmp_path / "a.png")


def test_all_images_below_a_folder_are_listed_with_what_else_there_is(tmp_path):
    put(tmp_path, "b/2.png", "a.png", "b/c/1.jpg", "b/notes.txt", "@eaDir/3.png")
    images, left_out = images_below(tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in images] == [
        "a.png",
        "b/2.png",
        "b/c/1.jpg",
    ]
    assert {why: [path.name for path in paths] for why, paths in left_out.items()} == {
        LEFTOVER: ["@eaDir"],
        NO_IMAGE: ["notes.txt"],
    }


def test_legible_names_are_composed():
    assert legible("cafe\u0301") == "caf\u00e9"
    assert legible(os.fsdecode(b"a\xff")) == "a\ufffd"
