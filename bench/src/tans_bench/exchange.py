"""Write a task as the data that commercial AutoML services take.

    training/LABEL/00000.png   validation and test beside it; Azure has no validation of its own
    import.csv, import.jsonl   Vertex AI: the split, place and label of each image
    manifest.json              class of each label; split, label and group of each image

Azure Custom Vision is given images by tag, https://learn.microsoft.com/azure/ai-services/
custom-vision-service/getting-started-build-a-classifier; Vertex AI reads a list of images in Cloud
Storage, https://docs.cloud.google.com/vertex-ai/docs/image-data/classification/prepare-data.
"""

from __future__ import annotations

import csv
import io
import json
import re
import secrets
import shutil
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from tans.errors import InputError, TaskError
from tans.tasks.images import ArrayPixels
from tans.tasks.splits import SPLITS
from tans.tasks.task import Task

SCHEMA = 1
"""Version of ``manifest.json``."""
MANIFEST = "manifest.json"
FILE_SIZE = 256
"""Pixels a side where a task's images are files: Azure enlarges what is smaller."""
LARGEST = 1024
"""Pixels a side, at most: a PNG of any content then stays below Azure's 4 MB for a prediction."""
LONGEST = 100
"""Characters of a label, at most; Vertex AI takes 128."""
BATCH = 256
"""Images in memory at a time."""


@dataclass(frozen=True)
class Service:
    """What a service asks for."""

    title: str
    parts: tuple[str, str, str]
    """Folder, and name of the split there, of the training, validation and test images."""
    fewest: int
    """Training images of a label, at least."""


SERVICES: Mapping[str, Service] = {
    "azure": Service("Azure Custom Vision", ("training", "training", "test"), 5),
    "vertex": Service("Vertex AI", ("training", "validation", "test"), 10),
}


@dataclass(frozen=True)
class Exported:
    """What was written."""

    folder: Path
    counts: Mapping[str, int]
    """Images by folder, as in ``training``."""
    labels: Mapping[str, str]
    """Class by label."""
    scarce: Mapping[str, int]
    """Training images of the labels that have fewer than the service asks for."""


def export_task(
    task: Task,
    folder: str | Path,
    service: str,
    *,
    gcs: str | None = None,
    size: int | None = None,
    force: bool = False,
) -> Exported:
    """Write a task for one of ``SERVICES`` to ``folder``, as a whole or not at all.

    Args:
        gcs: where in Cloud Storage the folder will be, as ``gs://bucket/prefix``; for Vertex AI.
        size: pixels a side; as stored when None, ``FILE_SIZE`` where the images are files.
        force: replace an earlier export.

    Raises:
        InputError: an argument cannot be used, or the folder is in use or cannot be written.
        TaskError: an image could be read earlier and no longer can.
    """
    folder = Path(folder).expanduser().resolve()
    chosen = check_export(folder, service, gcs=gcs, size=size, force=force)
    labels = safe_labels(task.classes)
    tops = [chosen.parts[split] for split in task.splits.tolist()]
    own = [labels[label] for label in task.labels.tolist()]
    pairs = list(zip(tops, own, strict=True))
    files = [f"{top}/{label}/{row:05d}.png" for row, (top, label) in enumerate(pairs)]
    texts = {MANIFEST: _manifest(task, service, files, own, labels)}
    if gcs is not None:
        texts |= _lists(f"{gcs.rstrip('/')}/", files, tops, own)
    _write(task, folder, files, texts, size)
    trained = Counter(label for top, label in pairs if top == chosen.parts[0])
    scarce = {label: trained[label] for label in labels if trained[label] < chosen.fewest}
    return Exported(folder, Counter(tops), dict(zip(labels, task.classes, strict=True)), scarce)


def check_export(
    folder: str | Path,
    service: str,
    *,
    gcs: str | None = None,
    size: int | None = None,
    force: bool = False,
) -> Service:
    """The service, where ``export_task`` would begin to write with these arguments.

    Raises:
        InputError: an argument cannot be used, or the folder is in use.
    """
    if service not in SERVICES:
        raise InputError(f"no format {service!r}; expected one of {', '.join(SERVICES)}")
    if service != "vertex" and gcs is not None:
        raise InputError(f"a place in Cloud Storage was given for {service}; it is for vertex only")
    if service == "vertex":
        _check_gcs(gcs)
    if size is not None and not 1 <= size <= LARGEST:
        raise InputError(f"the size is {size}; expected 1 to {LARGEST} pixels a side")
    _check_folder(Path(folder).expanduser(), force)
    return SERVICES[service]


def safe_labels(classes: Sequence[str]) -> list[str]:
    """A label for each class: a letter, then letters, digits and underscores, no two alike.

    Labels that differ in case alone count as alike, since they are also names of folders.
    """
    labels: list[str] = []
    taken: set[str] = set()
    for place, name in enumerate(classes, 1):
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
        plain = re.sub(r"[^A-Za-z0-9]+", "_", plain).strip("_")[:LONGEST]
        if not plain[:1].isalpha():
            plain = f"class_{plain or place}"
        label, copies = plain, 1
        while label.lower() in taken:
            copies += 1
            label = f"{plain}_{copies}"
        labels.append(label)
        taken.add(label.lower())
    return labels


def _check_gcs(gcs: str | None) -> None:
    wanted = "expected where the folder will be in Cloud Storage, such as --gcs gs://bucket/prefix"
    if gcs is None:
        raise InputError(
            f"Vertex AI reads images from Cloud Storage and no place is given; {wanted}"
        )
    if not re.fullmatch(r"gs://[a-z0-9][a-z0-9._-]*(/[\w.-]+)*/?", gcs):
        raise InputError(f"{gcs!r} is no place in Cloud Storage; {wanted}")


def _check_folder(folder: Path, force: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; expected a folder to write; give another name")
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    if not force:
        raise InputError(
            f"{folder} is not empty; expected a new or empty folder; add --force to replace an "
            "earlier export"
        )
    if not _is_export(folder):
        raise InputError(
            f"{folder} holds something else than an earlier export and is not replaced; give a new "
            "or empty folder"
        )


def _is_export(folder: Path) -> bool:
    """Whether nothing is there but what an export writes."""
    written = {MANIFEST, "import.csv", "import.jsonl", *SERVICES["vertex"].parts}
    found = {path.name for path in folder.iterdir()}
    return MANIFEST in found and found <= written


def _manifest(
    task: Task, service: str, files: Sequence[str], own: Sequence[str], labels: Sequence[str]
) -> str:
    groups = task.groups or [None] * len(task)
    splits = [SPLITS[split] for split in task.splits.tolist()]
    rows = zip(files, own, splits, groups, strict=True)
    about: dict[str, Any] = {
        "schema": SCHEMA,
        "task": task.name,
        "format": service,
        "card": asdict(task.card),
        "labels": dict(zip(labels, task.classes, strict=True)),
        "images": [
            dict(zip(("file", "label", "split", "group"), row, strict=True)) for row in rows
        ],
    }
    return json.dumps(about, indent=1, ensure_ascii=False) + "\n"


def _lists(
    place: str, files: Sequence[str], tops: Sequence[str], own: Sequence[str]
) -> dict[str, str]:
    """The two forms of Vertex AI's list of images, either of which is enough."""
    table = io.StringIO()
    rows = [(top, place + file, label) for file, top, label in zip(files, tops, own, strict=True)]
    csv.writer(table, lineterminator="\n").writerows(rows)
    lines = [
        {
            "imageGcsUri": uri,
            "classificationAnnotation": {"displayName": label},
            "dataItemResourceLabels": {"aiplatform.googleapis.com/ml_use": top},
        }
        for top, uri, label in rows
    ]
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    return {"import.csv": table.getvalue(), "import.jsonl": text}


def _write(
    task: Task, folder: Path, files: Sequence[str], texts: Mapping[str, str], size: int | None
) -> None:
    """Fill a hidden sibling folder, then give it the name."""
    token = secrets.token_hex(4)
    fresh = folder.with_name(f".{folder.name}.{token}.tmp")
    retired = folder.with_name(f".{folder.name}.{token}.old")
    try:
        fresh.mkdir(parents=True)
        for parent in {(fresh / file).parent for file in files}:
            parent.mkdir(parents=True, exist_ok=True)
        for rows in torch.arange(len(task)).split(BATCH):
            for row, image in zip(rows.tolist(), _images(task, rows, size), strict=True):
                Image.fromarray(image.permute(1, 2, 0).numpy()).save(fresh / files[row])
        for name, text in texts.items():
            (fresh / name).write_text(text, encoding="utf-8")
        if folder.exists():
            folder.replace(retired)
        fresh.replace(folder)
    except OSError as error:
        raise InputError(
            f"the task cannot be written to {folder}: {error}; give a folder that can be written, "
            "on a disk with room"
        ) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        if retired.exists() and not folder.exists():
            retired.replace(folder)
        shutil.rmtree(retired, ignore_errors=True)


def _images(task: Task, rows: Tensor, size: int | None) -> Tensor:
    """Images of some rows, uint8 (m, 3, h, w)."""
    pixels = task.pixels.take(rows)
    if size is None and isinstance(pixels, ArrayPixels):
        height, width = pixels.images.shape[2:]
        if max(height, width) > LARGEST:
            raise TaskError(
                f"the images of task {task.name!r} have {height} x {width} pixels; expected at "
                f"most {LARGEST} a side; add --size {LARGEST} or less"
            )
        return pixels.images
    return pixels.at(size or FILE_SIZE)
