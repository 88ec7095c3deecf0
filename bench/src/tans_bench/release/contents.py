"""What the files of the release say, checked field by field.

    p_mod_zoo.pt       lists ``dataset``, ``acc``, ``topol``, ``f_emb`` and ``n_params``, an item of
                       each for a network
    p_m_train.pt       by dataset, ``x_query_train`` and ``x_query_test``; ``clss`` and ``nclss``
                       are read where they are there
    meta_test_NAME.pt  ``query`` and ``nclss``; the images beside them are not read

A query is a tensor for each image, or one for each class with the images of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tans.errors import InputError, visible
from tans.networks.families.elastic.specification import OFA_MBV3_WIDE
from tans.types import Architecture, Layer
from tans.zoo.zoo import IMAGENET
from tans_bench.saved import read_saved

NETWORKS, QUERIES = "p_mod_zoo.pt", ("p_m_train.pt", "meta_train.pt")
"""Files of the release; the queries have another name in its code."""
SPACE = OFA_MBV3_WIDE
"""That all networks of the release are of."""
QUERY_WIDTH = 512
"""Of the features of an image, ResNet-18's."""
TRAIN, TEST = "x_query_train", "x_query_test"
"""Two parts of the images of a dataset."""
MOST_IMAGES = 100_000
"""Of a dataset, beyond which a query is taken for damaged."""
MOST_CLASSES = 10_000
SLOTS, STAGES = len(SPACE.slots), len(SPACE.stages)


@dataclass(frozen=True, eq=False)
class ReleasedNetworks:
    """Networks that were trained on the datasets of the release, in its order."""

    datasets: tuple[str, ...]
    """Of each network (n)."""
    architectures: tuple[Architecture, ...]
    """Likewise (n), of the layers that exist alone."""
    accuracy: Tensor
    """float32 (n,), on the network's own dataset, in [0, 1]."""
    functional: Tensor
    """float32 (n, 1536), the functional embeddings."""
    params: Tensor
    """float64 (n,), as the release counts them."""
    notes: tuple[str, ...] = ()
    """What is to be told, a sentence each."""


@dataclass(frozen=True, eq=False)
class Query:
    """Features of images of one dataset."""

    features: Tensor
    """float32 (n, 512)."""
    labels: Tensor
    """int64 (n,), all 0 where the file does not tell classes apart."""
    classes: tuple[str, ...]
    """Names, or numbers where there are none."""


def read_networks(path: Path) -> ReleasedNetworks:
    """Networks of a file such as ``p_mod_zoo.pt``.

    Raises:
        InputError: it cannot be read, a field is missing or of another length, or a value is none
            that can be; the message names file, field and row.
    """
    fields = _fields(path)
    accuracy = _numbers(path, "acc", fields["acc"], most=100.0)
    topologies = _vectors(path, "topol", fields["topol"], 2 * SLOTS + STAGES)
    architectures = tuple(_architecture(path, *numbered) for numbered in enumerate(topologies))
    datasets = _datasets(path, fields["dataset"])
    _refuse_repeated(path, datasets, architectures)
    params = _numbers(path, "n_params", fields["n_params"], least=1.0)
    in_percent = bool((accuracy > 1).any())
    taken = (
        f"{path.name}: accuracies from {accuracy.min():g} to {accuracy.max():g} are taken as "
        f"{'per cent' if in_percent else 'shares of 1'}"
    )
    return ReleasedNetworks(
        datasets,
        architectures,
        accuracy=(accuracy / 100 if in_percent else accuracy).float(),
        functional=_vectors(path, "f_emb", fields["f_emb"], SPACE.features).float(),
        params=params,
        notes=(taken, *_other_sizes(path, architectures, params)),
    )


def read_queries(path: Path) -> dict[str, dict[str, Query]]:
    """By dataset, the queries ``TRAIN`` and ``TEST`` of a file such as ``p_m_train.pt``.

    Raises:
        InputError: as ``read_networks``.
    """
    found = {}
    for name, parts in _named(path, read_saved(path)).items():
        field = f"dataset {visible(str(name))!r}"
        (dataset,) = _datasets(path, [name])
        inside = _named(path, parts, field)
        found[dataset] = {
            part: _query(path, f"{field}, {part}", inside.get(part), inside)
            for part in (TRAIN, TEST)
        }
    if not found:
        raise InputError(f"{path}: no dataset; expected queries of each, by its name")
    return found


def read_meta_test(path: Path) -> Query:
    """The query of a file such as ``meta_test_NAME.pt``.

    Raises:
        InputError: as ``read_networks``.
    """
    content = _named(path, read_saved(path))
    return _query(path, "query", content.get("query"), content)


def is_meta_test(path: Path) -> bool:
    """Whether a file's name is that of a dataset of its own."""
    return path.name.startswith("meta_test_")


def _named(path: Path, found: Any, field: str | None = None) -> Mapping[Any, Any]:
    if not isinstance(found, Mapping):
        raise _odd(path, field or "the file", f"holds a {type(found).__name__}", "names and fields")
    return found


def _fields(path: Path) -> dict[str, Sequence[Any]]:
    """Lists of equal length, by name."""
    content = _named(path, read_saved(path))
    found = {
        name: _rows(path, name, content.get(name))
        for name in ("dataset", "acc", "topol", "f_emb", "n_params")
    }
    if len(set(map(len, found.values()))) > 1 or not found["dataset"]:
        told = ", ".join(f"{name} {len(rows)}" for name, rows in found.items())
        raise InputError(f"{path}: lists of {told} items; expected as many of each, at least one")
    return found


def _rows(path: Path, field: str, found: Any) -> Sequence[Any]:
    if isinstance(found, Tensor | np.ndarray) and found.ndim:
        return list(found)
    if not isinstance(found, list | tuple):
        held = "is missing" if found is None else f"is a {type(found).__name__}"
        raise _odd(path, field, held, "a list, an item for each network")
    return found


def _datasets(path: Path, names: Sequence[Any]) -> tuple[str, ...]:
    for row, name in enumerate(names):
        if not isinstance(name, str) or not name.strip() or name == IMAGENET:
            raise _odd(
                path,
                "dataset",
                f"is {visible(str(name)[:80])!r} in row {row}",
                f"a name, which is not {IMAGENET!r}",
            )
    return tuple(names)


def _numbers(
    path: Path, field: str, rows: Sequence[Any], least: float = 0.0, most: float = float("inf")
) -> Tensor:
    """Numbers (n,) of a field, float64."""
    values = _vectors(path, field, rows, 1).flatten()
    wrong = ((values < least) | (values > most)).nonzero().flatten().tolist()
    if wrong:
        raise _odd(
            path,
            field,
            f"is {values[wrong[0]]:g} in row {wrong[0]}",
            f"{least:g} to {most:g}" if most < float("inf") else f"{least:g} or more",
        )
    return values


def _vectors(path: Path, field: str, rows: Sequence[Any], width: int) -> Tensor:
    """So many finite numbers of each row, float64 (n, width)."""
    return torch.stack([_vector(path, field, row, item, width) for row, item in enumerate(rows)])


def _vector(path: Path, field: str, row: int, item: Any, width: int) -> Tensor:
    """So many finite numbers of one row, float64 (width,)."""
    try:
        found = _plain(item)
        if found.numel() != width:
            raise ValueError(f"is of shape {tuple(found.shape)}")
        values = found.reshape(width).double()
        if not values.isfinite().all():
            raise ValueError("holds NaN or infinity")
    except (ValueError, TypeError, RuntimeError, OverflowError) as error:
        told = str(error) if str(error).startswith(("is ", "holds ")) else "holds no numbers"
        raise _odd(path, field, f"{told} in row {row}", f"{width} finite numbers") from error
    return values


def _architecture(path: Path, row: int, numbers: Tensor) -> Architecture:
    """Of 20 kernel sizes, 20 expand ratios and 5 depths; what stands for no layer is not read."""
    whole = [int(number) for number in numbers.tolist()]
    kernels, expands, depths = whole[:SLOTS], whole[SLOTS : 2 * SLOTS], whole[2 * SLOTS :]
    layers: list[Layer | None] = [
        (kernels[k], expands[k]) if slot.place < depths[slot.stage] else None
        for k, slot in enumerate(SPACE.slots)
    ]
    found = SPACE.from_slots(layers)
    fits = all(depth in stage.depths for depth, stage in zip(depths, SPACE.stages, strict=True))
    try:
        if not fits or whole != numbers.tolist():
            raise InputError("other depths")
        SPACE.check(found)
    except InputError as error:
        stage = SPACE.stages[0]
        raise _odd(
            path,
            "topol",
            f"is no network of {SPACE.name} in row {row}",
            f"{SLOTS} kernel sizes of {stage.kernels}, {SLOTS} expand ratios of {stage.expands} "
            f"and {STAGES} depths of {stage.depths}",
        ) from error
    return found


def _refuse_repeated(
    path: Path, datasets: Sequence[str], architectures: Sequence[Architecture]
) -> None:
    first: dict[tuple[str, Architecture], int] = {}
    for row, pair in enumerate(zip(datasets, architectures, strict=True)):
        if pair in first:
            raise _odd(
                path,
                "topol",
                f"is the same network of dataset {visible(pair[0])!r} in rows {first[pair]} and "
                f"{row}",
                "different networks of each dataset, by the layers that exist",
            )
        first[pair] = row


def _other_sizes(
    path: Path, architectures: Sequence[Architecture], params: Tensor
) -> tuple[str, ...]:
    """What is told of numbers of parameters that no head makes out of the topologies' own."""
    body = torch.tensor([float(SPACE.costs(a, 0, 224).params) for a in architectures])
    heads = (params - body) / (SPACE.features + 1)  # (n,), classes
    odd = ((heads < 0) | (heads > MOST_CLASSES)).nonzero().flatten().tolist()
    if not odd:
        return ()
    row = odd[0]
    return (
        f"{path.name}: n_params of {len(odd)} networks is none that their topologies have with a "
        f"head, such as {params[row]:,.0f} in row {row}, whose body has {body[row]:,.0f}; what "
        "limits count is taken from the topologies",
    )


def _query(path: Path, field: str, found: Any, beside: Mapping[Any, Any]) -> Query:
    """Features of images, with the classes that the file tells apart, or beside them."""
    parts = _per_part(path, field, found)
    by_class = any(len(part) > 1 for part in parts)
    sizes = torch.tensor([len(part) for part in parts])
    features = torch.cat(parts).float()
    if not features.isfinite().all():
        raise _odd(path, field, "holds NaN or infinity", "finite numbers")
    labels = torch.arange(len(parts)).repeat_interleave(sizes)
    labels = labels if by_class else torch.zeros_like(labels)
    return Query(features, labels, _classes(path, len(parts) if by_class else 1, beside))


def _per_part(path: Path, field: str, found: Any) -> list[Tensor]:
    """Features (m, 512) of each image, or of each class."""
    if isinstance(found, Tensor | np.ndarray) and found.ndim >= 2:
        found = list(found)
    if not isinstance(found, list | tuple) or not found:
        empty = found is None or isinstance(found, list | tuple)
        held = "is missing or empty" if empty else f"is a {type(found).__name__}"
        raise _odd(path, field, held, "a list of tensors, for each image or each class")
    parts = []
    for row, item in enumerate(found):
        try:
            part = _plain(item)
        except (ValueError, TypeError, RuntimeError, OverflowError) as error:
            raise _odd(path, field, f"holds no numbers in row {row}", "tensors") from error
        if part.numel() == QUERY_WIDTH:
            part = part.reshape(1, QUERY_WIDTH)
        if part.dim() != 2 or part.shape[1] != QUERY_WIDTH or not 0 < len(part) <= MOST_IMAGES:
            raise _odd(
                path,
                field,
                f"is of shape {tuple(part.shape)} in row {row}",
                f"({QUERY_WIDTH},) of an image, or (images, {QUERY_WIDTH}) of a class",
            )
        parts.append(part)
    if sum(map(len, parts)) > MOST_IMAGES:
        raise _odd(path, field, "has too many images", f"{MOST_IMAGES:,} at most")
    return parts


def _classes(path: Path, least: int, beside: Mapping[Any, Any]) -> tuple[str, ...]:
    """Names of so many classes, or more where the file says so beside them."""
    names, count = beside.get("clss"), beside.get("nclss")
    if isinstance(names, list | tuple) and len(names) >= least:
        return tuple(map(str, names))
    if count is None:
        count = least
    said = int(_vector(path, "nclss", 0, count, 1))
    if not 1 <= said <= MOST_CLASSES:
        raise _odd(path, "nclss", f"is {said}", f"1 to {MOST_CLASSES}")
    return tuple(f"class {number}" for number in range(1, max(said, least) + 1))


def _plain(item: Any) -> Tensor:
    """An item as a tensor of real numbers that lie in memory.

    Raises:
        ValueError, TypeError, RuntimeError, OverflowError: it is none.
    """
    found = torch.as_tensor(item)
    dense = found.layout == torch.strided and found.device.type == "cpu"
    if not dense or found.is_quantized or found.is_complex():
        raise ValueError(f"holds {found.dtype}")
    return found.detach()


def _odd(path: Path, field: str, came: str, expected: str) -> InputError:
    return InputError(
        f"{path}, {field}: it {came}; expected {expected}; give the file as it was published"
    )
