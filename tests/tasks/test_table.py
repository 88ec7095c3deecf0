"""Rows of tables as spreadsheets and other programs write them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tans.errors import TaskError
from tans.tasks.table import read_rows

PLAIN = [["path", "label"], ["caf\u00e9.png", "cat"], ["b.png", "dog"]]


def rows(path, content):
    path.write_bytes(content)
    return list(read_rows(path, TaskError))


def cells(path, content):
    return [cells for _, cells in rows(path, content)]


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252"],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_tables_in_any_usual_encoding_are_read(tmp_path, encoding, end):
    text = end.join([*(",".join(row) for row in PLAIN), ""])
    assert cells(tmp_path / "t.csv", text.encode(encoding)) == PLAIN


def test_big_endian_with_its_mark_is_read(tmp_path):
    text = "\ufeffpath,label\ncaf\u00e9.png,cat\nb.png,dog\n"
    assert cells(tmp_path / "t.csv", text.encode("utf-16-be")) == PLAIN


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("said", ["", "sep={}\n", "SEP={}\r\n", '"sep={}"\n'])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_any_usual_delimiter_is_found_or_said(tmp_path, delimiter, said, encoding):
    text = said.format(delimiter) + "\n".join(delimiter.join(row) for row in PLAIN)
    assert cells(tmp_path / "t.csv", text.encode(encoding)) == PLAIN


def test_quotes_spaces_and_blank_lines_are_understood(tmp_path):
    content = b'Label, PATH \n\n"big, dog", "a ""1"".png"\n , \ncat,b.png\n'
    assert rows(tmp_path / "t.csv", content) == [
        (1, ["label", "path"]),
        (3, ["big, dog", 'a "1".png']),
        (5, ["cat", "b.png"]),
    ]


def test_lines_are_counted_as_an_editor_does(tmp_path):
    content = b'sep=;\npath;label\na.png;"two\nlines"\nb.png;dog\n'
    assert [line for line, _ in rows(tmp_path / "t.csv", content)] == [2, 4, 5]


def test_an_empty_table_has_no_names(tmp_path):
    assert rows(tmp_path / "t.csv", b"") == [(1, [])]


@pytest.mark.parametrize("content", [b"PK\3\4\0\0\0\0\0\xff", b"\xff\xfe\0", b"a,b\n\0\0\0\n"])
def test_what_is_no_text_is_refused(tmp_path, content):
    with pytest.raises(TaskError, match="is not text; expected a table"):
        rows(tmp_path / "t.csv", content)


def test_a_table_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(TaskError, match="cannot be read"):
        list(read_rows(tmp_path, TaskError))


def test_a_cell_without_end_is_refused(tmp_path):
    with pytest.raises(TaskError, match="line 3 is not CSV"):
        rows(tmp_path / "t.csv", b'path,label\na.png,cat\n"' + b"x" * 140_000)


@settings(max_examples=150, deadline=None)
@given(
    content=st.binary(max_size=60)
    | st.text(max_size=60).map(lambda text: text.encode("utf-8", "ignore"))
    | st.builds(
        lambda said, text, code: f"sep={said}\n{text}".encode(code, "ignore"),
        st.text(max_size=2),
        st.text(alphabet='ab,;\t|"\r\n\\ \u00e9', max_size=60),
        st.sampled_from(["utf-8", "utf-16", "latin-1"]),
    )
)
def test_any_content_is_rows_or_refused(content, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    try:
        found = rows(path, content)
    except TaskError as error:
        assert str(path) in str(error)  # noqa: PT017
        return
    assert [line for line, _ in found] == sorted(line for line, _ in found)
    assert all(any(cell.strip() for cell in cells) for _, cells in found[1:])


@settings(max_examples=50, deadline=None)
@given(
    table=st.lists(
        st.lists(st.text("ab \u00e9\"';,\n", min_size=1, max_size=5), min_size=3, max_size=3),
        max_size=5,
    ),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_what_python_writes_is_read_again(table, encoding, tmp_path_factory):
    import csv
    import io

    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([["path", "label", "group"], *table])
    path = tmp_path_factory.getbasetemp() / "written.csv"
    found = cells(path, text.getvalue().encode(encoding))
    assert found[1:] == [row for row in table if any(cell.strip() for cell in row)]
