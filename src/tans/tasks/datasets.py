"""Datasets of other libraries, whose images are read one by one, when asked for.

``datasets`` of Hugging Face and map-style datasets of torchvision, or of one's own.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence, Sized
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tans.errors import InputError, TaskError
from tans.licences import UNSTATED, joined, normalised
from tans.plugins import library
from tans.tasks.content import Content, Readable
from tans.tasks.findings import some
from tans.tasks.folder import Found, Record, legible
from tans.tasks.layout import as_splits
from tans.tasks.listing import COLUMNS


def read_huggingface(data: Any, image: str | None, label: str | None) -> Found:
    """The images of a dataset of Hugging Face's library, or of one for each split.

    Args:
        data: a ``Dataset``, a ``DatasetDict``, or a name that ``load_dataset`` takes.
        image: column of images; the only one when None.
        label: column of classes; the only one that holds some, or is named so, when None.

    Raises:
        TaskError: it cannot be loaded, or has no such columns.
        MissingExtraError: the library is not installed.
    """
    datasets = library("datasets", "huggingface")
    if isinstance(data, str | Path):
        data = _loaded(str(data))
    parts = data if isinstance(data, Mapping) else {"": data}
    records: list[Record] = []
    licences: list[str] = []
    for name, split in _as_known(parts).items():
        part = parts[name]
        if not isinstance(part, datasets.Dataset):
            raise TaskError(
                f"the dataset is a {type(part).__name__}; expected a Dataset or a DatasetDict of "
                "the library datasets, whose rows can be read in any order"
            )
        pictures, classes = _columns(part, image, label)
        plain = part.cast_column(pictures, datasets.Image(decode=False))
        labels = _names(part, classes)
        for row, told in enumerate(labels):
            key = f"{name or 'row'}/{row}"
            content = Content(key, (part._fingerprint, row), partial(_bytes, plain, row, pictures))
            records.append(Record(key, content, told, split))
        licences.append(_licence(part))
    words = f"a dataset of {len(records)} rows"
    return Found(tuple(records), words, licence=joined(licences))


def read_torchvision(data: Any, classes: Sequence[str] = ()) -> Found:
    """The images of a map-style dataset of pairs of image and class, or of one for each split.

    Args:
        data: a dataset such as torchvision's, without a transform that makes tensors of images; or
            datasets by the name of a split.
        classes: names of the classes; the dataset's own ``classes`` when there are none.

    Raises:
        TaskError: it gives something else.
    """
    parts = data if isinstance(data, Mapping) else {"": data}
    records: list[Record] = []
    for name, split in _as_known(parts).items():
        names = classes or [str(each) for each in getattr(parts[name], "classes", ())]
        for row, (readable, number) in enumerate(_pairs(parts[name], name)):
            if names and not 0 <= number < len(names):
                raise TaskError(
                    f"image {row} is of class {number}, and there are {len(names)} names; expected "
                    "one for each class"
                )
            label = legible(names[number]) if names else str(number)
            records.append(Record(f"{name or 'row'}/{row}", readable, label, split))
    return Found(tuple(records), f"a dataset of {len(records)} images")


def _as_known(parts: Mapping[str, Any]) -> dict[str, int | None]:
    """Index into ``SPLITS`` of each part, by its name.

    Raises:
        TaskError: a part is named otherwise.
    """
    if set(parts) == {""}:
        return {"": None}
    known = as_splits(set(parts))
    if strange := [name for name in parts if name not in known]:
        raise TaskError(
            f"the dataset has parts {some(strange)}; expected splits such as train, validation and "
            "test; give one part, or those that are splits"
        )
    return {name: known[name] for name in parts}


def _licence(part: Any) -> str:
    """As the dataset states it, where that is an expression of SPDX."""
    try:
        return normalised(part.info.license or "")
    except InputError:
        return UNSTATED


def _loaded(name: str) -> Any:
    import datasets

    try:
        return datasets.load_dataset(name)
    except Exception as error:  # of many kinds, of many libraries
        said = " ".join(str(error).split())
        raise TaskError(f"the dataset {name!r} cannot be loaded: {said}") from error


def _columns(part: Any, image: str | None, label: str | None) -> tuple[str, str]:
    """Names of the columns of images and of classes."""
    import datasets

    kinds = part.features
    pictures = [n for n in kinds if isinstance(kinds[n], datasets.Image)]
    classes = [n for n in kinds if isinstance(kinds[n], datasets.ClassLabel)]
    classes = classes or [n for n in kinds if n.lower() in COLUMNS["label"]]
    return _only(image, pictures, part, "images"), _only(label, classes, part, "classes")


def _only(given: str | None, found: Sequence[str], part: Any, what: str) -> str:
    if given is not None and given in part.column_names:
        return given
    if given is None and len(found) == 1:
        return found[0]
    raise TaskError(
        f"the dataset has columns {some(part.column_names)}, of which {some(found) or 'none'} may "
        f"hold {what}{'' if given is None else f', and none is named {given!r}'}; expected one; "
        "name it"
    )


def _names(part: Any, column: str) -> list[str]:
    """The class of each row."""
    kind = part.features[column]
    values = part[column]
    if hasattr(kind, "int2str"):
        return [legible(kind.int2str(value)) for value in values]
    return [legible(str(value)) for value in values]


def _bytes(plain: Any, row: int, column: str) -> bytes:
    """The file of an image in a row."""
    stored = plain[row][column]
    if stored["bytes"] is not None:
        return stored["bytes"]
    return Path(stored["path"]).read_bytes()


def _pairs(part: Any, name: str) -> Iterator[tuple[Readable, int]]:
    """What each image is read from, and the number of its class."""
    listed = getattr(part, "samples", None)
    if isinstance(listed, list) and all(isinstance(path, str) for path, _ in listed):
        yield from ((Path(path), int(number)) for path, number in listed)
        return
    if not isinstance(part, Sized) or not hasattr(part, "__getitem__"):
        raise TaskError(
            f"the dataset is a {type(part).__name__}; expected one of so many images, each to be "
            "had by its number"
        )
    targets = getattr(part, "targets", None)  # else each image is made to hear of its class
    numbers = targets if targets is not None else (part[row][1] for row in range(len(part)))
    if len(part):
        _encoded(part, 0)  # told before all are tried
    for row, number in enumerate(numbers):
        identity = (id(part), name, row)
        read = partial(_encoded, part, row)
        yield Content(f"{name or 'row'}/{row}", identity, read, lasting=False), int(number)


def _encoded(part: Any, row: int) -> bytes:
    """An image of a dataset as a file that loses nothing.

    Raises:
        TaskError: it is no image.
    """
    image, _ = part[row]
    if isinstance(image, np.ndarray) and image.dtype == np.uint8:
        image = Image.fromarray(image)
    if not isinstance(image, Image.Image):
        kind = getattr(image, "dtype", type(image).__name__)
        raise TaskError(
            f"image {row} is of {kind}; expected a PIL image or an array of uint8; give the "
            "dataset without a transform"
        )
    return as_png(image)


def as_png(image: Image.Image) -> bytes:
    """A file of an image that loses nothing of it."""
    stream = io.BytesIO()
    image.save(stream, "TIFF" if image.mode == "F" else "PNG", compress_level=1)
    return stream.getvalue()
