"""What the page asks of a zoo: names and pictures of what networks learnt from."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from tans.errors import ZooError
from tans.types import ZooEntry
from tans.zoo.ids import asked_size
from tans.zoo.zoo import IMAGENET

ELASTIC_BASE = "elastic base"


class Pictures(Protocol):
    """The part of a zoo that the page reads."""

    @property
    def base(self) -> str | None: ...
    def entry(self, id: str) -> ZooEntry: ...
    def thumbnails(self, task: str) -> Tensor: ...


def pictures_of(zoo: Pictures, task: str) -> Tensor | None:
    """64 images of a source, uint8 (64, 3, 64, 64); None where the zoo keeps none."""
    if task == IMAGENET:  # its sheet shows what the elastic base was distilled on, not ImageNet
        return None
    try:
        return zoo.thumbnails(task)
    except ZooError:
        return None


def title_of(zoo: Pictures, id: str) -> str:
    """What a network learnt from, in words: the source task, the elastic base, or ImageNet."""
    try:
        entry = zoo.entry(id)
    except ZooError:
        return id
    at = f" at {entry.resolution} px" if asked_size(id) else ""
    if entry.task != IMAGENET:
        return entry.task + at
    if entry.weights == zoo.base:
        return ELASTIC_BASE + at
    name = "ImageNet" if entry.place is None else f"ImageNet, {entry.ref.name},"
    return f"{name} at {entry.resolution} px"
