"""The images that a table lists: which column is which, and what each row says of its image."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from tans.errors import TaskError
from tans.tasks.findings import Overrides, counted, some
from tans.tasks.folder import Found, Record, legible, refuse_file
from tans.tasks.labels import check_written
from tans.tasks.layout import as_splits
from tans.tasks.splits import SPLITS, TRAIN, VAL
from tans.tasks.table import read_rows

COLUMNS = {
    "path": (
        *("path", "filename", "file", "file_name", "filepath", "file_path", "image", "img"),
        *("image_path", "img_path", "image_name", "image_file", "images", "fname"),
    ),
    "label": ("label", "labels", "class", "class_name", "classname", "category", "target"),
    "group": ("group", "group_id"),
    "split": ("split", "subset", "partition"),
    "is_valid": ("is_valid", "is_val"),
}
"""Names that a column may have, in lower case, by what it tells; the first is the proper one."""
LONGEST_PATH, LONGEST_LABEL = 4096, 255
"""Letters, at most: no disk holds longer ones as names of files and of folders."""
LAST_RESORT = ("name", "image_id", "id")
"""Names of a column of paths, where there is no better one."""
COLUMNS_NAMED = 20
"""Columns that a message names before it only counts."""
YES = {"true": True, "1": True, "1.0": True, "yes": True}
NO = {"false": False, "0": False, "0.0": False, "no": False, "": False}


@dataclass(frozen=True)
class _Row:
    place: str
    """Such as ``line 3``."""
    cells: Mapping[str, str]
    """By what they tell, one of ``COLUMNS``."""

    def get(self, column: str) -> str:
        return self.cells.get(column, "").strip()


def read_table(path: Path, root: Path, overrides: Overrides | None = None) -> Found:
    """The images of a CSV file with a column of paths, one of labels and, if wanted, group and
    split (``COLUMNS``).

    An image without a group is a group of its own. A row that is there twice counts once.

    Raises:
        TaskError: the table is missing, or has a row that cannot be used.
    """
    overrides = overrides or Overrides()
    if overrides.layout or overrides.split:
        raise TaskError(
            f"--layout or --split was given and {path} is a table; they are for folders; "
            "use a column split"
        )
    rows, unknown = _read(path)
    if not rows:
        raise TaskError(f"{path} has no rows; expected one for each image, with path and label")
    for row in rows:
        _check_length(path, row, "label", LONGEST_LABEL)
    labels = [(row.place, legible(row.get("label"))) for row in rows]
    check_written(str(path), labels, overrides.labels_as_is)
    splits = _splits(path, rows)
    keys = [_key(path, row, root) for row in rows]
    records = [
        Record(key, root / key, label, splits[row.place], _group(row, key))
        for row, key, (_, label) in zip(rows, keys, labels, strict=True)
    ]
    found = _once(path, records)
    again = len(records) - len(found)
    remarks = [_told_unknown(unknown)] if unknown else []
    if again:
        remarks.append(f"{counted(again, 'row')} repeated, which count once")
    return Found(found, f"a table of {len(found)} images", {}, tuple(remarks))


def _read(path: Path) -> tuple[list[_Row], list[str]]:
    """Rows, and the columns that mean nothing."""
    if not path.exists():
        raise refuse_file(path)
    lines = read_rows(path, TaskError)
    _, names = next(lines)
    meaning = _meaning(path, names)
    rows = []
    for line, cells in lines:
        if any(cell.strip() for cell in cells[len(names) :]):
            raise TaskError(
                f"{path}, line {line} has {len(cells)} cells; expected {len(names)}; quote a "
                "cell that holds the delimiter"
            )
        filled = [*cells, *[""] * len(names)]
        named = dict(zip(names, filled, strict=False))
        rows.append(_Row(f"line {line}", {what: named[name] for what, name in meaning.items()}))
    return rows, [name for name in names if name and name not in meaning.values()]


def _meaning(path: Path, names: Sequence[str]) -> dict[str, str]:
    """The column that tells each thing, among those of a table."""
    meaning: dict[str, str] = {}
    for what, known in COLUMNS.items():
        found = [name for name in names if name in known]
        if what in found and found.count(what) == 1:
            found = [what]
        if len(found) > 1:
            raise TaskError(
                f"{path} has the columns {some(found)}, which all may tell the {what}; "
                f"expected each once; name the right one {what}"
            )
        if found:
            meaning[what] = found[0]
    poor = [name for name in LAST_RESORT if name in names]
    if "path" not in meaning and poor:
        meaning["path"] = poor[0]
    if not {"path", "label"} <= meaning.keys():
        raise TaskError(
            f"{path} has the columns {some(names, COLUMNS_NAMED) or 'none'}; expected path (or "
            f"{', '.join(COLUMNS['path'][1:3])}, ...), label (or "
            f"{', '.join(COLUMNS['label'][2:3])}, target, ...) and, if wanted, group and split, "
            f"each once, named in the first line{_meant(names)}"
        )
    return meaning


def _told_unknown(names: Sequence[str]) -> str:
    if len(names) == 1:
        told = f"the column {names[0]} means nothing to tans and is not used"
    else:
        told = f"the columns {some(names, COLUMNS_NAMED)} mean nothing to tans and are not used"
    return told + _meant(names)


def _meant(names: Sequence[str]) -> str:
    """Proper names that columns come near to."""
    names = names[:COLUMNS_NAMED]
    known = {name for all_names in COLUMNS.values() for name in all_names}
    guesses = {n: get_close_matches(n, list(COLUMNS), 1) for n in names if n not in known}
    meant = [f"{near[0]} instead of {name}" for name, near in guesses.items() if near]
    return f" (did you mean {', '.join(meant)}?)" if meant else ""


def _key(path: Path, row: _Row, root: Path) -> str:
    """An image's path as the splits and messages go by it, in one way of writing."""
    key = row.cells["path"]
    if not key.strip():
        raise TaskError(f"{path}, {row.place} has no path; expected one; fill in or remove the row")
    _check_length(path, row, "path", LONGEST_PATH)
    slashes = key.replace("\\", "/")  # instead of what Windows writes
    ways = [key, slashes, slashes.strip()]
    # a disk may hold an accent apart from its letter, where the table has one character
    ways += [unicodedata.normalize(form, slashes.strip()) for form in ("NFC", "NFD")]
    # as text, as a table may have a million rows
    found = next((w for w in dict.fromkeys(ways) if os.path.exists(f"{root}/{w}")), slashes)  # noqa: PTH110
    return Path(os.path.normpath(found)).as_posix()


def _check_length(path: Path, row: _Row, column: str, most: int) -> None:
    """Refuse a cell that is longer than what it tells can be.

    Raises:
        TaskError: it is.
    """
    if len(row.cells[column]) > most:
        raise TaskError(
            f"{path}, {row.place} has a {column} of {len(row.cells[column]):,} letters; expected "
            f"at most {most:,}; shorten it, or look for a quote that is not closed"
        )


def _group(row: _Row, key: str) -> str | None:
    return (row.get("group") or key) if "group" in row.cells else None


def _splits(path: Path, rows: Sequence[_Row]) -> dict[str, int | None]:
    """Index into ``SPLITS`` of each row, by its place."""
    if "split" not in rows[0].cells:
        if "is_valid" not in rows[0].cells:
            return dict.fromkeys((row.place for row in rows), None)
        return {row.place: VAL if _is_valid(path, row) else TRAIN for row in rows}
    known = as_splits({row.get("split") for row in rows})
    for row in rows:
        if row.get("split") and row.get("split") not in known:
            raise TaskError(
                f"{path}, {row.place} has split {row.get('split')!r}; expected {', '.join(SPLITS)}"
            )
    given = sum(bool(row.get("split")) for row in rows)
    if 0 < given < len(rows):
        raise TaskError(
            f"{path} gives a split to {given} of {len(rows)} images; "
            "expected one for all or for none; fill in or remove the column"
        )
    return {row.place: known.get(row.get("split")) for row in rows}


def _is_valid(path: Path, row: _Row) -> bool:
    said = row.get("is_valid").lower()
    if said not in YES | NO:
        raise TaskError(f"{path}, {row.place} has is_valid {said!r}; expected True or False")
    return (YES | NO)[said]


def _once(path: Path, records: Sequence[Record]) -> tuple[Record, ...]:
    """Each image once.

    Raises:
        TaskError: rows say different things of one image.
    """
    first: dict[str, Record] = {}
    for record in records:
        known = first.setdefault(record.key, record)
        for what in ("label", "split", "group"):
            one, other = getattr(known, what), getattr(record, what)
            if one != other:
                shown = [SPLITS[v] if what == "split" else v for v in (one, other)]
                raise TaskError(
                    f"{path} lists {record.key!r} with {what} {shown[0]!r} and with {what} "
                    f"{shown[1]!r}; expected one; correct or remove a row"
                )
    return tuple(first.values())
