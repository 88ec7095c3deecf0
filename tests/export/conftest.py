"""A small network that was really fine-tuned, its images, and its export as ONNX."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tans.export.finetuned import save_finetuned
from tans.export.formats import export_network
from tans.networks.family import BUILT_IN, GROUP
from tans.networks.network import Network
from tans.tasks.task import Task
from tans.training import Epoch, FineTuned, Recipe, finetune
from tests.networks.plain import PLAIN, plain_ref
from tests.small_zoo import once

COLOURS = {"red": (200, 60, 60), "grün": (60, 200, 60), "dark blue": (60, 60, 200)}


@dataclass(frozen=True)
class Tuned:
    """A folder that a fine-tune wrote, and the dataset it was tuned on."""

    folder: Path
    images: Path


def draw_images(root: Path, count: int = 12, seed: int = 0) -> Path:
    """A folder for each colour, of noisy pictures."""
    generator = np.random.default_rng(seed)
    for name, colour in COLOURS.items():
        (root / name).mkdir(parents=True)
        for index in range(count):
            noise = generator.integers(-60, 56, (24, 30 + index, 3))
            Image.fromarray((np.array(colour) + noise).astype(np.uint8)).save(
                root / name / f"{index}.png"
            )
    return root


def as_tuned(network: Network, task: Task) -> FineTuned:
    """A network as if it were fine-tuned."""
    classes = len(task.classes)
    history, counts = (Epoch(1, 1.2, 0.5, 0.5, 0.5),), torch.eye(classes, dtype=torch.int64)
    return FineTuned(network, history, 1, 1.0, counts, 1.1, task.classes, Recipe(epochs=1))


@pytest.fixture(scope="module")
def plain_family() -> Iterator[None]:
    """``plain`` is among the families."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BUILT_IN, "plain", EntryPoint("plain", "tests.networks.plain:PLAIN", GROUP))
        yield


@pytest.fixture(scope="module")
def tuned(plain_family: None, session_folder: Path) -> Tuned:  # noqa: ARG001
    """With a deep head; to be read only."""

    def make(folder: Path) -> None:
        images = draw_images(folder / "images")
        task = Task.from_path(images)
        network = PLAIN.build(plain_ref(16), len(task.classes))
        save_finetuned(folder / "tuned", finetune(network, task, recipe=Recipe(epochs=3)), task)

    folder = once(session_folder / "tuned", make)
    return Tuned(folder / "tuned", folder / "images")


@pytest.fixture(scope="module")
def exported(tuned: Tuned, session_folder: Path) -> Path:
    """A folder with all that comes of an export as ONNX, in 8 bits too; to be read only."""

    def make(folder: Path) -> None:
        folder.mkdir()
        for file in tuned.folder.iterdir():
            (folder / file.name).write_bytes(file.read_bytes())
        export_network(folder, "onnx", images=[tuned.images], int8=True)

    return once(session_folder / "exported", make)
