"""Find the image files of a dataset, and what its layout says of each."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from tans.errors import TaskError
from tans.tasks.images import image_suffixes
from tans.tasks.splits import TEST, TRAIN, VAL
from tans.tasks.table import read_rows

SPLIT_NAMES = {"train": TRAIN, "val": VAL, "valid": VAL, "validation": VAL, "test": TEST}
"""Folder names on top, and values of a table's split column, in any case."""
ARCHIVES = frozenset({".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"})
IGNORED = frozenset({"__MACOSX", "__pycache__"})


@dataclass(frozen=True)
class Record:
    """One image file of a dataset."""

    key: str
    """Its path below the dataset, or as its table gives it: what splits and messages go by."""
    path: Path
    label: str
    split: int | None = None
    """Index into ``SPLITS``, or None where none is given."""
    group: str | None = None


def find_images(root: Path) -> list[Record]:
    """The images of a folder of class folders, nested folders included.

    Folders on top named ``train``, ``val`` (``valid``, ``validation``) or ``test`` are splits that
    hold class folders. Hidden files, and files whose suffix is of no image, are left out.

    Raises:
        TaskError: there is no such folder, no class folder, or a class folder without an image.
    """
    if not root.is_dir():
        raise refuse_file(root)
    splits = {folder: SPLIT_NAMES.get(folder.name.lower()) for folder in _subfolders(root)}
    if all(split is None for split in splits.values()):
        return _find_classes(root, {root: None})
    loose = [folder.name for folder, split in splits.items() if split is None and _walk(folder)]
    if loose:
        raise TaskError(
            f"{root} holds split folders and, beside them, folders of images: {', '.join(loose)}; "
            "expected either splits or classes on top; move the class folders into a split"
        )
    return _find_classes(root, {top: split for top, split in splits.items() if split is not None})


def read_table(path: Path, root: Path) -> list[Record]:
    """The images of a CSV file with the columns path, label and, if wanted, group and split.

    An image without a group is a group of its own.

    Raises:
        TaskError: the table is missing, not UTF-8, or has a row that cannot be used.
    """
    rows = list(_read_rows(path))
    if not rows:
        raise TaskError(f"{path} has no rows; expected one for each image, with path and label")
    records = [_to_record(f"{path}, line {line}", row, root) for line, row in rows]
    twice = [key for key, count in Counter(record.key for record in records).items() if count > 1]
    if twice:
        raise TaskError(
            f"{path} lists {twice[0]!r} more than once; expected one row for each image; "
            "remove the others"
        )
    unsplit = sum(record.split is None for record in records)
    if 0 < unsplit < len(records):
        raise TaskError(
            f"{path} gives a split to {len(records) - unsplit} of {len(records)} images; "
            "expected one for all or for none; fill in or remove the column"
        )
    return records


def refuse_file(path: Path) -> TaskError:
    """What to say of a path that is no dataset."""
    wanted = "expected a folder with one folder of images for each class, or a .csv file"
    if not path.exists():
        return TaskError(f"there is nothing at {path}; {wanted}; correct the path")
    if path.suffix.lower() in ARCHIVES:
        return TaskError(f"{path} is an archive; {wanted}; unpack it and give the folder")
    if path.suffix.lower() in image_suffixes():
        return TaskError(
            f"{path} is a single image; {wanted}; put labelled images into class folders, or "
            "use `tans predict` to classify one"
        )
    return TaskError(f"{path} is a file; {wanted}")


def _find_classes(root: Path, tops: Mapping[Path, int | None]) -> list[Record]:
    """Images of the class folders in each of ``tops``, which are ``root`` or its split folders."""
    records: list[Record] = []
    classes: set[str] = set()
    for top, split in tops.items():
        folders = _subfolders(top)
        if not folders:
            raise _no_classes(top)
        for folder in folders:
            label = _legible(folder.name)
            classes.add(label)
            for file in _walk(folder):
                key = _legible(file.relative_to(root).as_posix())
                records.append(Record(key, file, label, split))
    empty = sorted(classes - {record.label for record in records})
    if empty:
        raise TaskError(
            f"{root} has class folders without an image: {', '.join(empty)}; expected images "
            "such as .jpg or .png in each; add some, or remove the folders"
        )
    return records


def _no_classes(folder: Path) -> TaskError:
    images = sum(_is_image(entry.name) for entry in folder.iterdir())
    return TaskError(
        f"{folder} holds no class folder and {images} images; expected one folder of images for "
        "each class; sort the images into folders named after their classes, or move this away"
    )


def _subfolders(folder: Path) -> list[Path]:
    """Folders in it, sorted, without hidden ones and links back to it or above."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise _unlistable(error) from error
    above = {folder.resolve(), *folder.resolve().parents}
    return [
        entry
        for entry in entries
        if not _is_hidden(entry.name) and entry.is_dir() and entry.resolve() not in above
    ]


def _walk(folder: Path) -> list[Path]:
    """Image files at any depth, each folder once however many links lead to it."""

    def refuse(error: OSError) -> None:
        raise _unlistable(error) from error

    parent = folder.parent.resolve()
    seen = {folder.resolve(), parent, *parent.parents}
    images: list[Path] = []
    for current, names, files in os.walk(folder, followlinks=True, onerror=refuse):
        images += [Path(current, name) for name in files if _is_image(name)]
        for name in sorted(names):
            real = Path(current, name).resolve()
            if _is_hidden(name) or real in seen:
                names.remove(name)
            else:
                seen.add(real)
    return images


def _unlistable(error: OSError) -> TaskError:
    return TaskError(
        f"the folder {error.filename} cannot be listed ({error.strerror}); "
        "make it readable, or leave it out"
    )


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name in IGNORED


def _is_image(name: str) -> bool:
    return not _is_hidden(name) and Path(name).suffix.lower() in image_suffixes()


def _legible(name: str) -> str:
    """A file name as text that can be printed and compared: composed, undecodable bytes replaced.

    Some systems store an accent apart from its letter, others as one character.
    """
    return unicodedata.normalize("NFC", os.fsencode(name).decode("utf-8", "replace"))


def _read_rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and cells by column name, of each row that is not blank."""
    if not path.exists():
        raise refuse_file(path)
    rows = read_rows(path, TaskError)
    _, columns = next(rows)
    _check_columns(path, columns)
    for line, cells in rows:
        if len(cells) > len(columns):
            raise TaskError(
                f"{path}, line {line} has {len(cells)} cells; expected {len(columns)}; quote a "
                "cell that holds the delimiter"
            )
        yield line, dict(zip_longest(columns, cells, fillvalue=""))


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    if not {"path", "label"} <= set(columns) or len(set(columns)) < len(columns):
        raise TaskError(
            f"{path} has the columns {', '.join(columns) or 'none'}; expected path, label and, if "
            "wanted, group and split, each once, named in the first line"
        )


def _to_record(place: str, row: Mapping[str, str], root: Path) -> Record:
    cells = {name: cell.strip() for name, cell in row.items()}
    key, label = row.get("path", ""), _legible(cells.get("label", ""))
    if not key.strip() or not label:
        raise TaskError(
            f"{place} has no path or no label; expected both; fill in or remove the row"
        )
    split = cells.get("split", "").lower()
    if split and split not in SPLIT_NAMES:
        raise TaskError(f"{place} has split {split!r}; expected train, val or test")
    group = (cells.get("group") or key) if "group" in row else None
    return Record(key, root / key, label, SPLIT_NAMES.get(split), group)
