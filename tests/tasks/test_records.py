"""From listed files to all that a task holds, and what is odd about them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tans.errors import TaskError
from tans.tasks import records as module
from tans.tasks.decoding import DAMAGED, EMPTY, NO_HEIF, UnreadableError
from tans.tasks.findings import Overrides
from tans.tasks.folder import Found, Record
from tans.tasks.images import Opened
from tans.tasks.reading import Evidence, Reading
from tans.tasks.records import COPIES, read_records
from tans.tasks.splits import SPLITS, TEST, TRAIN, VAL
from tests.tasks.drawing import grey, photo, png16, scene, store


def listed(root, *rows):
    """What was found: for each row a picture's seed, its label and, if given, split and group."""
    found = []
    for index, row in enumerate(rows):
        seed, label, split, group = (*row, None, None)[:4]
        path = root / f"{index:03}.png"
        store(path, scene(seed))
        found.append(Record(path.name, path, label, split, group))
    return Found(tuple(found), "drawn")


def read(found, seed=0, **overrides):
    return read_records(found, "pets", Overrides(**overrides), seed)


def home(members):
    """Split of each image, by its file."""
    names = [path.name for path in members.pixels.paths]
    return dict(zip(names, (SPLITS[split] for split in members.splits.tolist()), strict=True))


def test_all_parts_of_a_task_go_by_the_same_order(tmp_path):
    found = listed(tmp_path, *[(index, "ab"[index % 2]) for index in range(20)])
    members = read(Found(found.records[::-1], "drawn"))
    assert members.classes == ("a", "b")
    assert members.keys == tuple(f"{index:03}.png" for index in range(20))
    assert members.labels.tolist() == [0, 1] * 10
    assert [path.name for path in members.pixels.paths] == list(members.keys)
    assert members.groups is None
    assert members.found.copies == ()
    assert members.found.words() == []


def test_files_that_cannot_be_read_are_counted_by_reason(tmp_path):
    found = listed(tmp_path, *[(index, "ab"[index % 2]) for index in range(40)])
    (tmp_path / "003.png").write_text("no image")
    (tmp_path / "004.png").write_bytes(b"")
    (tmp_path / "007.png").write_text("no image")
    members = read(Found(found.records, "drawn", {EMPTY: ("other",)}, ("odd",)))
    assert members.found.left_out == {EMPTY: ("other", "004.png"), DAMAGED: ("003.png", "007.png")}
    assert members.found.remarks == ("odd",)
    assert len(members.labels) == 37


def test_pictures_in_want_of_an_extra_are_an_accident_only_where_they_are_few(
    tmp_path, monkeypatch
):
    found = listed(tmp_path, *[(index, "ab"[index % 2]) for index in range(20)])
    look = module.open_files

    def some_heic(paths, *arguments):
        opened = look(paths[heic:], *arguments)
        failures = {index: UnreadableError(NO_HEIF) for index in range(heic)}
        return Opened(opened.pixels, failures, opened.evidence, opened.pages)

    monkeypatch.setattr(module, "open_files", some_heic)
    heic = 2
    assert read(found).found.left_out == {NO_HEIF: ("000.png", "001.png")}
    heic = 3
    with pytest.raises(TaskError, match=r"3 of 20 images .*pip install 'tans\[heif\]'"):
        read(found)


def test_classes_written_in_two_ways_are_refused_unless_they_are_taken_as_they_are(tmp_path):
    found = listed(tmp_path, *[(index, ("Cat", "cat")[index % 2]) for index in range(8)])
    with pytest.raises(TaskError, match="'Cat' = 'cat'"):
        read(found)
    assert read(found, labels_as_is=True).classes == ("Cat", "cat")


def test_copies_are_named_counted_and_kept_together(tmp_path):
    rows = [(index // 4, "ab"[index // 4 % 2]) for index in range(40)]
    members = read(listed(tmp_path, *rows))
    assert len(members.found.copies) == 10
    assert "30 copies of other images" in members.found.words()[0]
    assert members.found.copies[0] == ("000.png", "001.png", "002.png", "003.png")
    where = home(members)
    assert all(len({where[key] for key in keys}) == 1 for keys in members.found.copies)
    assert set(where.values()) == set(SPLITS)


@settings(max_examples=25, deadline=None)
@given(data=st.data(), seed=st.integers(0, 99), given_splits=st.booleans(), grouped=st.booleans())
@pytest.mark.long
def test_no_copies_cross_splits_whatever_the_seed(
    data, seed, given_splits, grouped, tmp_path_factory
):
    root = tmp_path_factory.mktemp("copies")
    shown = data.draw(st.lists(st.integers(0, 7), min_size=10, max_size=26))
    rows = []
    for index, picture in enumerate(shown):
        split = data.draw(st.sampled_from([TRAIN, TRAIN, VAL, TEST])) if given_splits else None
        group = f"g{index // 3}" if grouped and not given_splits else None
        rows.append((picture, "ab"[index % 2], split, group))
    # a few that are like no other, so that there is something to train and to test on
    rows += [
        (100 + index, "ab"[index % 2], None if not given_splits else TRAIN) for index in range(8)
    ]
    if grouped and not given_splits:
        rows = [(*row[:3], f"g{index // 3}") for index, row in enumerate(rows)]
    try:
        members = read(listed(root, *rows), seed)
    except TaskError as error:
        assert grouped
        assert "no image to test on" in str(error)  # noqa: PT017
        return
    where = home(members)
    pictures = {f"{index:03}.png": row[0] for index, row in enumerate(rows)}
    homes = {}
    for name, split in where.items():
        homes.setdefault(pictures[name], set()).add(split)
    assert all(len(splits) == 1 for splits in homes.values())
    left = members.found.left_out.get(COPIES, ())
    assert set(where) | set(left) == set(pictures)
    assert not set(where) & set(left)


@pytest.mark.parametrize(("held", "index"), [("val", VAL), ("test", TEST)])
def test_a_copy_of_a_held_out_image_leaves_train_and_is_named(tmp_path, held, index):
    rows = [(i, "ab"[i % 2], TRAIN) for i in range(12)] + [(100, "a", index), (3, "b", index)]
    members = read(listed(tmp_path, *rows))
    assert members.found.left_out == {COPIES: ("003.png",)}
    assert home(members)["013.png"] == held
    assert "1 left out: copies of images in a split that is held out (003.png)" in (
        members.found.words()
    )


def test_a_copy_of_a_test_image_leaves_validation_too(tmp_path):
    rows = [(i, "ab"[i % 2], TRAIN) for i in range(8)]
    rows += [(50, "a", VAL), (51, "b", VAL), (50, "a", TEST), (52, "b", TEST)]
    assert read(listed(tmp_path, *rows)).found.left_out == {COPIES: ("008.png",)}


def test_where_a_class_would_lose_all_training_images_its_copies_alone_stay(tmp_path):
    rows = [(i, "a", TRAIN) for i in range(6)] + [(20, "b", TRAIN), (20, "b", TRAIN)]
    rows += [(20, "b", TEST), (0, "a", TEST), (30, "a", TEST)]
    members = read(listed(tmp_path, *rows))
    assert members.found.left_out == {COPIES: ("000.png",)}
    assert (
        "2 images of train or validation are copies of held-out ones" in (members.found.remarks[-1])
    )
    assert "as b would have no training image" in members.found.remarks[-1]
    where = home(members)
    assert where["006.png"] == where["007.png"] == "train"
    assert where["008.png"] == "test"


def test_groups_that_share_copies_stay_together(tmp_path):
    rows = [(index, "ab"[index % 2], None, f"g{index // 2}") for index in range(16)]
    rows += [(0, "a", None, "h"), (7, "b", None, "h")]
    for seed in range(5):
        members = read(listed(tmp_path, *rows), seed)
        joined = {members.groups[row] for row in (0, 1, 6, 7, 16, 17)}
        assert len(joined) == 1
        assert len(set(members.splits[[0, 1, 6, 7, 16, 17]].tolist())) == 1


def test_a_group_in_two_given_splits_is_refused(tmp_path):
    rows = [(index, "ab"[index % 2], TRAIN, "g") for index in range(6)] + [(9, "a", TEST, "g")]
    with pytest.raises(TaskError, match="group 'g' has images in train and in test"):
        read(listed(tmp_path, *rows))


def test_nothing_but_copies_is_used_and_told(tmp_path):
    members = read(listed(tmp_path, *[(index % 2, "ab"[index % 2]) for index in range(12)]))
    assert {SPLITS[split] for split in members.splits.tolist()} == set(SPLITS)
    assert members.found.remarks == (
        "all images of each class are copies of one: accuracies mean nothing",
    )


def test_the_same_picture_under_two_labels_is_told(tmp_path):
    rows = [(index, "ab"[index % 2]) for index in range(12)] + [(2, "b"), (3, "b")]
    remarks = read(listed(tmp_path, *rows)).found.remarks
    assert remarks == (
        "1 picture under different labels: 002.png as a and 012.png as b; "
        "correct the labels, or remove them",
    ) or remarks[0].startswith("1 picture is there under different labels: 002.png as a and 012")


def test_pictures_of_one_colour_are_told(tmp_path):
    found = listed(tmp_path, *[(index, "ab"[index % 2]) for index in range(10)])
    Image.new("RGB", (9, 9), (7, 7, 7)).save(tmp_path / "004.png")
    (remark,) = read(found).found.remarks
    assert remark == "1 picture of one colour throughout (004.png)"


def test_files_of_several_pictures_are_told(tmp_path):
    found = listed(tmp_path, *[(index, "ab"[index % 2]) for index in range(10)])
    pages = [Image.fromarray((scene(index) * 255).astype(np.uint8)) for index in (50, 51)]
    pages[0].save(tmp_path / "002.png", save_all=True, append_images=pages[1:])
    (remark,) = read(found).found.remarks
    assert remark == "1 file with several pictures, of which the first is used (002.png)"


def test_sample_types_side_by_side_are_told_and_each_has_its_range(tmp_path):
    found = listed(tmp_path, *[(index, "ab"[index % 2]) for index in range(10)])
    for index in (0, 1, 2):
        png16(tmp_path / f"{index:03}.png", (grey(index) * 4095).round().astype(np.uint16))
    members = read(found)
    assert members.found.reading == Reading({"uint8": (0, 255), "uint16": (0, 4095)})
    assert "3 of uint16, 7 of uint8" in members.found.remarks[0]
    assert "uint16 samples are read from 0 (dark) to 4095 (bright)" in members.found.words()


def test_a_range_that_no_picture_needs_is_told(tmp_path):
    found = listed(tmp_path, *[(index, "ab"[index % 2]) for index in range(6)])
    for sample, noun in (("any", "of more than 8 bits"), ("float32", "of type float32")):
        (remark,) = read(found, ranges={sample: (0, 1)}).found.remarks
        assert remark == f"a range was given and no picture has samples {noun}"


def test_a_reading_is_one_for_a_whole_task_and_can_be_stated(tmp_path):
    rows = [(index, "ab"[index % 2]) for index in range(8)]
    found = listed(tmp_path, *rows)
    for index in range(8):
        high = 4095 if index == 5 else 500
        png16(tmp_path / f"{index:03}.png", (grey(index) * high).round().astype(np.uint16))
    assert read(found).found.reading.ranges == {"uint16": (0, 4095)}
    stated = read(found, ranges={"uint16": (0, 600)})
    assert stated.found.reading.ranges == {"uint16": (0, 600)}
    assert stated.pixels.at(40)[0].max() > 200


@pytest.mark.parametrize("classes", ["a", ""])
def test_fewer_than_two_classes_are_refused(tmp_path, classes):
    with pytest.raises(TaskError, match="expected at least 2"):
        read(listed(tmp_path, *[(index, label) for index, label in enumerate(classes * 4)]))


def test_a_dataset_of_no_image_at_all_is_refused(tmp_path):
    records = tuple(Record(f"{i}.txt", tmp_path / f"{i}.txt", "ab"[i % 2]) for i in range(4))
    for record in records:
        record.path.write_text("no image")
    with pytest.raises(TaskError, match="fewer than 2 readable images: a \\(0\\), b \\(0\\)"):
        read(Found(records, "listed"))


def test_near_copies_are_found_whatever_their_format(tmp_path):
    rows = []
    for seed in range(6):
        picture = photo(seed)
        whole = Image.fromarray((picture * 255).round().astype(np.uint8))
        store(tmp_path / f"{seed}.png", picture)
        store(tmp_path / f"{seed}.jpg", picture, quality=75)
        store(tmp_path / f"{seed}.gif", picture)
        store(tmp_path / f"{seed}.bmp", (picture * 1.1).clip(0, 1))
        whole.resize((120, 90)).save(tmp_path / f"{seed}.webp", lossless=True)
        rows += [
            Record(f"{seed}.{suffix}", tmp_path / f"{seed}.{suffix}", "ab"[seed % 2])
            for suffix in ("png", "jpg", "gif", "bmp", "webp")
        ]
    members = read(Found(tuple(rows), "drawn"))
    assert sorted(map(len, members.found.copies)) == [5] * 6
    assert torch.equal(members.splits.view(6, 5), members.splits.view(6, 5)[:, :1].expand(6, 5))


def test_evidence_of_each_picture_is_looked_at_once(tmp_path, monkeypatch):
    seen = []
    of = Evidence.of
    monkeypatch.setattr(
        Evidence, "of", lambda picture, *kept: seen.append(picture) or of(picture, *kept)
    )
    read(listed(tmp_path, *[(index, "ab"[index % 2]) for index in range(6)]))
    assert len(seen) == 6


def test_paths_need_not_be_their_keys(tmp_path):
    found = listed(tmp_path, *[(index, "ab"[index % 2]) for index in range(6)])
    renamed = tuple(Record(f"x/{r.key}", Path(r.path), r.label) for r in found.records)
    assert read(Found(renamed, "drawn")).keys[0] == "x/000.png"


def test_a_film_of_each_class_is_used_and_told(tmp_path):
    """Each picture is nearly equal to the next, though the first and the last are not."""
    records = []
    for label, seed in (("a", 1), ("b", 2)):
        first, last = scene(seed), scene(seed + 10)
        for index in range(40):
            path = tmp_path / f"{label}{index:02}.png"
            store(path, first + (last - first) * index / 160)
            records.append(Record(path.name, path, label))
    members = read(Found(tuple(records), "drawn"))
    assert {SPLITS[split] for split in members.splits.tolist()} == set(SPLITS)
    assert any("as in a film" in remark for remark in members.found.remarks)
