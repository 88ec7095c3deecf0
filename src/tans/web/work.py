"""What is done in a process of its own: what reads images of strangers, and what takes long.

Each function returns what JSON has.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from tans.errors import InputError, MissingExtraError, TansError
from tans.export.finetuned import load_finetuned
from tans.files import write_file
from tans.tasks.check import counts, warnings
from tans.tasks.findings import Overrides
from tans.tasks.splits import SPLITS
from tans.tasks.task import Task
from tans.web.apart import Tell

SAMPLES, CLASSES = 6, 40
"""Pictures of each class that are kept to look at, and classes of which there are some."""
SIDE = 128
"""Pixels a side of such a picture."""
EXPORTS = ("safetensors", "onnx")


@dataclass(frozen=True)
class Upload:
    """Images that were unpacked, and how to read them."""

    folder: Path
    name: str
    overrides: Overrides

    def task(self) -> Task:
        """The images as a task.

        Raises:
            TaskError: they are none.
        """
        task = Task.from_path(self.folder, name=self.name, overrides=self.overrides)
        return replace(task, card=replace(task.card, source=self.name))


def understand(upload: Upload, zoo: Any, samples: Path, tell: Tell) -> dict[str, Any]:  # noqa: ARG001
    """What an upload is, some of its pictures as files in a folder, and the query of it.

    Args:
        zoo: whose retriever makes the query.
    """
    from tans.search import embed

    task = upload.task()
    rows = _spread(task)
    pictures = task.pixels.at(SIDE, torch.tensor(rows))  # (m, 3, SIDE, SIDE)
    for index, picture in enumerate(pictures):
        write_file(samples / f"{index}.webp", to_webp(picture))
    query = embed(task, zoo)
    return {
        "images": len(task),
        "classes": [
            {"name": name, **dict(zip(SPLITS, row, strict=True))}
            for name, row in zip(task.classes, counts(task).tolist(), strict=True)
        ],
        "layout": task.found.layout,
        "warnings": warnings(task),
        "samples": [
            {"index": index, "class_name": task.classes[int(task.labels[row])]}
            for index, row in enumerate(rows)
        ],
        "query": query.to_bytes().decode(),
    }


def _spread(task: Task) -> list[int]:
    """Rows of some pictures of each of the first classes."""
    rows: list[int] = []
    for label in range(min(CLASSES, len(task.classes))):
        own = (task.labels == label).nonzero().flatten()
        rows += own[torch.linspace(0, len(own) - 1, min(SAMPLES, len(own))).long()].tolist()
    return rows


def to_webp(picture: Tensor) -> bytes:
    """An image of uint8 (3, h, w) as browsers show it."""
    held = io.BytesIO()
    Image.fromarray(picture.permute(1, 2, 0).contiguous().numpy()).save(held, "WEBP", quality=85)
    return held.getvalue()


def look(upload: Upload, zoo: Any, asked: dict[str, Any], tell: Tell) -> dict[str, Any]:  # noqa: ARG001
    """A search with the images at hand, as ``SearchAnswer`` has it.

    Args:
        asked: as ``SearchAsked`` has it.
    """
    from tans.web.schemas import SearchAnswer, SearchAsked
    from tans.workflow import search_within

    said = SearchAsked(**asked)
    found = search_within(
        upload.task(),
        zoo,
        said.constraints(),
        commercial=said.commercial,
        top=said.top,
        look=said.look,
    )
    return SearchAnswer.of(found).model_dump(mode="json")


def tune(
    upload: Upload, zoo: Any, asked: dict[str, Any], folder: Path, tell: Tell
) -> dict[str, Any]:
    """A fine-tune, which is saved to a folder with a report and exports, as ``Outcome`` has it.

    Args:
        asked: as ``FinetuneAsked`` has it.
    """
    from tans.training import Recipe
    from tans.web.schemas import EpochAnswer, FinetuneAsked, Outcome
    from tans.workflow import FinetuneStep, Selection, finetune_best

    said = FinetuneAsked(**asked)

    def on_step(step: FinetuneStep) -> None:
        tell(
            {
                "network": None if step.entry is None else step.entry.id,
                "epochs": step.epochs,
                "epoch": step.epoch and EpochAnswer.of(step.epoch).model_dump(mode="json"),
                "seconds_left": step.seconds_left,
            }
        )

    result = finetune_best(
        upload.task(),
        zoo,
        Selection(
            said.network, limits=said.constraints(), look=said.look, commercial=said.commercial
        ),
        Recipe(epochs=said.epochs, seed=said.seed),
        on_step=on_step,
    )
    result.save(folder)
    run, scores = result.runs[0], result.best.scores
    return Outcome(
        network=run.source,
        params=run.costs.params,
        flops=run.costs.flops,
        best_epoch=result.best.best_epoch,
        test_accuracy=_number(result.best.test_accuracy),
        balanced_accuracy=_number(scores.balanced_accuracy),
        seconds=result.best.seconds,
        warnings=(*result.warnings, *_exported(folder)),
    ).model_dump(mode="json")


def _exported(folder: Path) -> list[str]:
    """Write what others open; why one is missing, a sentence each."""
    from tans.export.formats import export_network

    told: list[str] = []
    for format in EXPORTS:
        try:
            told += export_network(folder, format).warnings
        except MissingExtraError:
            told.append(f"there is no {format}: what writes it is not installed at the service")
        except TansError as error:
            told.append(f"there is no {format}: {error}")
    return told


def classify(folder: Path, image: Path, top: int, pixels: int, tell: Tell) -> dict[str, Any]:  # noqa: ARG001
    """What the network in a folder says of an image, as ``PredictAnswer`` has it.

    Args:
        pixels: of the image, at most.

    Raises:
        InputError: it is no image that can be read.
    """
    (said,) = load_finetuned(folder).predict([image], top=top, max_pixels=pixels)
    if said.error is not None:
        raise InputError(f"the image cannot be read: {said.error}")
    ranked = [{"label": label, "probability": share} for label, share in said.ranked]
    return {"label": said.label, "known": said.known, "ranked": ranked}


def _number(value: float) -> float | None:
    return value if value == value else None
