"""What folders mean: classes, splits, or neither."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tans.errors import TaskError
from tans.tasks.layout import (
    LAYOUTS,
    Folder,
    as_splits,
    split_word,
    understand,
    understand_named,
)
from tans.tasks.splits import TEST, TRAIN, VAL

WORDS = ["train", "test", "val", "Testing", "eval", "dev", "a", "b", "cat", "pred", "seg_train"]


def tree(*files, root="data"):
    """A folder of image files; a name that ends in / is an empty folder."""
    path = Path(root)
    inner = []
    for name in sorted({file.split("/")[0] for file in files if "/" in file}):
        below = [file[len(name) + 1 :] for file in files if file.startswith(f"{name}/")]
        inner.append(tree(*filter(None, below), root=path / name))
    return Folder(path, tuple(path / file for file in files if "/" not in file), tuple(inner))


def named(places, *classes, count=1):
    """Files of each class in each of the places."""
    return [f"{p}/{c}/{i}.png" for p in places for c in classes for i in range(count)]


def meaning(layout):
    return {
        (each.folder.path.relative_to("data").as_posix(), each.label, each.split)
        for each in layout.classes
    }


def classes(layout):
    return {each.label for each in layout.classes}


def splits(layout):
    return {each.split for each in layout.classes}


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train", "test"),
        ("Training", "Testing"),
        ("seg_train", "seg_test"),
        ("training_set", "test_set"),
        ("TRAIN", "TEST"),
        ("trainSet", "testSet"),
        ("asl_alphabet_train", "asl_alphabet_test"),
        ("dataset-train", "dataset-holdout"),
        ("train", "evaluation"),
        ("01_train", "02_test"),
    ],
)
def test_folders_named_like_splits_that_hold_the_same_classes_are_splits(train, test):
    layout = understand(tree(*named([train, test], "cat", "dog")))
    assert meaning(layout) == {
        (f"{train}/cat", "cat", TRAIN),
        (f"{train}/dog", "dog", TRAIN),
        (f"{test}/cat", "cat", TEST),
        (f"{test}/dog", "dog", TEST),
    }
    assert train in layout.words
    assert layout.left_out == {}
    assert layout.remarks == ("validation images are taken from train",)


@pytest.mark.parametrize("val", ["val", "valid", "validation", "Val", "dev", "eval", "evaluation"])
def test_a_folder_for_validation_is_one_beside_train_and_test(val):
    layout = understand(tree(*named(["train", val, "test"], "cat", "dog")))
    assert {each.split for each in layout.classes if each.folder.path.parent.name == val} == {VAL}
    assert layout.remarks == ()


@pytest.mark.parametrize(
    "others",
    [
        ("train", "bus", "car"),
        ("test", "blood", "urine"),
        ("dev", "ops"),
        ("evaluation", "teaching", "research"),
        ("valid", "invalid"),
        ("drop test", "crash test"),
        ("steam train", "diesel train"),
        ("train", "test", "bus"),
    ],
)
def test_classes_with_names_like_splits_are_classes_beside_others(others):
    layout = understand(tree(*(f"{name}/a.png" for name in others)))
    assert meaning(layout) == {(name, name, None) for name in others}
    assert layout.words == "one folder for each class"
    assert layout.remarks == ()


def test_two_folders_of_images_named_like_splits_are_asked_about():
    with pytest.raises(TaskError, match="are these classes or splits.*--layout classes"):
        understand(tree("train/a.png", "test/a.png"))
    layout = understand(tree("train/a.png", "test/a.png"), "classes")
    assert classes(layout) == {"train", "test"}


def test_splits_that_hold_different_classes_are_asked_about():
    files = named(["train"], "cat", "dog") + named(["test"], "red", "blue", "green")
    with pytest.raises(TaskError, match="train, named like splits, which hold different folders"):
        understand(tree(*files))
    assert splits(understand(tree(*files), "splits")) == {TRAIN, TEST}
    assert splits(understand(tree(*files), "classes")) == {None}


def test_splits_beside_classes_are_asked_about():
    with pytest.raises(TaskError, match=r"beside them, folders of images: dog.*--layout splits"):
        understand(tree("train/cat/a.png", "dog/b.png"))


def test_a_test_folder_that_lacks_a_class_is_a_split():
    layout = understand(tree(*named(["train"], "a", "b", "c", "d"), *named(["test"], "b")))
    assert splits(layout) == {TRAIN, TEST}


@pytest.mark.parametrize("test", ["test", "seg_pred", "unlabeled"])
def test_unlabelled_images_beside_train_are_left_out_and_counted(test):
    layout = understand(tree(*named(["train"], "a", "b"), f"{test}/1.png", f"{test}/2.png"))
    assert classes(layout) == {"a", "b"}
    assert splits(layout) == {TRAIN}
    (paths,) = layout.left_out.values()
    assert [path.name for path in paths] == ["1.png", "2.png"]
    assert "unlabelled" in next(iter(layout.left_out))
    assert layout.remarks == ("validation and test images are taken from train",)


@pytest.mark.parametrize("test", ["alphabet_test/alphabet_test", "test/images", "val/data"])
def test_unlabelled_images_in_a_folder_of_their_own_are_left_out_too(test):
    layout = understand(tree(*named(["train"], "a", "b", "c"), f"{test}/1.png", f"{test}/2.png"))
    assert classes(layout) == {"a", "b", "c"}
    assert splits(layout) == {TRAIN}
    assert [path.name for paths in layout.left_out.values() for path in paths] == ["1.png", "2.png"]


@pytest.mark.parametrize("again", ["flowers", "Rose and all"])
def test_the_classes_once_more_in_a_folder_beside_them_are_asked_about(again):
    files = [*named(["."], "daisy", "rose"), *named([again], "Daisy", "rose")]
    files = [file.removeprefix("./") for file in files]
    with pytest.raises(TaskError, match=rf"{again}, and in it folders named like those beside it"):
        understand(tree(*files))
    assert classes(understand(tree(*files), "classes")) == {"daisy", "rose", again}


def test_classes_inside_of_splits_inside_of_folders_are_asked_about():
    files = named(["day/train", "day/test", "night/train", "night/test"], "cat", "dog")
    with pytest.raises(TaskError, match=r"day, night with splits inside.*\(cat, dog\): which are"):
        understand(tree(*files))
    assert classes(understand(tree(*files), "classes")) == {"day", "night"}


def test_loose_images_are_left_out_once():
    files = [*named(["train", "test"], "a", "b"), "1.png", "train/2.png", "test/3.png"]
    layout = understand(tree(*files))
    names = [path.name for paths in layout.left_out.values() for path in paths]
    assert sorted(names) == ["1.png", "2.png", "3.png"]
    layout = understand(tree("a/1.png", "b/2.png", "3.png"))
    assert [path.name for paths in layout.left_out.values() for path in paths] == ["3.png"]


@pytest.mark.parametrize("empty", ["val/", "val/a/", "validation/"])
def test_an_empty_split_is_none_and_that_is_said(empty):
    layout = understand(tree(*named(["train", "test"], "a", "b"), empty))
    assert splits(layout) == {TRAIN, TEST}
    assert layout.remarks == (
        f"{empty.split('/')[0]} is empty, so it is no split",
        "validation images are taken from train",
    )
    assert layout.empty == ()


def test_an_empty_split_beside_classes_is_no_class():
    layout = understand(tree("a/1.png", "b/2.png", "val/"))
    assert classes(layout) == {"a", "b"}
    assert layout.remarks == ("val is empty, so it is no class and no split",)


def test_empty_class_folders_are_named():
    assert understand(tree("a/1.png", "b/2.png", "c/")).empty == ("c",)
    files = named(["train"], "a", "b")
    assert understand(tree(*files, "train/c/", "test/a/1.png", "test/b/")).empty == ("c",)


def test_folders_of_the_same_folders_are_asked_about_in_one_sentence():
    files = named(["cat", "dog"], "day", "night")
    with pytest.raises(TaskError) as raised:
        understand(tree(*files))
    said = str(raised.value)
    assert "cat/{day, night}" in said
    assert "--layout classes" in said
    assert "--split train=DIR" in said
    assert "\n" not in said
    assert classes(understand(tree(*files), "classes")) == {"cat", "dog"}


def test_classes_may_hold_folders_of_other_names():
    files = ["cat/2019/a.png", "cat/2020/b.png", "dog/barn/c.png", "dog/more/deep/d.png"]
    assert classes(understand(tree(*files))) == {"cat", "dog"}
    assert classes(understand(tree("cat/a.png", "cat/more/b.png", "dog/c.png"))) == {"cat", "dog"}


def test_splits_inside_of_classes_are_splits():
    layout = understand(tree(*named(["cat", "dog"], "train", "test")))
    assert meaning(layout) == {
        ("cat/train", "cat", TRAIN),
        ("cat/test", "cat", TEST),
        ("dog/train", "dog", TRAIN),
        ("dog/test", "dog", TEST),
    }
    assert layout.remarks == ("validation images are taken from train",)


@pytest.mark.parametrize("other", ["bird/1.png", "bird/young/1.png", "cat/1.png"])
def test_splits_inside_of_some_classes_are_asked_about(other):
    files = [*named(["cat", "dog"], "train", "test"), other]
    with pytest.raises(TaskError, match=rf"{other.split('/')[0]}\); expected.*--layout classes"):
        understand(tree(*files))
    assert splits(understand(tree(*files), "classes")) == {None}


@pytest.mark.parametrize("wrapper", ["data", "archive/images", "dataset", "pets-main"])
def test_a_folder_that_only_holds_the_others_is_seen_through(wrapper):
    files = [f"{wrapper}/{file}" for file in named(["train", "test"], "a", "b")]
    layout = understand(tree(*files, "readme/"))
    assert splits(layout) == {TRAIN, TEST}
    assert classes(understand(tree(f"{wrapper}/a/1.png", f"{wrapper}/b/1.png"))) == {"a", "b"}


def test_folders_inside_of_folders_of_the_same_name_are_seen_through():
    files = named(["seg_train/seg_train", "seg_test/seg_test"], "sea", "street", "forest")
    layout = understand(tree(*files, "seg_pred/seg_pred/1.png"))
    assert classes(layout) == {"sea", "street", "forest"}
    assert splits(layout) == {TRAIN, TEST}
    assert sum(map(len, layout.left_out.values())) == 1


def test_a_lone_train_folder_holds_the_classes():
    layout = understand(tree(*named(["train"], "a", "b")))
    assert classes(layout) == {"a", "b"}
    assert layout.remarks == ("validation and test images are taken from train",)


@pytest.mark.parametrize(("file", "images"), [("a.png", 1), ("a/", 0), ("a/b/", 0)])
def test_a_folder_without_a_class_folder_is_refused(file, images):
    for layout in (None, *LAYOUTS):
        with pytest.raises(TaskError, match=f"holds no class folder and {images} images"):
            understand(tree(file), layout)


def test_the_user_says_what_the_folders_on_top_are():
    files = named(["train", "test"], "cat", "dog")
    assert classes(understand(tree(*files), "classes")) == {"train", "test"}
    files = [*named(["train", "test"], "cat", "dog"), "extra/1.png"]
    layout = understand(tree(*files), "splits")
    assert classes(layout) == {"cat", "dog"}
    assert sum(map(len, layout.left_out.values())) == 1
    with pytest.raises(TaskError, match="no folder in data is named like a split"):
        understand(tree("a/1.png", "b/1.png"), "splits")
    with pytest.raises(TaskError, match="layout is 'class'; expected one of classes, splits"):
        understand(tree("a/1.png", "b/1.png"), "class")


def test_the_user_names_the_folders_of_the_splits():
    files = named(["summer", "winter", "old"], "cat", "dog")
    layout = understand_named(tree(*files), {"train": "summer", "test": "winter/"})
    assert splits(layout) == {TRAIN, TEST}
    assert classes(layout) == {"cat", "dog"}
    assert sum(map(len, layout.left_out.values())) == 2
    layout = understand_named(
        tree(*named(["x/summer", "x/winter"], "a", "b")), {"train": "x/summer"}
    )
    assert splits(layout) == {TRAIN}


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ({"training": "a"}, "split 'training' was given; expected train, val, test"),
        ({"train": "missing"}, "train is 'missing', and there are no images in"),
        ({"train": "empty"}, "no images in data/empty"),
        ({"train": "flat"}, "no class folder in flat"),
        ({"train": "a", "test": "a"}, "lie in one another"),
        ({"train": ".", "test": "a"}, "lie in one another"),
        ({"train": "../other"}, "expected a folder of class folders below"),
    ],
)
def test_folders_that_cannot_be_the_splits_are_refused(split, message):
    files = [*named(["a", "b"], "cat", "dog"), "flat/1.png", "empty/"]
    with pytest.raises(TaskError, match=message):
        understand_named(tree(*files), split)


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("train", TRAIN),
        ("Training Set", TRAIN),
        ("my-valid_data", VAL),
        ("TESTING", TEST),
        ("evaluation", "evaluation"),
        ("trainer", None),
        ("restaurant", None),
        ("latest", None),
        ("contest", None),
        ("train_test", None),
        ("", None),
        ("測試", None),
    ],
)
def test_a_name_says_of_a_split_what_its_words_say(name, word):
    assert split_word(name) == word


def test_four_names_for_three_splits_are_refused():
    with pytest.raises(TaskError, match="expected three splits at most"):
        as_splits(["train", "val", "test", "evaluation"])


@settings(max_examples=300, deadline=None)
@given(
    files=st.lists(
        st.builds(
            lambda parts, end: "/".join([*parts, end]),
            st.lists(st.sampled_from(WORDS), max_size=3),
            st.sampled_from(["x.png", "y.png", "a/"]),
        ),
        max_size=9,
    ),
    layout=st.sampled_from([None, *LAYOUTS]),
)
def test_any_folders_are_understood_or_asked_about(files, layout):
    root = tree(*sorted(set(files)))
    try:
        understood = understand(root, layout)
    except TaskError as error:
        assert "expected" in str(error) or "--layout" in str(error)  # noqa: PT017
        return
    used = [path for each in understood.classes for path in each.folder.below]
    loose = [path for paths in understood.left_out.values() for path in paths]
    assert understood.classes
    assert all(each.label for each in understood.classes)
    # each image is in one class, or is left out, once
    assert sorted([*used, *loose]) == sorted(root.below)
