"""Read the rows of a CSV file as spreadsheets write it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from tans.errors import InputError


def read_rows(path: Path, failure: type[InputError]) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of each row that is not blank, column names in lower case first.

    Args:
        failure: kind of error to raise.

    Raises:
        InputError: as ``failure``; the file cannot be read, or is not CSV in UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise failure(f"{path} is not in UTF-8 ({error}); save it as CSV UTF-8") from error
    except OSError as error:
        raise failure(
            f"{path} cannot be read ({error.strerror}); expected a CSV file that can be read"
        ) from error
    # Spreadsheets of many countries write CSV with semicolons.
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    try:
        yield 1, [name.strip().lower() for name in next(lines, [])]
        for cells in lines:
            if any(cell.strip() for cell in cells):
                yield lines.line_num, cells
    except csv.Error as error:
        raise failure(
            f"{path}, line {lines.line_num} is not CSV ({error}); save the table as CSV again"
        ) from error
