"""A fine-tuned network in a folder of its own.

    model.safetensors   weights, float32
    model.json          architecture, classes, how to prepare an image, where the weights came from

The description comes last and names the weights by hash, so that a folder is whole or refused.
"""

from __future__ import annotations

import hashlib
import json
import math
import secrets
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as from_bytes
from safetensors.torch import save as to_bytes
from torch import Tensor

from tans.errors import InputError
from tans.export.classifier import Classifier, Prediction, find_files
from tans.networks.building import build
from tans.tasks.check import summary
from tans.tasks.reading import BYTE, Reading
from tans.tasks.task import Task
from tans.training import FineTuned, Recipe
from tans.types import Architecture

SCHEMA = 2
"""Of a description; the first did not say what samples mean."""
WEIGHTS = "model.safetensors"
DESCRIPTION = "model.json"


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
        InputError: the folder's ``model.json`` is something else's; or the folder cannot be
            written, and then the message says where the network is instead.
    """
    folder = Path(folder).expanduser()
    _refuse_foreign(folder)
    state = {name: _portable(tensor) for name, tensor in tuned.network.state_dict().items()}
    weights = to_bytes(state)
    card = _describe(tuned, task, resolution)
    card["weights"] = {"file": WEIGHTS, "sha256": hashlib.sha256(weights).hexdigest()}
    card["source"] = {"entry": source, "licence": licence}
    card["recipe"] = asdict(recipe)
    text = json.dumps(card, indent=1, ensure_ascii=False, allow_nan=False)
    files = {WEIGHTS: weights, DESCRIPTION: text.encode()}  # the description last
    try:
        _write(folder, files)
    except OSError as error:
        instead = Path(tempfile.mkdtemp(prefix="tans-"))
        _write(instead, files)
        raise InputError(
            f"the network cannot be written to {folder}: {error}; it is in {instead} instead; "
            "copy it to a disk with room before it is cleared away"
        ) from error


def check_writable(folder: str | Path) -> None:
    """Try to write into the folder for a network before anyone waits, and leave it as it was.

    Raises:
        InputError: it cannot be written, or its ``model.json`` is something else's.
    """
    folder = Path(folder).expanduser()
    _refuse_foreign(folder)
    try:
        missing = [place for place in (folder, *folder.parents) if not place.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".", suffix=".tmp") as file:
            file.write(b"tried")
        for place in missing:
            place.rmdir()
    except OSError as error:
        raise InputError(
            f"{folder} cannot be written: {error}; give a folder that can be written, on a disk "
            "with room"
        ) from error


def load_finetuned(folder: str | Path) -> Classifier:
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
        reading, temperature = _how_to_read(card), float(card.get("temperature", 1.0))
        if not 0 < temperature < math.inf:
            raise ValueError(f"temperature {temperature}")
        weights = (folder / WEIGHTS).read_bytes()
        if hashlib.sha256(weights).hexdigest() != card["weights"]["sha256"]:
            raise ValueError(f"{WEIGHTS} does not have the hash that {DESCRIPTION} gives")
        network = build(architecture, len(classes))
        network.load_state_dict(from_bytes(weights))
    except (OSError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(folder, error) from error
    except (RuntimeError, SafetensorError, InputError) as error:
        raise _damaged(folder, error) from error
    return Classifier(network.eval(), classes, resolution, reading, temperature, card)


def predict_files(folder: str | Path, paths: Sequence[str | Path]) -> list[Prediction]:
    """Classify image files with a fine-tuned network; a folder stands for all images below it.

    A file that cannot be read gets a prediction without a label that says why.

    Args:
        folder: written by ``save_finetuned``.

    Raises:
        InputError: there is no fine-tuned network in ``folder``, or it is damaged.
    """
    return load_finetuned(folder).predict(find_files(paths)[0])


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
        "preprocessing": _preprocessing(resolution, task.found.reading),
        "reading": task.found.reading.to_json(),
        "temperature": tuned.calibration.temperature,
        "calibration": {k: _finite(v) for k, v in asdict(tuned.calibration).items()},
        "data": summary(task),
        "history": [{name: _finite(value) for name, value in row.items()} for row in history],
        "best_epoch": tuned.best_epoch,
        "test_accuracy": _finite(tuned.test_accuracy),
        "test_images": int(tuned.confusion.sum()),
        **tuned.scores.describe(),
        "confusion": tuned.confusion.tolist(),
        "seconds": tuned.seconds,
    }


def _preprocessing(resolution: int, reading: Reading) -> dict[str, Any]:
    scaled = "; ".join(
        f"map {sample} samples from {low:g}..{high:g} to 0..255, and what lies beyond to the ends"
        for sample, (low, high) in reading.ranges.items()
        if sample != BYTE
    )
    return {
        "words": (
            f"{scaled.capitalize() + '. ' if scaled else ''}"
            "Turn the image upright by its EXIF orientation, put transparent parts on the "
            f"background {reading.ground}, convert to RGB, resize the whole image to {resolution} "
            f"x {resolution} pixels (bilinear, antialiased, aspect ratio not kept), then take "
            "(x - 127) / 128 of values from 0 to 255; channels first, float32."
        ),
        "channels": "RGB",
        "size": [resolution, resolution],
        "resize": "bilinear",
        "antialias": True,
        "keep_aspect_ratio": False,
        "background": list(reading.ground),
        "mean": 127,
        "std": 128,
        "layout": "NCHW",
    }


def _how_to_read(card: dict[str, Any]) -> Reading:
    """What samples mean, of any schema; the first took each type over all that it can hold."""
    return Reading.from_json(card["reading"]) if card["schema"] > 1 else Reading.whole()


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
    if schema not in range(1, SCHEMA + 1) or "architecture" not in card:
        raise InputError(
            f"{folder / DESCRIPTION} has schema {schema!r} or describes something else; this "
            f"version of tans reads networks of schemas up to {SCHEMA}; fine-tune again"
        )
    return card


def _damaged(folder: Path, error: Exception) -> InputError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return InputError(
        f"the fine-tuned network in {folder} is damaged ({reason}); fine-tune again, or restore "
        f"{DESCRIPTION} and {WEIGHTS} together"
    )


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Give each file its name only when all of it is on disk.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        fresh = folder / f".{name}.{secrets.token_hex(4)}.tmp"
        try:
            fresh.write_bytes(content)
            fresh.replace(folder / name)
        finally:
            fresh.unlink(missing_ok=True)
