"""A meta-trained retrieval model: the encoders, the predictor, and the networks it embedded."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import torch
from pydantic import Field, PositiveInt
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from tans.errors import InputError, ZooError
from tans.files import Fields, Manifest, cache_dir
from tans.meta.encoders import ModelEncoder, QueryEncoder
from tans.meta.predictor import Predictor
from tans.meta.presets import MetaSettings
from tans.types import Digest, Name
from tans.zoo.blobs import Blobs, as_blobs
from tans.zoo.columns import ids_digest
from tans.zoo.seals import Seals

MANIFEST = "retriever.json"
DIGITS = 16
"""Of the hash in a file's name."""
LARGE = 2**26
"""Bytes of a file from which on the cache notes that it was found sound."""


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
    networks: str
    """Digest of the ids of the networks in ``matrix``, as ``tans.zoo.columns.ids_digest`` gives it.
    """
    matrix: Tensor
    """float32 (e, width), their embeddings, each of unit length; memory-mapped after loading."""
    stored: str | None = None
    """Name of the file that the matrix was read from, which tells its content."""

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
        the new, never a mix. The JSON is sealed.

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
            networks=self.networks,
        )
        _seals(blobs).put(MANIFEST, stored.to_bytes())
        for key in {*blobs.list("weights-"), *blobs.list("models-")} - {weights, models}:
            blobs.delete(key)

    @classmethod
    def load(cls, place: str | Path | Blobs) -> Retriever:
        """Read what ``save`` wrote.

        Raises:
            ZooError: nothing is there, or it is damaged or of another schema.
        """
        blobs = as_blobs(place)
        stored = _read_manifest(blobs)
        try:
            return cls._of(blobs, stored)
        except ZooError:
            if (newer := _read_manifest(blobs)) == stored:
                raise
        return cls._of(blobs, newer)  # it was replaced, and then its files deleted

    @classmethod
    def _of(cls, blobs: Blobs, stored: _Stored) -> Retriever:
        state, models = (_get(blobs, key) for key in (stored.files.weights, stored.files.models))
        try:
            _check_sizes(stored, state)
            retriever = cls(
                members=tuple(
                    build(stored.settings, stored.features, stored.parts)
                    for _ in range(stored.settings.members)
                ),
                settings=stored.settings,
                data_hash=stored.data_hash,
                networks=stored.networks,
                matrix=models["matrix"],
                stored=stored.files.models,
            )
            nn.ModuleList(retriever.members).load_state_dict(state)
        except (LookupError, RuntimeError, TypeError, ValueError, InputError) as error:
            raise stored.damaged(f"the retriever in {blobs}", error) from error
        found = retriever.matrix
        if found.shape[1:] != (retriever.width,) or found.dtype != torch.float32:
            raise ZooError(
                f"the retriever in {blobs} embeds networks by {retriever.width} numbers, and has "
                f"{tuple(found.shape)} as {found.dtype}; {stored.REMEDY}"
            )
        return retriever


def files_of(place: str | Path | Blobs) -> list[str]:
    """Keys of the files that a stored retriever is made of; none where there is none.

    Raises:
        ZooError: what names them is damaged.
    """
    blobs = as_blobs(place)
    if not _seals(blobs).exists(MANIFEST):
        return []
    files = _read_manifest(blobs).files
    return [MANIFEST, files.weights, files.models]


@dataclass(frozen=True)
class _Names:
    """Of the files beside the manifest, each with a hash of its content."""

    weights: Annotated[str, Field(pattern=r"^weights-[0-9a-f]{16}\.safetensors$")]
    """The members' weights."""
    models: Annotated[str, Field(pattern=r"^models-[0-9a-f]{16}\.safetensors$")]
    """The matrix of embeddings."""


def _2_to_3(fields: Fields) -> Fields:
    """A digest says which networks are embedded, where a million ids would have to be read."""
    return fields | {"networks": ids_digest(fields.pop("entries"))}


class _Stored(Manifest):
    """What ``retriever.json`` says."""

    SCHEMA = 3
    MIGRATIONS: ClassVar[Mapping[int, Callable[[Fields], Fields]]] = {2: _2_to_3}
    ERROR = ZooError
    REMEDY = "train the retriever anew with 'tans train'"

    settings: MetaSettings
    data_hash: str
    features: PositiveInt
    """Width of a query's features."""
    parts: dict[Name, PositiveInt]
    """Width of each part of a network's description."""
    files: _Names
    networks: Digest
    """Of the ids of those embedded, in their order."""


def _seals(blobs: Blobs) -> Seals:
    return Seals(blobs, _Stored.REMEDY)


def _read_manifest(blobs: Blobs) -> _Stored:
    seals = _seals(blobs)
    if not seals.exists(MANIFEST):
        raise ZooError(f"no retriever in {blobs}; train one with `tans train`")
    return _Stored.parse(seals.get(MANIFEST), f"{blobs}/{MANIFEST}")


def _check_sizes(stored: _Stored, state: Mapping[str, Tensor]) -> None:
    """Refuse settings of more values than are stored, before memory is taken for them.

    Raises:
        ValueError: they are.
    """
    with torch.device("meta"):
        member = build(stored.settings, stored.features, stored.parts)
    one = sum(tensor.numel() for tensor in member.state_dict().values())
    values = sum(tensor.numel() for tensor in state.values())
    if stored.settings.members * one != values:
        raise ValueError(
            f"{stored.settings.members} members of {one} values each are said, {values} are stored"
        )


def build(settings: MetaSettings, features: int, parts: Mapping[str, int]) -> Member:
    """An untrained member, seeded, for features and parts of these widths."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(settings.seed)  # those of cards stay as they are
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
        tensors = load_file(path)
        sound = _found_sound(path)
        if sound is None or not sound.exists():
            _check(path, tensors)
    except (OSError, SafetensorError) as error:
        raise ZooError(f"cannot read {path}: {error}; {_Stored.REMEDY}") from error
    if sound is not None:
        with suppress(OSError):  # then all of it is read again next time
            sound.touch()
    return tensors


def _check(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Refuse a file that is not what its name says, or holds numbers that are not finite."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest[:DIGITS] not in path.name:
        raise ZooError(f"{path} has changed since it was written; {_Stored.REMEDY}")
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise ZooError(f"{path} holds what is no finite number in {name}; {_Stored.REMEDY}")


def _found_sound(path: Path) -> Path | None:
    """Where the cache notes that a large file was found sound as it is now: to read all of it takes
    longer than a search. None for a small one, or where there is no cache."""
    found = path.stat()
    if found.st_size < LARGE:
        return None
    state = f"{path.absolute()} {found.st_size} {found.st_mtime_ns} {found.st_ino}"
    try:
        return cache_dir("sound") / hashlib.sha256(state.encode()).hexdigest()
    except OSError:
        return None
