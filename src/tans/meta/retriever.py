"""A meta-trained retrieval model: the encoders, the predictor, and the networks it embedded."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import PositiveInt
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from tans.errors import InputError, ZooError
from tans.files import Manifest
from tans.meta.encoders import ModelEncoder, QueryEncoder
from tans.meta.predictor import Predictor
from tans.meta.presets import MetaSettings
from tans.zoo.blobs import Blobs, as_blobs

MANIFEST = "retriever.json"
DIGITS = 16
"""Of the hash in a file's name."""


class Member(nn.Module):
    """One trained pair of encoders with its predictor; an ensemble has several."""

    def __init__(self, query: QueryEncoder, model: ModelEncoder, predictor: Predictor) -> None:
        super().__init__()
        self.query = query
        self.model = model
        self.predictor = predictor


@dataclass(frozen=True, eq=False)
class Retriever:
    """Embeds a query, embeds networks, and predicts accuracies; holds the zoo's embeddings.

    The embeddings of its members stand side by side, so that a dot product of two such rows is
    the mean of the members' cosines; ``width`` is the length of a row, members times dim.
    """

    members: tuple[Member, ...]
    settings: MetaSettings
    data_hash: str
    """SHA-256 of the data it was trained on."""
    entries: tuple[str, ...]
    """Ids of the networks in ``matrix``."""
    matrix: Tensor
    """float32 (e, width), their embeddings, each of unit length; memory-mapped after loading."""

    @property
    def width(self) -> int:
        """Length of an embedding."""
        return len(self.members) * self.settings.dim

    @torch.inference_mode()
    def encode_query(self, features: Tensor, labels: Tensor) -> Tensor:
        """Embedding (width,) of unit length of images' features (n, f) with labels (n,).

        Raises:
            InputError: shapes do not fit, or a feature is not finite.
        """
        return _side_by_side([m.query(features.float(), labels) for m in self.members])

    @torch.inference_mode()
    def encode_models(self, parts: Mapping[str, Tensor]) -> Tensor:
        """Embeddings (n, width) of unit length of networks' parts, each (n, its own width).

        Raises:
            InputError: a part is missing or of another width.
        """
        return embed_models(self.members, parts)

    @torch.inference_mode()
    def predict(self, query: Tensor, models: Tensor) -> Tensor:
        """Accuracies (n,) in [0, 1] after the default fine-tune, the members' mean.

        Args:
            query: (width,), as embedded.
            models: (n, width), likewise.

        Raises:
            InputError: shapes do not fit.
        """
        if query.shape != (self.width,) or models.shape[1:] != (self.width,):
            raise InputError(
                f"query {tuple(query.shape)} and models {tuple(models.shape)} were given; "
                f"expected ({self.width},) and (models, {self.width})"
            )
        parts = zip(
            self.members,
            _apart(query[None], len(self.members)),
            _apart(models, len(self.members)),
            strict=True,
        )
        return torch.stack([m.predictor.pairs(q, n)[0] for m, q, n in parts]).mean(0)

    def save(self, place: str | Path | Blobs) -> None:
        """Write it to a folder or other store: two safetensors and a JSON that names them.

        They are named by content and the JSON is replaced last and at once, so there is the old or
        the new, never a mix.

        Raises:
            ZooError: it cannot be written.
        """
        blobs = as_blobs(place)
        state = nn.ModuleList(self.members).state_dict()
        weights = _put(blobs, "weights", {name: t.contiguous() for name, t in state.items()})
        models = _put(blobs, "models", {"matrix": self.matrix.contiguous()})
        member = self.members[0]
        stored = _Stored(
            settings=self.settings,
            data_hash=self.data_hash,
            features=member.query.features,
            parts=dict(member.model.widths),
            files=_Names(weights, models),
            entries=self.entries,
        )
        blobs.put(MANIFEST, stored.to_bytes())
        for key in {*blobs.list("weights-"), *blobs.list("models-")} - {weights, models}:
            blobs.delete(key)

    @classmethod
    def load(cls, place: str | Path | Blobs) -> Retriever:
        """Read what ``save`` wrote.

        Raises:
            ZooError: nothing is there, or it is damaged or of another schema.
        """
        blobs = as_blobs(place)
        stored = _stored(blobs)
        try:
            return cls._of(blobs, stored)
        except ZooError:
            if (newer := _stored(blobs)) == stored:
                raise
        return cls._of(blobs, newer)  # it was replaced, and then its files deleted

    @classmethod
    def _of(cls, blobs: Blobs, stored: _Stored) -> Retriever:
        try:
            retriever = cls(
                members=tuple(
                    build(stored.settings, stored.features, stored.parts)
                    for _ in range(stored.settings.members)
                ),
                settings=stored.settings,
                data_hash=stored.data_hash,
                entries=stored.entries,
                matrix=_get(blobs, stored.files.models)["matrix"],
            )
            state = _get(blobs, stored.files.weights)
            nn.ModuleList(retriever.members).load_state_dict(state)
        except (KeyError, RuntimeError, InputError) as error:
            raise stored.damaged(f"the retriever in {blobs}", error) from error
        if retriever.matrix.shape != (len(retriever.entries), retriever.width):
            raise ZooError(
                f"the retriever in {blobs} names {len(retriever.entries)} networks and embeds "
                f"{tuple(retriever.matrix.shape)}; {stored.REMEDY}"
            )
        return retriever


@dataclass(frozen=True)
class _Names:
    """Of the files beside the manifest, each with a hash of its content."""

    weights: str
    """The members' weights."""
    models: str
    """The matrix of embeddings."""


class _Stored(Manifest):
    """What ``retriever.json`` says."""

    SCHEMA = 2
    ERROR = ZooError
    REMEDY = "train the retriever anew with 'tans train'"

    settings: MetaSettings
    data_hash: str
    features: PositiveInt
    """Width of a query's features."""
    parts: dict[str, PositiveInt]
    """Width of each part of a network's description."""
    files: _Names
    entries: tuple[str, ...]


def _stored(blobs: Blobs) -> _Stored:
    if not blobs.exists(MANIFEST):
        raise ZooError(f"no retriever in {blobs}; train one with `tans train`")
    return _Stored.parse(blobs.get(MANIFEST), f"{blobs}/{MANIFEST}")


def build(settings: MetaSettings, features: int, parts: Mapping[str, int]) -> Member:
    """An untrained member, seeded, for features and parts of these widths."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        query = QueryEncoder(
            features,
            settings.dim,
            settings.pooling,
            settings.hidden,
            settings.components,
            settings.attention_queries,
        )
        model = ModelEncoder(parts, settings.dim, settings.normalisation, settings.hidden)
        return Member(query, model, Predictor(settings.dim, settings.interaction)).eval()


@torch.no_grad()
def embed_models(members: Sequence[Member], parts: Mapping[str, Tensor]) -> Tensor:
    """Embeddings (n, members * dim) of unit length of networks' parts.

    Raises:
        InputError: a part is missing or of another width.
    """
    return _side_by_side([member.model(parts) for member in members])


def _side_by_side(embeddings: Sequence[Tensor]) -> Tensor:
    """Unit embeddings (..., dim) of each member as one of unit length (..., members * dim)."""
    return torch.cat(list(embeddings), -1) / math.sqrt(len(embeddings))


def _apart(embeddings: Tensor, members: int) -> list[Tensor]:
    """Inverse of ``_side_by_side``: (n, dim) for each member."""
    return [part * math.sqrt(members) for part in embeddings.chunk(members, 1)]


def _put(blobs: Blobs, stem: str, tensors: dict[str, Tensor]) -> str:
    """Store tensors under a key with a hash of their content; the key."""
    data = to_bytes(tensors)
    key = f"{stem}-{hashlib.sha256(data).hexdigest()[:DIGITS]}.safetensors"
    blobs.put(key, data)
    return key


def _get(blobs: Blobs, key: str) -> dict[str, Tensor]:
    """Inverse of ``_put``; the tensors are mapped from the disk."""
    path = blobs.local(key)
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest[:DIGITS] not in path.name:
            raise ZooError(f"{path} has changed since it was written; {_Stored.REMEDY}")
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise ZooError(f"cannot read {path}: {error}; {_Stored.REMEDY}") from error
