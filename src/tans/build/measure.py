"""Measure subnets of stored weights; what those of one task share is read once.

Nearly all the time goes to running a subnet on images, which nothing can share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tans.networks.batchnorm import folded
from tans.networks.device import device, moved, near, place
from tans.networks.family import describe
from tans.networks.features import functional_embedding, reference_similarities
from tans.networks.network import Network, Weights, images_at_once, prepare
from tans.tasks.task import Task
from tans.types import NetworkRef, ZooEntry
from tans.zoo import previews
from tans.zoo.ids import entry_id
from tans.zoo.weights import calibrated
from tans.zoo.zoo import Zoo

METERS = 16
"""Meters that a process keeps, at most; about 30 MB each."""

Split = tuple[Tensor, Tensor]


@dataclass(frozen=True, eq=False)
class Meter:
    """Measures subnets of one task's stored weights."""

    task: str
    weights: str
    """SHA-256 of the stored weights."""
    licence: str
    resolution: int
    """Pixels a side."""
    state: Weights
    """The weights, unpacked."""
    thumbnails: Tensor
    """That batch-norm statistics are taken from, uint8 (64, 3, r, r)."""
    held_out: tuple[Split, ...] = ()
    """Images and labels to validate and to test on; where there are none, nothing is measured."""

    @classmethod
    def of(cls, zoo: Zoo, task: Task, weights: str) -> Meter:
        """Of the weights that a zoo stores for a task.

        Raises:
            ZooError: the zoo has no such task or weights, or they are damaged.
        """
        splits = held_out(task, zoo.resolution)
        return cls.read(zoo, task.name, weights, task.card.licence, held_out=splits)

    @classmethod
    def read(
        cls,
        zoo: Zoo,
        task: str,
        weights: str,
        licence: str,
        *,
        resolution: int | None = None,
        held_out: tuple[Split, ...] = (),
    ) -> Meter:
        """Read what is stored; at the zoo's resolution when no other is given.

        Raises:
            ZooError: the zoo has no such task or weights, or they are damaged.
        """
        resolution = resolution or zoo.resolution
        where = device()
        thumbnails = moved(previews.resize(zoo.thumbnails(task), resolution), where)
        # once, as each network looks at all of them
        held_out = tuple((near(images, where), labels) for images, labels in held_out)
        state = zoo.base_state(weights)
        return cls(task, weights, licence, resolution, state, thumbnails, held_out)

    def entry(self, ref: NetworkRef) -> ZooEntry:
        """A network as an entry, measured and embedded, and not yet stored."""
        network = calibrated(self.state, ref, lambda: self.thumbnails)
        val_accuracy, accuracy = accuracies(network, self.held_out) or (None, None)
        entry = embedded(network, self.task, self.weights, self.licence)
        return replace(entry, val_accuracy=val_accuracy, accuracy=accuracy)


def embedded(network: Network, task: str, weights: str, licence: str) -> ZooEntry:
    """A network as an entry, embedded and not measured.

    Args:
        task: that its weights were trained on.
        weights: SHA-256 of them.
    """
    known = describe(network.ref)
    return ZooEntry(
        id=entry_id(task, weights, network.ref),
        ref=network.ref,
        weights=weights,
        origins=(task,),
        licence=licence,
        width=known.width,
        body_params=known.body_params,
        body_flops=known.body_flops,
        val_accuracy=None,
        accuracy=None,
        similarities=tuple(reference_similarities(network).tolist()),
        topology=known.topology,
        functional=tuple(functional_embedding(network).tolist()),
    )


def held_out(task: Task, resolution: int) -> tuple[Split, ...]:
    """Images and labels to validate and to test on: all that measuring needs of a task."""
    return tuple(task.split(name, resolution) for name in ("val", "test"))


@torch.no_grad()
def accuracies(network: Network, splits: Sequence[Split]) -> list[float | None]:
    """What ``tans.training.accuracy`` gives of each split; None for one without images."""
    if not splits:
        return []
    place(network)
    fast = folded(network).to(memory_format=torch.channels_last)
    return [_accuracy(fast, images, labels) if len(images) else None for images, labels in splits]


def _accuracy(fast: Network, images: Tensor, labels: Tensor) -> float:
    where = fast.classifier.weight.device
    scores = [
        fast(prepare(moved(batch, where), fast.input).to(memory_format=torch.channels_last))
        for batch in images.split(images_at_once(fast.input.size, where))
    ]
    return (torch.cat(scores).argmax(1).cpu() == labels).float().mean().item()
