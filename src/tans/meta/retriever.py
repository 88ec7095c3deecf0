"""A meta-trained retrieval model: the encoders, the predictor, and the networks it embedded."""

from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tans.errors import InputError, ZooError
from tans.meta.encoders import ModelEncoder, QueryEncoder
from tans.meta.predictor import Predictor
from tans.meta.presets import MetaSettings

SCHEMA = 2
MANIFEST = "retriever.json"


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

    def save(self, folder: str | Path) -> None:
        """Write it below a folder: two safetensors and a JSON that names them by content.

        The JSON is replaced last and at once, so a folder holds the old or the new, never a mix.

        Raises:
            ZooError: the folder cannot be written.
        """
        folder = Path(folder)
        weights = {k: v.contiguous() for k, v in nn.ModuleList(self.members).state_dict().items()}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            files = {
                "weights": _write(folder, "weights", lambda path: save_file(weights, path)),
                "models": _write(
                    folder,
                    "models",
                    lambda path: save_file({"matrix": self.matrix.contiguous()}, path),
                ),
            }
            text = json.dumps(_manifest(self, files), indent=1)
            temporary = folder / f".{MANIFEST}.{os.getpid()}"
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(folder / MANIFEST)
            for stale in {*folder.glob("weights-*"), *folder.glob("models-*")}:
                if stale.name not in files.values():
                    stale.unlink()
        except OSError as error:
            raise ZooError(f"cannot write a retriever to {folder}: {error}") from error

    @classmethod
    def load(cls, folder: str | Path) -> Retriever:
        """Read what ``save`` wrote.

        Raises:
            ZooError: nothing is there, or it is damaged or of another schema.
        """
        folder = Path(folder)
        manifest = _read_manifest(folder)
        try:
            settings = MetaSettings.from_json(manifest["settings"])
            retriever = cls(
                members=tuple(
                    build(settings, manifest["features"], manifest["parts"])
                    for _ in range(settings.members)
                ),
                settings=settings,
                data_hash=manifest["data_hash"],
                entries=tuple(manifest["entries"]),
                matrix=_read(folder, manifest["files"]["models"])["matrix"],
            )
            state = _read(folder, manifest["files"]["weights"])
            nn.ModuleList(retriever.members).load_state_dict(state)
        except (KeyError, TypeError, AttributeError, RuntimeError, InputError) as error:
            raise ZooError(
                f"the retriever in {folder} is damaged: {error}; train it anew"
            ) from error
        if retriever.matrix.shape != (len(retriever.entries), retriever.width):
            raise ZooError(
                f"the retriever in {folder} names {len(retriever.entries)} networks and embeds "
                f"{tuple(retriever.matrix.shape)}; train it anew"
            )
        return retriever


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


def _manifest(retriever: Retriever, files: Mapping[str, str]) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "settings": asdict(retriever.settings),
        "data_hash": retriever.data_hash,
        "features": retriever.members[0].query.features,
        "parts": retriever.members[0].model.widths,
        "files": dict(files),
        "entries": list(retriever.entries),
    }


def _write(folder: Path, stem: str, write: Callable[[Path], None]) -> str:
    """Write a file and name it after its content; returns the name."""
    handle, name = tempfile.mkstemp(dir=folder, prefix=f".{stem}-")
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        final = f"{stem}-{_sha256(temporary)}.safetensors"
        temporary.chmod(0o644)
        temporary.replace(folder / final)
    finally:
        temporary.unlink(missing_ok=True)
    return final


def _read(folder: Path, name: str) -> dict[str, Tensor]:
    path = folder / Path(name).name
    try:
        if _sha256(path) not in path.name:
            raise ZooError(f"{path} has changed since it was written; train the retriever anew")
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise ZooError(f"cannot read {path}: {error}; train the retriever anew") from error


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ZooError(f"no retriever in {folder}; train one with `tans train`") from error
    except (OSError, ValueError) as error:
        raise ZooError(f"cannot read {path}: {error}; train the retriever anew") from error
    schema = manifest.get("schema") if isinstance(manifest, dict) else None
    if schema != SCHEMA:
        raise ZooError(f"{path} has schema {schema}; this version reads {SCHEMA}; train it anew")
    return manifest


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
