"""Read the rows of a CSV file as spreadsheets and other programs write it."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

from tans.errors import InputError
from tans.files import read_file

BOMS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
FALLBACK = "cp1252"
"""What programs of western Windows write, and all but a few letters of Latin-1."""


def read_rows(path: Path, failure: type[InputError]) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of each row that is not blank, column names in lower case first.

    Args:
        failure: kind of error to raise.

    Raises:
        InputError: as ``failure``; the file cannot be read, or is not CSV.
    """
    try:
        text = _decoded(read_file(path))
    except OSError as error:
        raise failure(
            f"{path} cannot be read ({error.strerror}); expected a CSV file that can be read"
        ) from error
    if text is None:
        raise failure(f"{path} is not text; expected a table; save it as CSV UTF-8")
    # A first line such as "sep=;" is for Excel alone.
    said = re.match(r'"?sep=([^\w\s"]|\t)"?\r?\n', text, re.IGNORECASE)
    body = text[said.end() :] if said else text
    # Spreadsheets of many countries write CSV with semicolons.
    delimiter = said[1] if said else max(",;\t|", key=body.partition("\n")[0].count)
    lines = csv.reader(io.StringIO(body, newline=""), delimiter=delimiter, skipinitialspace=True)
    before = 1 if said else 0
    try:
        yield before + 1, [name.strip().lower() for name in next(lines, [])]
        for cells in lines:
            if any(cell.strip() for cell in cells):
                yield before + lines.line_num, cells
    except csv.Error as error:
        raise failure(
            f"{path}, line {before + lines.line_num} is not CSV ({error}); save the table as CSV "
            "again"
        ) from error


def _decoded(content: bytes) -> str | None:
    """The text of a file in UTF-8, UTF-16, or an alphabet of western Europe; None for no text."""
    encoding = next((name for bom, name in BOMS.items() if content.startswith(bom)), None)
    if encoding is None and b"\0" in content[:400]:  # UTF-16 without its mark
        encoding = "utf-16-le" if content[1::2][:200].count(0) else "utf-16-be"
    for name in [encoding] if encoding else ["utf-8", FALLBACK, "latin-1"]:
        try:
            text = content.decode(name)
        except UnicodeDecodeError:
            continue
        return None if "\0" in text else text
    return None
