"""A fine-tuned network in a folder of its own, and what it says of image files.

    model.safetensors   weights, float32
    model.json          architecture, classes, how to prepare an image, where the weights came from

The description comes last and names the weights by hash, so that a folder is whole or refused.
"""

from __future__ import annotations

import hashlib
import json
import math
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as from_bytes
from safetensors.torch import save as to_bytes
from torch import Tensor

from tans.errors import InputError, TaskError
from tans.spaces.building import build
from tans.spaces.headed import HeadedNetwork
from tans.tasks.images import image_suffixes, read_images
from tans.tasks.task import Task
from tans.training import FineTuned, Recipe, device, predict
from tans.types import Architecture

SCHEMA = 1
WEIGHTS = "model.safetensors"
DESCRIPTION = "model.json"
BATCH = 256
"""Files decoded and classified at a time."""


@dataclass(frozen=True)
class Exported:
    """A fine-tuned network as read from its folder."""

    network: HeadedNetwork
    classes: tuple[str, ...]
    resolution: int
    """Pixels a side of its input."""
    card: dict[str, Any]
    """The whole description."""


@dataclass(frozen=True)
class Prediction:
    """What a network says of one file; label and probability are None where it is unreadable."""

    path: Path
    label: str | None
    probability: float | None
    """In [0, 1], as the network states it; not calibrated."""
    error: str | None = None


def save_finetuned(
    folder: str | Path,
    tuned: FineTuned,
    task: Task,
    *,
    source: str,
    licence: str,
    resolution: int,
    recipe: Recipe,
) -> None:
    """Write a fine-tuned network to a folder, in place of an earlier one there.

    Args:
        source: entry that the fine-tuning began from.
        licence: of that entry's weights.
        resolution: pixels a side of the images it was tuned on.

    Raises:
        InputError: the folder cannot be written, or its ``model.json`` is something else's.
    """
    folder = Path(folder).expanduser()
    state = {name: _portable(tensor) for name, tensor in tuned.network.state_dict().items()}
    weights = to_bytes(state)
    card = _describe(tuned, task, resolution)
    card["weights"] = {"file": WEIGHTS, "sha256": hashlib.sha256(weights).hexdigest()}
    card["source"] = {"entry": source, "licence": licence}
    card["recipe"] = asdict(recipe)
    text = json.dumps(card, indent=1, ensure_ascii=False, allow_nan=False)
    _refuse_foreign(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / WEIGHTS, weights)
        _write(folder / DESCRIPTION, text.encode())
    except OSError as error:
        raise InputError(
            f"the network cannot be written to {folder}: {error}; give a folder that can be "
            "written, on a disk with room"
        ) from error


def load_finetuned(folder: str | Path) -> Exported:
    """Inverse of ``save_finetuned``; the network is in evaluation mode on the CPU.

    Raises:
        InputError: there is no fine-tuned network, or it is damaged or of another schema.
    """
    folder = Path(folder).expanduser()
    card = _read_description(folder)
    try:
        architecture = Architecture.parse(card["architecture"])
        classes, resolution = tuple(map(str, card["classes"])), int(card["resolution"])
        if len(classes) < 2 or resolution < 1:
            raise ValueError(f"{len(classes)} classes at {resolution} pixels")
        weights = (folder / WEIGHTS).read_bytes()
        if hashlib.sha256(weights).hexdigest() != card["weights"]["sha256"]:
            raise ValueError(f"{WEIGHTS} does not have the hash that {DESCRIPTION} gives")
        network = build(architecture, len(classes))
        network.load_state_dict(from_bytes(weights))
    except (OSError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(folder, error) from error
    except (RuntimeError, SafetensorError, InputError) as error:
        raise _damaged(folder, error) from error
    return Exported(network.eval(), classes, resolution, card)


def predict_files(folder: str | Path, paths: Sequence[str | Path]) -> list[Prediction]:
    """Classify image files with a fine-tuned network; a folder stands for all images below it.

    A file that cannot be read gets a prediction without a label that says why.

    Args:
        folder: written by ``save_finetuned``.

    Raises:
        InputError: there is no fine-tuned network in ``folder``, or it is damaged.
    """
    exported = load_finetuned(folder)
    exported.network.to(device(), memory_format=torch.channels_last)  # type: ignore[call-overload]
    files = [file for path in paths for file in _expand(Path(path).expanduser())]
    predictions: list[Prediction] = []
    for start in range(0, len(files), BATCH):
        predictions += _predict_batch(exported, files[start : start + BATCH])
    return predictions


def tans_version() -> str:
    """The installed version of tans; ``unknown`` where it runs from its sources."""
    try:
        return metadata.version("tans")
    except metadata.PackageNotFoundError:
        return "unknown"


def _describe(tuned: FineTuned, task: Task, resolution: int) -> dict[str, Any]:
    """All of the description that follows from the run itself."""
    history = [asdict(epoch) for epoch in tuned.history]
    return {
        "schema": SCHEMA,
        "tans": tans_version(),
        "task": task.name,
        "architecture": str(tuned.network.architecture),
        "space": tuned.network.architecture.space,
        "classes": list(task.classes),
        "resolution": resolution,
        "preprocessing": _preprocessing(resolution),
        "history": [{name: _finite(value) for name, value in row.items()} for row in history],
        "best_epoch": tuned.best_epoch,
        "test_accuracy": _finite(tuned.test_accuracy),
        "test_images": int(tuned.confusion.sum()),
        **tuned.scores.describe(),
        "confusion": tuned.confusion.tolist(),
        "seconds": tuned.seconds,
    }


def _preprocessing(resolution: int) -> dict[str, Any]:
    return {
        "words": (
            "Turn the image upright by its EXIF orientation, put transparent parts on white, "
            f"convert to RGB, resize the whole image to {resolution} x {resolution} pixels "
            "(bilinear, antialiased, aspect ratio not kept), then take (x - 127) / 128 of values "
            "from 0 to 255; channels first, float32."
        ),
        "channels": "RGB",
        "size": [resolution, resolution],
        "resize": "bilinear",
        "antialias": True,
        "keep_aspect_ratio": False,
        "background": [255, 255, 255],
        "mean": 127,
        "std": 128,
        "layout": "NCHW",
    }


def _portable(tensor: Tensor) -> Tensor:
    tensor = tensor.detach().cpu().contiguous()
    return tensor.float() if tensor.is_floating_point() else tensor


def _finite(value: Any) -> Any:
    """JSON has no word for what is not finite."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _refuse_foreign(folder: Path) -> None:
    if (folder / DESCRIPTION).exists():
        try:
            _read_description(folder)
        except InputError as error:
            raise InputError(
                f"{folder / DESCRIPTION} is there and is not a network of this version of tans; "
                "give another folder"
            ) from error


def _read_description(folder: Path) -> dict[str, Any]:
    try:
        card = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"no fine-tuned network can be read from {folder}: {error}; expected a folder that "
            f"'tans finetune' wrote, with {DESCRIPTION} and {WEIGHTS}"
        ) from error
    schema = card.get("schema") if isinstance(card, dict) else None
    if schema != SCHEMA or "architecture" not in card:
        raise InputError(
            f"{folder / DESCRIPTION} has schema {schema!r} or describes something else; this "
            f"version of tans reads networks of schema {SCHEMA}; fine-tune again"
        )
    return card


def _damaged(folder: Path, error: Exception) -> InputError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return InputError(
        f"the fine-tuned network in {folder} is damaged ({reason}); fine-tune again, or restore "
        f"{DESCRIPTION} and {WEIGHTS} together"
    )


def _write(path: Path, content: bytes) -> None:
    """Give content its name only when all of it is on disk."""
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        fresh.write_bytes(content)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def _expand(path: Path) -> Iterator[Path]:
    """The file itself, or the images below a folder (the folder itself where there is none)."""
    if not path.is_dir():
        yield path
        return
    inside = (file for file in path.rglob("*") if not _hidden(file.relative_to(path)))
    images = sorted(f for f in inside if f.suffix.lower() in image_suffixes() and f.is_file())
    yield from images or [path]


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _predict_batch(exported: Exported, files: Sequence[Path]) -> list[Prediction]:
    images, failures = _read(files, exported.resolution)  # (n, 3, r, r)
    kept = [index for index in range(len(files)) if index not in failures]
    predictions = {
        index: Prediction(files[index], None, None, reason) for index, reason in failures.items()
    }
    if kept:
        best = predict(exported.network, images[kept]).softmax(1).max(1)
        for index, probability, label in zip(
            kept, best.values.tolist(), best.indices.tolist(), strict=True
        ):
            predictions[index] = Prediction(files[index], exported.classes[label], probability)
    return [predictions[index] for index in range(len(files))]


def _read(files: Sequence[Path], resolution: int) -> tuple[Tensor, dict[int, str]]:
    """Images of files, uint8 (n, 3, r, r), and reasons by index, decompression bombs included."""
    try:
        images, failures = read_images(files, resolution)
        folders = (index for index, file in enumerate(files) if file.is_dir())
        return images, failures | dict.fromkeys(folders, "a folder that holds no images")
    except TaskError as error:
        if len(files) == 1:
            return torch.zeros(1, 3, resolution, resolution, dtype=torch.uint8), {0: str(error)}
    # One bomb stops its whole batch: halving finds it and reads the others.
    half = len(files) // 2
    (left, failures), (right, more) = (
        _read(part, resolution) for part in (files[:half], files[half:])
    )
    return torch.cat([left, right]), failures | {half + index: why for index, why in more.items()}
