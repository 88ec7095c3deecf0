"""A meta-trained retrieval model: the encoders, the predictor, and the networks it embedded."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
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

SCHEMA = 1
MANIFEST = "retriever.json"


@dataclass(frozen=True, eq=False)
class Retriever:
    """Embeds a query, embeds networks, and predicts accuracies; holds the zoo's embeddings."""

    query_encoder: QueryEncoder
    model_encoder: ModelEncoder
    predictor: Predictor
    settings: MetaSettings
    data_hash: str
    """SHA-256 of the data it was trained on."""
    entries: tuple[str, ...]
    """Ids of the networks in ``matrix``."""
    matrix: Tensor
    """float32 (e, dim), their embeddings, each of unit length; memory-mapped after loading."""

    @torch.inference_mode()
    def encode_query(self, features: Tensor, labels: Tensor) -> Tensor:
        """Embedding (dim,) of unit length of images' features (n, f) with labels (n,).

        Raises:
            InputError: shapes do not fit, or a feature is not finite.
        """
        return self.query_encoder(features.float(), labels)

    @torch.inference_mode()
    def encode_models(self, parts: Mapping[str, Tensor]) -> Tensor:
        """Embeddings (n, dim) of unit length of networks' parts, each (n, width).

        Raises:
            InputError: a part is missing or of another width.
        """
        return self.model_encoder(parts)

    @torch.inference_mode()
    def predict(self, query: Tensor, models: Tensor) -> Tensor:
        """Accuracies (n,) in [0, 1] after the default fine-tune, for query (dim,), models (n, dim).

        Raises:
            InputError: shapes do not fit.
        """
        dim = self.settings.dim
        if query.shape != (dim,) or models.ndim != 2 or models.shape[1] != dim:
            raise InputError(
                f"query {tuple(query.shape)} and models {tuple(models.shape)} were given; "
                f"expected ({dim},) and (models, {dim})"
            )
        return self.predictor(query.expand(len(models), -1), models)

    def save(self, folder: str | Path) -> None:
        """Write it below a folder: two safetensors and a JSON that names them by content.

        The JSON is replaced last and at once, so a folder holds the old or the new, never a mix.

        Raises:
            ZooError: the folder cannot be written.
        """
        folder = Path(folder)
        weights = {k: v.contiguous() for k, v in _modules(self).state_dict().items()}
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
                *build(settings, manifest["features"], manifest["parts"]),
                settings=settings,
                data_hash=manifest["data_hash"],
                entries=tuple(manifest["entries"]),
                matrix=_read(folder, manifest["files"]["models"])["matrix"],
            )
            state = _read(folder, manifest["files"]["weights"])
            _modules(retriever).load_state_dict(state)
        except (KeyError, TypeError, AttributeError, RuntimeError, InputError) as error:
            raise ZooError(
                f"the retriever in {folder} is damaged: {error}; train it anew"
            ) from error
        if retriever.matrix.shape != (len(retriever.entries), settings.dim):
            raise ZooError(
                f"the retriever in {folder} names {len(retriever.entries)} networks and embeds "
                f"{tuple(retriever.matrix.shape)}; train it anew"
            )
        return retriever


def build(
    settings: MetaSettings, features: int, parts: Mapping[str, int]
) -> tuple[QueryEncoder, ModelEncoder, Predictor]:
    """Untrained encoders and predictor, seeded, for features and parts of these widths."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        return (
            QueryEncoder(features, settings.dim, settings.pooling, settings.hidden),
            ModelEncoder(parts, settings.dim, settings.normalisation, settings.hidden),
            Predictor(settings.dim, settings.interaction),
        )


def _modules(retriever: Retriever) -> nn.ModuleDict:
    return nn.ModuleDict(
        {
            "query": retriever.query_encoder,
            "model": retriever.model_encoder,
            "predictor": retriever.predictor,
        }
    )


def _manifest(retriever: Retriever, files: Mapping[str, str]) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "settings": asdict(retriever.settings),
        "data_hash": retriever.data_hash,
        "features": retriever.query_encoder.features,
        "parts": retriever.model_encoder.widths,
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
