"""From the files that a dataset lists to all that a task holds, and what is odd about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tans.tasks.copies import ROWS, keep_together
from tans.tasks.findings import NAMED, Findings, Overrides, counted, some
from tans.tasks.folder import Found, Record
from tans.tasks.images import FilePixels, Opened, check_readable, open_files
from tans.tasks.labels import check_spelling
from tans.tasks.reading import ANY, BYTE
from tans.tasks.splits import (
    TRAIN,
    assign_splits,
    check_classes,
    check_labels,
    join_groups,
    refuse_crossing,
)
from tans.types import Images

COPIES = "copies of images in a split that is held out"
FLAT = 1.0
"""Levels of 255 within which all pixels of a picture of one colour lie."""


@dataclass(frozen=True, eq=False)
class Members:
    """The images of a task and what is known of each."""

    classes: tuple[str, ...]
    pixels: FilePixels
    labels: Tensor
    """(n,)."""
    splits: Tensor
    """(n,)."""
    groups: tuple[str, ...] | None
    found: Findings
    keys: tuple[str, ...]


def read_records(found: Found, name: str, overrides: Overrides, seed: int) -> Members:
    """Decode all files of a dataset once, look for what is odd, and split.

    Raises:
        TaskError: the images cannot make a task, or the labels are not clear.
    """
    records = sorted(found.records, key=lambda record: (record.key, str(record.path)))
    classes = sorted({record.label for record in records})
    check_spelling(name, classes, overrides.labels_as_is)
    check_classes(name, classes)
    opened = open_files(
        [r.path for r in records], overrides.ranges, overrides.max_pixels, overrides.reading
    )
    failures = {records[index].key: error for index, error in opened.failures.items()}
    check_readable(name, failures, len(records))
    kept = [record for index, record in enumerate(records) if index not in opened.failures]
    copies, alike = keep_together(opened.pixels.thumbnails, [record.label for record in kept])
    rows, torn = _one_side(kept, copies)
    left_out = _joined(
        found.left_out,
        _by_kind(failures),
        {COPIES: tuple(kept[row].key for row in range(len(kept)) if row not in rows)},
    )
    used = sorted(rows)
    remarks = [
        *found.remarks,
        *_told_ranges(opened, overrides),
        *_told_pages(records, opened),
        *_told_flat(kept, opened.pixels.thumbnails),
        *_told_labels(kept, copies),
        *alike,
        *torn,
    ]
    kept, copies = [kept[row] for row in used], _among(copies, used)
    labels = _labels(name, classes, kept)
    groups = _groups(kept, _within(copies, kept))
    given = torch.tensor([record.split or TRAIN for record in kept], dtype=torch.uint8)  # (n,)
    if kept[0].group is not None:
        refuse_crossing([str(record.group) for record in kept], given)
    findings = Findings(
        found.layout,
        left_out,
        opened.pixels.reading,
        tuple(tuple(kept[row].key for row in each) for each in copies),
        tuple(remarks),
    )
    return Members(
        tuple(classes),
        opened.pixels.take(torch.tensor(used)),
        labels,
        assign_splits(labels, [record.key for record in kept], groups, given, seed),
        groups,
        findings,
        tuple(record.key for record in kept),
    )


def _labels(name: str, classes: Sequence[str], records: Sequence[Record]) -> Tensor:
    index_of = {label: index for index, label in enumerate(classes)}
    labels = torch.tensor([index_of[record.label] for record in records], dtype=torch.int64)
    check_labels(name, labels, classes)
    return labels


def _among(copies: Sequence[NDArray[np.int64]], used: Sequence[int]) -> list[NDArray[np.int64]]:
    """Sets of copies by their place among the rows that are used."""
    place = {row: index for index, row in enumerate(used)}
    kept = ([place[row] for row in rows.tolist() if row in place] for rows in copies)
    return [np.array(rows) for rows in kept if len(rows) > 1]


def _one_side(
    records: Sequence[Record], copies: Sequence[NDArray[np.int64]]
) -> tuple[set[int], list[str]]:
    """Rows to use, so that given splits share no copy; and what to say where that cannot be.

    A copy of a test image leaves training and validation, and one of a validation image training.
    """
    out: set[int] = set()
    for rows in copies:
        splits = [records[row].split or TRAIN for row in rows]
        out |= {int(row) for row, split in zip(rows, splits, strict=True) if split < max(splits)}
    rest = set(range(len(records))) - out
    trained = {records[row].label for row in rest if (records[row].split or TRAIN) == TRAIN}
    needed = {record.label for record in records if (record.split or TRAIN) == TRAIN} - trained
    if not needed:
        return rest, []
    stay = {row for row in out if records[row].label in needed}
    told = (
        f"{len(stay)} images of train or validation are copies of held-out ones, and stay, as "
        f"{some(sorted(needed))} would have no training image without them: accuracies are too high"
    )
    return rest | stay, [told]


def _within(
    copies: Sequence[NDArray[np.int64]], records: Sequence[Record]
) -> list[NDArray[np.int64]]:
    """The sets of copies that lie in one of the given splits, or the parts of them that do."""
    parts: dict[tuple[int, int], list[int]] = {}
    for number, rows in enumerate(copies):
        for row in rows.tolist():
            parts.setdefault((number, records[row].split or TRAIN), []).append(row)
    return [np.array(rows) for rows in parts.values() if len(rows) > 1]


def _groups(
    records: Sequence[Record], copies: Sequence[NDArray[np.int64]]
) -> tuple[str, ...] | None:
    """What an image must not be parted from: the user's groups, and copies, joined."""
    if records[0].group is None and not copies:
        return None
    names = [record.group if record.group is not None else record.key for record in records]
    return join_groups(names, copies)


def _joined(*parts: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Reasons with the files of all parts, without those that have none."""
    joined: dict[str, tuple[str, ...]] = {}
    for part in parts:
        for why, keys in part.items():
            joined[why] = joined.get(why, ()) + keys
    return {why: keys for why, keys in joined.items() if keys}


def _by_kind(failures: Mapping[str, Exception]) -> dict[str, tuple[str, ...]]:
    kinds: dict[str, list[str]] = {}
    for key, error in failures.items():
        kinds.setdefault(getattr(error, "kind", str(error)), []).append(key)
    return {kind: tuple(keys) for kind, keys in kinds.items()}


def _told_ranges(opened: Opened, overrides: Overrides) -> list[str]:
    """Ranges that no picture needed, and sample types side by side."""
    samples = sorted({each.sample for each in opened.evidence})
    deep = [sample for sample in samples if sample != BYTE]
    unused = [s for s in overrides.ranges if s not in samples and not (s == ANY and deep)]
    told = [
        "a range was given and no picture has samples "
        f"{'of more than 8 bits' if sample == ANY else 'of type ' + sample}"
        for sample in unused
    ]
    if len(samples) > 1:
        counts = {s: sum(each.sample == s for each in opened.evidence) for s in samples}
        listed = ", ".join(f"{count} of {sample}" for sample, count in counts.items())
        told.append(f"sample types are mixed: {listed}; each type has a range of its own")
    return told


def _told_pages(records: Sequence[Record], opened: Opened) -> list[str]:
    if not opened.pages:
        return []
    names = some([records[index].key for index in opened.pages])
    files = counted(len(opened.pages), "file")
    return [f"{files} with several pictures, of which the first is used ({names})"]


def _told_flat(records: Sequence[Record], images: Images) -> list[str]:
    """Pictures that show nothing, of images (n, 3, r, r)."""
    spreads = [torch.empty(0)]
    for part in images.split(ROWS):
        flat = part.flatten(2)
        spreads.append((flat.amax(2).int() - flat.amin(2).int()).amax(1))  # (rows,)
    rows = (torch.cat(spreads) <= FLAT).nonzero().flatten().tolist()
    if not rows:
        return []
    names = some([records[row].key for row in rows])
    return [f"{counted(len(rows), 'picture')} of one colour throughout ({names})"]


def _told_labels(records: Sequence[Record], copies: Sequence[NDArray[np.int64]]) -> list[str]:
    """The same picture under two labels."""
    torn = []
    for rows in copies:
        first = {records[row].label: records[row].key for row in rows[::-1]}
        if len(first) > 1:
            torn.append(" and ".join(f"{key} as {label}" for label, key in sorted(first.items())))
    if not torn:
        return []
    more = "; ..." if len(torn) > NAMED else ""
    return [
        f"{counted(len(torn), 'picture')} under different labels: {'; '.join(torn[:NAMED])}{more}; "
        "correct the labels, or remove them"
    ]
