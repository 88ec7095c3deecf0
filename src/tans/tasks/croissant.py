"""Datasets that a Croissant file describes (MLCommons, versions 1.0 and 1.1).

Reference: Akhtar et al., Croissant: A Metadata Format for ML-Ready Datasets, DEEM 2024.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from tans.errors import InputError, TaskError
from tans.licences import UNSTATED, normalised
from tans.plugins import library
from tans.tasks.content import Content, Readable
from tans.tasks.datasets import as_png
from tans.tasks.findings import some
from tans.tasks.folder import Found, Record, legible
from tans.tasks.layout import as_splits
from tans.tasks.listing import COLUMNS

IMAGE = "ImageObject"
"""Ends the type of a field of images."""


def read_croissant(place: str, record_set: str | None = None) -> Found:
    """The images of a set of records that has one field of images, and one of classes.

    A field of splits is used where there is one. Files that it names are fetched by its library,
    into that library's own cache, and checked by their hashes.

    Args:
        place: of the file, a path or an address.
        record_set: name of the set; the only one with images when None.

    Raises:
        TaskError: it cannot be read, or has no such set or fields.
        MissingExtraError: the library is not installed.
    """
    mlcroissant = library("mlcroissant", "croissant")
    logging.getLogger("absl").setLevel(logging.ERROR)  # it warns of what is merely recommended
    try:
        dataset = mlcroissant.Dataset(jsonld=place)
        chosen = _record_set(dataset.metadata.record_sets, record_set, place)
        fields = {what: _field(chosen, what) for what in ("image", "label", "split")}
        if fields["label"] is None:
            names = some([field.id for field in chosen.fields])
            raise TaskError(
                f"{place} has fields {names} in {chosen.id!r}, none of which tells a class; "
                f"expected one named {', '.join(COLUMNS['label'][:3])} or the like"
            )
        rows = list(dataset.records(chosen.id))
        records = list(_records(rows, fields, chosen.id))
    except TaskError:
        raise
    except Exception as error:  # of many kinds: what it cannot parse, fetch or join
        said = " ".join(str(error).split())[:500]
        raise TaskError(f"{place} cannot be read as Croissant: {said}; correct it") from error
    words = f"a Croissant set of {len(records)} records"
    return Found(tuple(records), words, licence=_licence(dataset.metadata.license or ()))


def is_croissant(path: Path) -> bool:
    """Whether a file is named as Croissant files are."""
    return path.suffix.lower() in (".json", ".jsonld") and path.is_file()


def _record_set(sets: Sequence[Any], name: str | None, place: str) -> Any:
    fitting = [s for s in sets if _field(s, "image") is not None and name in (None, s.id, s.name)]
    if len(fitting) != 1:
        raise TaskError(
            f"{place} has sets of records {some([s.id for s in sets]) or 'none'}, of which "
            f"{some([s.id for s in fitting]) or 'none'} may be meant; expected one with a field of "
            "images; name it"
        )
    return fitting[0]


def _field(record_set: Any, what: str) -> Any | None:
    """The field that holds images, classes or splits; None where there is none."""
    if what == "image":
        kinds = {f.id: [str(kind) for kind in f.data_types] for f in record_set.fields}
        found = [f for f in record_set.fields if any(k.endswith(IMAGE) for k in kinds[f.id])]
    else:
        found = [f for f in record_set.fields if f.id.rpartition("/")[2].lower() in COLUMNS[what]]
    return found[0] if len(found) == 1 else None


def _records(rows: Sequence[Any], fields: dict[str, Any], name: str) -> Iterator[Record]:
    image, label, split = (fields[what] for what in ("image", "label", "split"))
    told = {_text(row[split.id]) for row in rows} if split is not None else set()
    known = as_splits(told)
    for number, row in enumerate(rows):
        key = f"{name}/{number}"
        part = known.get(_text(row[split.id])) if split is not None else None
        yield Record(key, _readable(row[image.id], key), legible(_text(row[label.id])), part)


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _readable(value: Any, key: str) -> Readable:
    """What an image of a record is read from: its file, or what the record holds."""
    if isinstance(value, Image.Image):
        file = Path(str(getattr(value, "filename", "") or ""))
        if file.is_file():
            value.close()
            return file
        data = as_png(value)
    elif isinstance(value, bytes):
        data = value
    else:
        raise TaskError(f"{key} holds a {type(value).__name__}; expected an image")
    return Content(key, hashlib.sha256(data).hexdigest(), lambda: data)


def _licence(stated: Sequence[str]) -> str:
    """One that is stated, where it is an expression of SPDX or its page there."""
    for text in stated:
        name = str(text).rpartition("/")[2].removesuffix(".html").removesuffix(".json")
        try:
            return normalised(name)
        except InputError:
            continue
    return UNSTATED
