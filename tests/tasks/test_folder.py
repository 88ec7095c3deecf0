import os

import pytest
from PIL import Image

from tans.errors import TaskError
from tans.tasks.folder import find_images, read_table
from tans.tasks.splits import TEST, TRAIN, VAL


def put(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def table(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return read_table(path, path.parent)


def test_class_folders_give_labels_at_any_depth(tmp_path):
    put(tmp_path, "cat/a.png", "cat/more/deep/b.JPG", "big dog/c.webp")
    found = {(record.key, record.label, record.split) for record in find_images(tmp_path)}
    assert found == {
        ("cat/a.png", "cat", None),
        ("cat/more/deep/b.JPG", "cat", None),
        ("big dog/c.webp", "big dog", None),
    }


def test_other_and_hidden_files_are_left_out(tmp_path):
    put(tmp_path, "cat/a.png", "cat/Thumbs.db", "cat/._a.png", "cat/notes.txt", "cat/.git/b.png")
    put(tmp_path, ".hidden/c.png", "__MACOSX/cat/d.png", "loose.png", "dog/e.png")
    assert sorted(record.key for record in find_images(tmp_path)) == ["cat/a.png", "dog/e.png"]


@pytest.mark.parametrize("val", ["val", "valid", "validation", "Val"])
def test_split_folders_are_never_classes(tmp_path, val):
    put(tmp_path, "train/cat/a.png", f"{val}/cat/b.png", "TEST/cat/c.png", "docs/readme.txt")
    found = {record.key: (record.label, record.split) for record in find_images(tmp_path)}
    assert found == {
        "train/cat/a.png": ("cat", TRAIN),
        f"{val}/cat/b.png": ("cat", VAL),
        "TEST/cat/c.png": ("cat", TEST),
    }


def test_a_class_may_be_empty_in_one_split(tmp_path):
    put(tmp_path, "train/cat/a.png", "train/dog/b.png", "test/cat/c.png")
    (tmp_path / "test/dog").mkdir()
    assert len(find_images(tmp_path)) == 3


def test_splits_mixed_with_classes_are_refused(tmp_path):
    put(tmp_path, "train/cat/a.png", "dog/b.png")
    with pytest.raises(TaskError, match=r"beside them, folders of images: dog"):
        find_images(tmp_path)


def test_unicode_names_are_one_class_however_they_are_composed(tmp_path):
    put(tmp_path, "train/caf\u00e9/a.png", "test/cafe\u0301/b.png", "train/\u732b/c.png")
    assert {record.label for record in find_images(tmp_path)} == {"caf\u00e9", "\u732b"}


def test_undecodable_names_become_text_that_can_be_printed(tmp_path):
    folder = os.fsencode(tmp_path) + b"/cl\xff"
    try:
        os.mkdir(folder)  # noqa: PTH102
    except OSError:
        pytest.skip("this file system takes only Unicode names")
    put(tmp_path, os.fsdecode(b"cl\xff/a.png"))
    (record,) = find_images(tmp_path)
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
    found = sorted(record.key for record in find_images(root))
    assert found == ["cat/a.png", "cat/sub/b.png", "dog/c.png"]


def test_linked_class_folders_and_files_are_followed(tmp_path):
    put(tmp_path, "elsewhere/a.png", "data/dog/b.png")
    (tmp_path / "data/cat").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data/dog/c.png").symlink_to(tmp_path / "elsewhere/a.png")
    found = {record.key: record.label for record in find_images(tmp_path / "data")}
    assert found == {"cat/a.png": "cat", "dog/b.png": "dog", "dog/c.png": "dog"}


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


def test_a_table_gives_paths_labels_groups_and_splits(tmp_path):
    records = table(
        tmp_path / "t.csv",
        "path,label,group,split\nx/a b.png,cat,g1,train\nb.png,dog,,test\nc.png,dog,g2,valid\n",
    )
    assert [(r.key, r.label, r.group, r.split) for r in records] == [
        ("x/a b.png", "cat", "g1", TRAIN),
        ("b.png", "dog", "b.png", TEST),
        ("c.png", "dog", "g2", VAL),
    ]
    assert records[0].path == tmp_path / "x/a b.png"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("path;label\na,1.png;cat\n", "utf-8"),
        ("Path\tLabel\r\na,1.png\tcat\r\n", "utf-8-sig"),
        ('label, path\n\ncat, "a,1.png"\n', "utf-8"),
    ],
)
def test_tables_of_common_programs_are_read(tmp_path, text, encoding):
    (record,) = table(tmp_path / "t.csv", text, encoding)
    assert (record.key, record.label, record.group) == ("a,1.png", "cat", None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has the columns none; expected path, label"),
        ("file,label\na.png,cat\n", "has the columns file, label; expected path, label"),
        ("path,label,label\na.png,cat,cat\n", "each once"),
        ("path,label\n", "has no rows"),
        ("path,label\na.png\n", "line 2 has no path or no label"),
        ("path,label\na.png, \n", "line 2 has no path or no label"),
        ("path,label\na,1.png,cat\n", "line 2 has 3 cells; expected 2"),
        ("path,label\na.png,cat\na.png,dog\n", "lists 'a.png' more than once"),
        ("path,label,split\na.png,cat,holdout\n", "split 'holdout'; expected train, val or test"),
        ("path,label,split\na.png,cat,train\nb.png,cat,\n", "gives a split to 1 of 2 images"),
    ],
)
def test_tables_that_cannot_be_used_are_refused(tmp_path, text, message):
    with pytest.raises(TaskError, match=message):
        table(tmp_path / "t.csv", text)


def test_a_table_in_another_encoding_is_refused(tmp_path):
    with pytest.raises(TaskError, match="is not in UTF-8"):
        table(tmp_path / "t.csv", "path,label\ncaf\u00e9.png,cat\n", "latin-1")


def test_a_missing_table_is_refused(tmp_path):
    with pytest.raises(TaskError, match="there is nothing at"):
        read_table(tmp_path / "t.csv", tmp_path)


def test_an_image_given_as_a_folder_is_refused(tmp_path):
    Image.new("L", (4, 4)).save(tmp_path / "a.png")
    with pytest.raises(TaskError, match="is a single image"):
        find_images(tmp_path / "a.png")
