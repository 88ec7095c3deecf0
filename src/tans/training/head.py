"""A head that is fitted to frozen features, and what a probe says of them.

References:
    Kumar et al., Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution,
    ICLR 2022.
    Evci et al., Head2Toe: Utilizing Intermediate Representations for Better Transfer Learning,
    ICML 2022.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from tans.networks.batchnorm import folded, recalibrate, taking_statistics
from tans.networks.device import autocast, moved, near, place
from tans.networks.features import image_features
from tans.networks.network import DeepHead, Network, images_at_once, prepare
from tans.networks.probe import linear_head, probe_accuracy, standards
from tans.tasks.task import Task
from tans.training.loop import augment
from tans.training.recipe import HEAD_IMAGES, NORM_IMAGES, NORM_SIDE
from tans.types import Images

HEAD_LENGTH = 30.0
"""Mean squared length of what a deep head multiplies by its weights."""
UNEVEN = 1.5
"""Classes are weighed where the largest has more than this many times the images of the smallest;
below, weights would hardly change what is learnt."""


def class_weights(labels: Tensor, classes: int) -> Tensor | None:
    """How much an image of each class counts, float (classes,); None where classes are even.

    By the inverse root of the class's images, so that the mean weight of an image is 1. The whole
    inverse gives a few images of a rare class so much weight that small tasks learn less well.

    Args:
        labels: int64 (n,), below ``classes``; a class without images gets a weight all the same.
    """
    counts = torch.bincount(labels, minlength=classes).float()  # (classes,)
    present = counts[counts > 0]
    if present.max() <= UNEVEN * present.min():
        return None
    weights = counts.clamp(min=1).rsqrt()
    return weights * (len(labels) / (weights @ counts))


def fit_head(
    network: Network,
    images: Images,
    labels: Tensor,
    seed: int = 0,
    class_weights: Tensor | None = None,
    augmented: float = 0.0,
) -> float:
    """Fit batch-norm statistics and the head to a task, in place; all other weights stay.

    Returns:
        The mean cross-entropy of an image that it was fitted to.

    Args:
        images: uint8 (n, 3, r, r).
        labels: int64 (n,).
        class_weights: float (classes,), how much an image of each class counts; else all alike.
        augmented: strength of the changes to images that a deep head's features will be trained
            under, by which they are scaled: those that hardly vary without them would blow up.
    """
    rows = _shuffled(len(images), seed)[:HEAD_IMAGES]
    features, labels = adapted_features(network, images[rows]), labels[rows]  # (n, head's width)
    head = network.classifier
    blocks = head.blocks if isinstance(head, DeepHead) else None
    weight, bias = linear_head(features, labels, head.out_features, class_weights, blocks)
    loss = F.cross_entropy(F.linear(features, weight, bias), labels, class_weights).item()
    with torch.no_grad():
        if isinstance(head, DeepHead):
            if augmented:
                features = _augmented_features(network, images[rows], augmented, seed)
            mean, deviation = standards(features, blocks)
            # as long for any width, so that one learning rate does for all
            scale = math.sqrt(HEAD_LENGTH / head.in_features) / deviation
            head.mean.copy_(mean)
            head.scale.copy_(scale)
            head.weight.copy_(weight / scale)
            head.bias.copy_(bias + weight @ mean)
        else:
            head.weight.copy_(weight)
            head.bias.copy_(bias)
    return loss


def probe(
    network: Network, task: Task, limit: int | None = None, seed: int = 0, *, short: bool = False
) -> float:
    """Accuracy of a linear classifier on a network's frozen features, cross-validated, in [0, 1].

    It is where a fine-tune begins, so batch-norm statistics are those of the task.

    Args:
        network: its batch-norm statistics are replaced.
        limit: at most this many of the training images, which alone are looked at.
        short: let the processor compute in 16 bits what may be (``tans.costs.precision``).
    """
    images, labels, folds = task.folds(network.input.size, limit, seed)
    head = network.classifier
    blocks = head.blocks if isinstance(head, DeepHead) else None
    with torch.autocast("cpu", torch.bfloat16, enabled=short):
        features = glanced_features(network, images, seed)
    return probe_accuracy(features, labels, folds, blocks)


@torch.no_grad()
def glanced_features(network: Network, images: Tensor, seed: int = 0) -> Tensor:
    """As ``adapted_features``, in little more than half of the time.

    Images that give the batch-norm statistics are not passed again: they are seen as normalised by
    these, as the batches of a training are.

    Args:
        network: its batch-norm statistics are replaced.
        images: uint8 (n, 3, r, r).
    """
    rows = _shuffled(len(images), seed)
    own, rest = rows[:NORM_IMAGES], rows[NORM_IMAGES:]
    with taking_statistics(network) as takes_any:
        if not takes_any:
            return image_features(network, images, of_head=True).float()
        where = place(network)
        x = prepare(moved(images[own], where), network.input)
        with autocast(where):
            seen = network.head_features(x.to(memory_format=torch.channels_last))
        first = seen.float().cpu()  # (m, head's width)
    found = first.new_empty(len(images), first.shape[1])
    found[own] = first
    if len(rest):
        found[rest] = image_features(network, images[rest], of_head=True).float()
    return found


def adapted_features(network: Network, images: Images, seed: int = 0) -> Tensor:
    """What the head reads of images, (n, its width), under batch-norm statistics of these images.

    The first training step normalises by its own batch: what the statistics of other images let
    see is lost there.

    Args:
        network: its batch-norm statistics are replaced.
        images: uint8 (n, 3, r, r).
    """
    adapt(network, images, seed)
    return image_features(network, images, of_head=True)


@torch.no_grad()
def _augmented_features(network: Network, images: Tensor, strength: float, seed: int) -> Tensor:
    """What the head reads of images, (n, its width), each changed at random as in training."""
    generator = torch.Generator().manual_seed(seed)
    where = place(network)
    network = folded(network).to(memory_format=torch.channels_last)

    def changed(part: Tensor) -> Tensor:
        x = prepare(moved(part, where), network.input)
        return augment(x, False, generator, strength)

    with autocast(where):
        side = network.input.size
        parts = map(changed, near(images, where).split(images_at_once(side)))
        batches = (batch for part in parts for batch in part.split(images_at_once(side, where)))
        found = [network.head_features(batch) for batch in batches]
    return torch.cat(found).float().cpu()


def adapt(network: Network, images: Images, seed: int) -> None:
    """Take batch-norm statistics from some of the images, uint8 (n, 3, r, r).

    They are one batch, which would take gigabytes of large images: of these there are fewer.
    """
    most = max(1, NORM_IMAGES * min(1, NORM_SIDE**2 / network.input.size**2))
    recalibrate(network, images[_shuffled(len(images), seed)[: int(most)]])


def _shuffled(n: int, seed: int) -> Tensor:
    """Rows (n,) in random order."""
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed))
