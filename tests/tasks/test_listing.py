"""The images that a table lists."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tans.errors import TaskError
from tans.tasks.findings import Overrides
from tans.tasks.listing import COLUMNS, read_table
from tans.tasks.splits import TEST, TRAIN, VAL
from tests.tasks.drawing import put


def table(path, text, encoding="utf-8", **overrides):
    path.write_bytes(text.encode(encoding))
    return read_table(path, path.parent, Overrides(**overrides))


def pairs(found):
    return [(record.key, record.label) for record in found.records]


def test_a_table_gives_paths_labels_groups_and_splits(tmp_path):
    found = table(
        tmp_path / "t.csv",
        "path,label,group,split\nx/a b.png,cat,g1,train\nb.png,dog,,test\nc.png,dog,g2,valid\n",
    )
    assert [(r.key, r.label, r.group, r.split) for r in found.records] == [
        ("x/a b.png", "cat", "g1", TRAIN),
        ("b.png", "dog", "b.png", TEST),
        ("c.png", "dog", "g2", VAL),
    ]
    assert found.records[0].path == tmp_path / "x/a b.png"
    assert found.layout == "a table of 3 images"
    assert found.remarks == ()


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("path;label\na,1.png;cat\n", "utf-8"),
        ("Path\tLabel\r\na,1.png\tcat\r\n", "utf-8-sig"),
        ('label, path\n\ncat, "a,1.png"\n', "utf-8"),
        ("sep=;\npath;label\na,1.png;cat\n", "utf-16"),
        (',path,label\n0,"a,1.png",cat\n', "utf-8"),
        ("path;label;;\na,1.png;cat;;\n", "latin-1"),
        ("path;label\na,1.png;cat;;;\n", "utf-8"),
    ],
)
def test_tables_of_common_programs_are_read(tmp_path, text, encoding):
    (record,) = table(tmp_path / "t.csv", text, encoding).records
    assert (record.key, record.label, record.group) == ("a,1.png", "cat", None)


@pytest.mark.parametrize("path", COLUMNS["path"])
@pytest.mark.parametrize("label", COLUMNS["label"])
def test_columns_may_have_other_usual_names(tmp_path, path, label):
    found = table(tmp_path / "t.csv", f"{label},{path.upper()}\ncat,a.png\n")
    assert pairs(found) == [("a.png", "cat")]
    assert found.remarks == ()


@pytest.mark.parametrize("split", COLUMNS["split"])
@pytest.mark.parametrize(
    ("word", "index"),
    [("train", TRAIN), ("Training", TRAIN), ("VAL", VAL), ("dev", VAL), ("holdout", TEST)],
)
def test_words_for_splits_are_understood(tmp_path, split, word, index):
    found = table(tmp_path / "t.csv", f"path,label,{split}\na.png,cat,{word}\nb.png,cat,test\n")
    assert [record.split for record in found.records] == [index, TEST]


@pytest.mark.parametrize(("yes", "no"), [("True", "False"), ("1", "0"), ("1.0", ""), ("yes", "no")])
def test_is_valid_tells_validation_from_training(tmp_path, yes, no):
    text = f"name,path,label,is_valid\nx,a.png,cat,{yes}\ny,b.png,cat,{no}\n"
    found = table(tmp_path / "t.csv", text)
    assert [record.split for record in found.records] == [VAL, TRAIN]
    with pytest.raises(TaskError, match="line 2 has is_valid 'maybe'; expected True or False"):
        table(tmp_path / "t.csv", "path,label,is_valid\na.png,cat,maybe\n")


def test_the_proper_name_comes_before_others(tmp_path):
    found = table(tmp_path / "t.csv", "image,path,label,target\n7,a.png,cat,3\n")
    assert pairs(found) == [("a.png", "cat")]
    assert "columns image, target mean nothing" in found.remarks[0]


def test_columns_that_mean_nothing_are_named(tmp_path):
    found = table(tmp_path / "t.csv", "path,label,groups,width\na.png,cat,g,3\n")
    assert found.remarks == (
        "the columns groups, width mean nothing to tans and are not used "
        "(did you mean group instead of groups?)",
    )
    found = table(tmp_path / "t.csv", "path,label,width\na.png,cat,3\n")
    assert found.remarks == ("the column width means nothing to tans and is not used",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has the columns none; expected path"),
        (
            "pth,label\na.png,cat\n",
            "has the columns pth, label; .*did you mean path instead of pth",
        ),
        ("image,filename,label\na.png,a.png,cat\n", "image, filename, which all may tell the path"),
        ("path,label,label\na.png,cat,cat\n", "each once"),
        ("path,label\n", "has no rows"),
        ("path,label\na.png\n", "no label in line 2"),
        ("path,label\na.png, \n", "no label in line 2"),
        ("path,label\n ,cat\n", "line 2 has no path"),
        ("path,label\na.png,nan\nb.png,cat\nc.png,NaN\n", r"line 2 \(nan\), line 4 \(NaN\)"),
        ("path,label\na,1.png,cat\n", "line 2 has 3 cells; expected 2"),
        ("path,label\na.png,cat\na.png,dog\n", "lists 'a.png' with label 'cat' and with .*'dog'"),
        ("path,label\na.png,cat\n./a.png,dog\n", "lists 'a.png' with label 'cat' and with .*'dog'"),
        ("path,label,split\na.png,cat,train\na.png,cat,test\n", "split 'train' and .*'test'"),
        ("path,label,group\na.png,cat,g\na.png,cat,h\n", "with group 'g' and with group 'h'"),
        ("path,label,split\na.png,cat,holdback\n", "split 'holdback'; expected train, val, test"),
        ("path,label,split\na.png,cat,train\nb.png,cat,\n", "gives a split to 1 of 2 images"),
        (
            "path,label,split\na.png,c,val\nb.png,c,test\nc.png,c,eval\n",
            "expected three splits at most",
        ),
    ],
)
def test_tables_that_cannot_be_used_are_refused(tmp_path, text, message):
    with pytest.raises(TaskError, match=message):
        table(tmp_path / "t.csv", text)


def test_labels_may_be_taken_as_they_are(tmp_path):
    found = table(tmp_path / "t.csv", "path,label\na.png,None\nb.png,NA\n", labels_as_is=True)
    assert pairs(found) == [("a.png", "None"), ("b.png", "NA")]


def test_labels_and_paths_keep_their_accents_in_any_encoding(tmp_path):
    text = "path,label\ncaf\u00e9.png,Stra\u00dfe\n"
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-be", "latin-1"):
        assert pairs(table(tmp_path / "t.csv", text, encoding)) == [
            ("caf\u00e9.png", "Stra\u00dfe")
        ]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("written", ["NFC", "NFD"])
def test_a_path_finds_its_file_however_its_accents_are_stored(tmp_path, form, written):
    put(tmp_path, unicodedata.normalize(form, "caf\u00e9/\u00e9t\u00e9.png"))
    name = unicodedata.normalize(written, "caf\u00e9/\u00e9t\u00e9.png")
    (record,) = table(tmp_path / "t.csv", f"path,label\n{name},cat\n").records
    assert record.path.is_file()


def test_paths_as_windows_writes_them_are_understood(tmp_path):
    found = table(tmp_path / "t.csv", "path,label\nimg\\a\\1.png,cat\nimg/a/2.png,dog\n")
    assert [record.key for record in found.records] == ["img/a/1.png", "img/a/2.png"]
    assert found.records[0].path == tmp_path / "img/a/1.png"


def test_a_backslash_in_a_name_that_is_there_is_kept(tmp_path):
    (tmp_path / "a\\1.png").touch()
    (record,) = table(tmp_path / "t.csv", "path,label\na\\1.png,cat\n").records
    assert record.path.is_file()


@pytest.mark.parametrize("again", ["a.png", "./a.png", "x/../a.png", ".\\a.png", "a.png "])
def test_one_image_in_two_rows_counts_once_and_that_is_said(tmp_path, again):
    put(tmp_path, "a.png")
    found = table(tmp_path / "t.csv", f'path,label\na.png,cat\nb.png,dog\n"{again}",cat\n')
    assert pairs(found) == [("a.png", "cat"), ("b.png", "dog")]
    assert len(found.remarks) == 1
    assert found.remarks[0].startswith("1 row")


def test_names_that_no_disk_can_hold_are_kept_for_the_reader_to_refuse(tmp_path):
    long = "x" * 300
    assert pairs(table(tmp_path / "t.csv", f"path,label\n{long}.png,cat\n")) == [
        (f"{long}.png", "cat")
    ]


def test_a_missing_table_is_refused(tmp_path):
    with pytest.raises(TaskError, match="there is nothing at"):
        read_table(tmp_path / "t.csv", tmp_path)


def test_what_is_said_of_folders_is_refused_for_a_table(tmp_path):
    for said in ({"layout": "classes"}, {"split": {"train": "a"}}):
        with pytest.raises(TaskError, match="is a table; they are for folders; use a column split"):
            table(tmp_path / "t.csv", "path,label\na.png,cat\n", **said)


WORDS = st.sampled_from(
    ["path", "label", "split", "group", "is_valid", "a.png", "b", "train", "nan"]
)


@settings(max_examples=150, deadline=None)
@given(
    text=st.text(max_size=50)
    | st.lists(st.lists(WORDS | st.text(max_size=4), max_size=4).map(",".join), max_size=6).map(
        "\n".join
    )
    | st.lists(st.lists(WORDS, min_size=2, max_size=3).map(",".join), max_size=6).map(
        lambda lines: "\n".join(["path,label,split", *lines])
    ),
    as_is=st.booleans(),
)
def test_any_table_is_read_or_refused(text, as_is, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(text.encode("utf-8", "ignore"))
    try:
        found = read_table(path, path.parent, Overrides(labels_as_is=as_is))
    except TaskError:
        return
    keys = [record.key for record in found.records]
    assert keys
    assert len(keys) == len(set(keys))
    assert all(record.label for record in found.records)


@pytest.mark.parametrize("name", ["name", "image_id", "id"])
def test_a_poor_name_of_a_column_serves_where_there_is_no_better(tmp_path, name):
    assert pairs(table(tmp_path / "t.csv", f"{name},label\na.png,x\n")) == [("a.png", "x")]
    found = table(tmp_path / "t.csv", f"{name},image,label\n7,a.png,x\n")
    assert pairs(found) == [("a.png", "x")]
    assert name in found.remarks[0]
