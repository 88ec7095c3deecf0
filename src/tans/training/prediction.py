"""What a network says of images, and how often it is right."""

from __future__ import annotations

import torch
from torch import Tensor

from tans.networks.batchnorm import folded
from tans.networks.device import moved, near, place
from tans.networks.network import Network, images_at_once, prepare
from tans.types import Images


def predict(network: Network, images: Images) -> Tensor:
    """Class scores for uint8 images, (n, 3, r, r) to (n, classes), on the CPU."""
    return scores_and_lengths(network, images)[0]


@torch.no_grad()
def scores_and_lengths(network: Network, images: Images) -> tuple[Tensor, Tensor]:
    """Class scores (n, classes) for uint8 images (n, 3, r, r), and the length of what the head
    reads of each (n,), on the CPU."""
    where = place(network)
    network = folded(network).to(memory_format=torch.channels_last)
    found = [
        network.scores_and_lengths(
            prepare(moved(batch, where), network.input).to(memory_format=torch.channels_last)
        )
        for batch in near(images, where).split(images_at_once(network.input.size, where))
    ]
    if not found:
        return torch.empty(0, 0), torch.empty(0)
    scores, lengths = (torch.cat(parts).cpu() for parts in zip(*found, strict=True))
    return scores, lengths


def accuracy(network: Network, images: Images, labels: Tensor) -> float:
    """Share of images whose highest score is their label; NaN for no images."""
    if not len(images):
        return float("nan")
    return (predict(network, images).argmax(1) == labels).float().mean().item()


def confusion_matrix(network: Network, images: Images, labels: Tensor, classes: int) -> Tensor:
    """Counts of (true class, predicted class), int64 (classes, classes)."""
    return counted(predict(network, images), labels, classes)


def counted(scores: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Counts (classes, classes) of labels (n,) and of the highest of scores (n, classes)."""
    if not len(labels):
        return torch.zeros(classes, classes, dtype=torch.int64)
    cells = labels * classes + scores.argmax(1)
    return torch.bincount(cells, minlength=classes**2).view(classes, classes)
