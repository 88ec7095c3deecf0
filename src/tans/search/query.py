"""A query: what a search needs to know of a task, and no image of it.

It can be sent where the images cannot go. Its embedding sums up the features of up to 240 images,
so no image is in it; but it tells what kind of images they are, and whoever holds an image can
guess whether ones like it were among them.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from tans.errors import InputError, TansError
from tans.files import Manifest, read_file, write_file
from tans.meta.retriever import Retriever
from tans.networks.features import image_features
from tans.networks.network import Network
from tans.tasks.check import counts
from tans.tasks.task import Task
from tans.types import Digest
from tans.zoo.zoo import QUERY_IMAGES, Zoo

SUFFIXES = (".json", ".safetensors")
"""Of files that hold a query."""
MOST_BYTES = 2**24
"""Of such a file."""
MOST_CLASSES = 100_000
TOLERANCE = 1e-3
"""By which the length of an embedding may differ from 1."""

Count = Annotated[int, Field(strict=True, ge=0, le=10**9)]
Number = Annotated[float, Field(strict=True, ge=-1 - TOLERANCE, le=1 + TOLERANCE)]


class Query(Manifest):
    """A task as a search sees it; get one from ``tans.embed``."""

    ERROR: ClassVar[type[TansError]] = InputError
    REMEDY: ClassVar[str] = "make it again with 'tans embed'"

    retriever: Digest
    """Of what embedded it: the zoo's base and its query encoder, as ``digest_of`` gives it."""
    embedding: Annotated[tuple[Number, ...], Field(min_length=1, max_length=2**14)]
    """(d,), of unit length, as float32 holds it."""
    classes: Annotated[
        tuple[tuple[Count, Count, Count], ...], Field(min_length=2, max_length=MOST_CLASSES)
    ]
    """Of each class, without its name: images to train, to validate and to test."""
    groups: Count
    """That the training images are of."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        length = math.hypot(*self.embedding)
        if abs(length - 1) > TOLERANCE:
            raise ValueError(f"its embedding has length {length:g}; expected 1")
        train = self.split_sizes[0]
        if not 0 < self.groups <= train:
            raise ValueError(f"{self.groups} groups of {train} training images")
        return self

    @property
    def split_sizes(self) -> tuple[int, ...]:
        """Images of each split."""
        return tuple(map(sum, zip(*self.classes, strict=True)))

    @property
    def vector(self) -> Tensor:
        """The embedding, float32 (d,)."""
        return torch.tensor(self.embedding, dtype=torch.float32)

    def save(self, path: str | Path) -> None:
        """Write it to a file, as JSON or, by its name, safetensors.

        Raises:
            InputError: the name ends otherwise, or the file cannot be written.
        """
        path = Path(path).expanduser()
        check_name(path)
        data = self.to_bytes() if path.suffix == ".json" else self._tensors()
        try:
            write_file(path, data)
        except OSError as error:
            raise InputError(f"cannot write {path}: {error}; give another place") from error

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what ``save`` wrote.

        Raises:
            InputError: there is no such file, or it holds no query, or a damaged one.
        """
        path = Path(path).expanduser()
        try:
            data = read_file(path, MOST_BYTES)
        except OSError as error:
            raise InputError(f"cannot read {path}: {error}; {cls.REMEDY}") from error
        return cls.parse(_as_json(data, path) if path.suffix == ".safetensors" else data, path)

    def _tensors(self) -> bytes:
        fields = {"schema": self.SCHEMA, **self.model_dump(exclude={"embedding"})}
        return save({"embedding": self.vector}, {"query": json.dumps(fields)})


def check_name(path: Path) -> None:
    """See that a query can be written to a file of that name.

    Raises:
        InputError: its ending says nothing of how.
    """
    if path.suffix not in SUFFIXES:
        raise InputError(f"{path} ends in {path.suffix!r}; expected {' or '.join(SUFFIXES)}")


def embed(task: Task, zoo: Zoo) -> Query:
    """What a search of a zoo needs to know of a task: up to 240 images in one forward pass.

    Raises:
        ZooError: the zoo holds no retrieval model, or what is read of it is damaged.
    """
    return embed_by(Retriever.load(zoo.retrieval), zoo.query_network(), task, zoo)


def embed_by(retriever: Retriever, network: Network, task: Task, zoo: Zoo) -> Query:
    """As ``embed``, with a zoo's retriever and its base, where they were read before."""
    images, labels = task.sample(QUERY_IMAGES, zoo.resolution)
    vector = retriever.encode_query(image_features(network, images), labels)  # (d,)
    return Query(
        retriever=digest_of(zoo, retriever),
        embedding=_shortest(vector),
        classes=tuple((a, b, c) for a, b, c in counts(task).tolist()),
        groups=task.groups_learnt(),
    )


def digest_of(zoo: Zoo, retriever: Retriever) -> str:
    """SHA-256 of all that an embedding of images depends on: base, its input, query encoders."""
    digest = hashlib.sha256(f"{zoo.base} {zoo.base_ref.input}".encode())
    for member in retriever.members:
        for name, tensor in sorted(member.query.state_dict().items()):
            digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def check_fits(query: Query, zoo: Zoo, retriever: Retriever) -> None:
    """Refuse a query that another retriever embedded.

    Raises:
        InputError: it did.
    """
    expected = digest_of(zoo, retriever)
    if query.retriever != expected or len(query.embedding) != retriever.width:
        raise InputError(
            f"the query was embedded by retriever {query.retriever[:8]}, the zoo in {zoo.place} "
            f"has {expected[:8]}; make it again with 'tans embed --zoo' and that zoo, or give the "
            "zoo that it was made with"
        )


def is_query(path: str | Path) -> bool:
    """Whether a file holds a query, sound or damaged, rather than a dataset."""
    path = Path(path).expanduser()
    if path.suffix == ".safetensors":
        return path.is_file()
    try:
        fields = json.loads(read_file(path, MOST_BYTES)) if path.suffix == ".json" else None
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(fields, dict) and "embedding" in fields


def _shortest(vector: Sequence[float] | Tensor) -> tuple[float, ...]:
    """Numbers of float32 with no more digits than tell them from their neighbours."""
    return tuple(float(str(value)) for value in np.asarray(vector, dtype=np.float32))


def _as_json(data: bytes, path: Path) -> bytes:
    """The JSON of a query that lies in a file of safetensors.

    Raises:
        InputError: it holds none.
    """
    try:
        vector = load(data)["embedding"]
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        fields = json.loads(header["__metadata__"]["query"])
        return json.dumps({**fields, "embedding": _shortest(vector)}).encode()
    except (SafetensorError, LookupError, ValueError, TypeError, RecursionError) as error:
        raise Query.damaged(path, error) from error
