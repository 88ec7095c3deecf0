"""What a user would take without a method: ImageNet's network, or one by a simple rule.

All keep to the limits by taking the largest stored network of a source that does. A static order
by size and the best on average are strong references: many published scores for choosing a
pretrained network do not beat them.
"""

from __future__ import annotations

import random
import statistics
from dataclasses import replace

import torch

from tans.errors import ZooError
from tans.networks.features import image_features
from tans.zoo.sources import Sources
from tans.zoo.zoo import IMAGENET, QUERY_IMAGES, Zoo
from tans_bench.methods.method import UNTRAINED, Deviation, Problem, Proposal
from tans_bench.methods.stored import largest_of, within

DEVIATIONS = (
    Deviation(
        "network",
        "MobileNetV3, 224 pixels",
        "EfficientNet-Lite0, 64 pixels",
        "the elastic base was distilled from it, so that all subnets begin with its weights",
    ),
    Deviation(
        "images, for every method",
        "ten Kaggle datasets, whole",
        "packaged tasks, at most 300 training images",
        "what two cores can train on in minutes",
    ),
    Deviation(
        "choice of the epoch, for every method",
        "read off the test images",
        "by validation images; the test images are looked at once",
        "the best of many looks at the test images says too much",
    ),
)
PROBE = 0
"""Epochs of a transfer that is a linear probe."""


def imagenet(problem: Problem, zoo: Zoo) -> Proposal:
    """The ImageNet network as published, at the highest resolution within the limits."""
    whole = Sources.of(zoo).whole
    return Proposal.of(max(within(whole, problem), key=lambda entry: entry.resolution))


def imagenet_random_head(problem: Problem, zoo: Zoo) -> Proposal:
    """The same under a random head, as it is mostly fine-tuned."""
    return replace(imagenet(problem, zoo), fit_head=False)


def elastic_base(problem: Problem, zoo: Zoo) -> Proposal:
    """The largest subnet of the ImageNet network within the limits, as its distillation left it."""
    slices = [e for e in zoo.entries(vectors=False, task=IMAGENET) if e.weights == zoo.base]
    return Proposal.of(max(within(slices, problem), key=lambda entry: entry.body_params))


def from_scratch(problem: Problem, zoo: Zoo) -> Proposal:
    """The architecture of ``elastic_base`` with untrained weights."""
    return Proposal(UNTRAINED, UNTRAINED, elastic_base(problem, zoo).ref, fit_head=False)


def at_random(problem: Problem, zoo: Zoo) -> Proposal:
    """Any stored network within the limits."""
    drawn = random.Random(f"{problem.seed} {problem.task.name}")
    return Proposal.of(drawn.choice(within(zoo.entries(vectors=False), problem)))


def largest(problem: Problem, zoo: Zoo) -> Proposal:
    """A stored network of the most parameters within the limits; any of those that are equal."""
    entries = within(zoo.entries(vectors=False), problem)
    most = max(entry.body_params for entry in entries)
    drawn = random.Random(f"{problem.seed} {problem.task.name}")
    return Proposal.of(drawn.choice([entry for entry in entries if entry.body_params == most]))


def nearest_dataset(problem: Problem, zoo: Zoo) -> Proposal:
    """The largest network of the source task whose mean image feature is nearest by cosine."""
    images, _ = problem.task.sample(QUERY_IMAGES, zoo.resolution)
    query = image_features(zoo.query_network(), images).mean(0)  # (f,)
    means = {t.name: zoo.features(t.name)[0].mean(0) for t in zoo.tasks() if t.features}
    near = {name: torch.cosine_similarity(mean, query, 0).item() for name, mean in means.items()}
    order = sorted(near, key=lambda name: -near[name])
    return largest_of(order, within(zoo.entries(vectors=False), problem))


def best_on_average(problem: Problem, zoo: Zoo) -> Proposal:
    """The largest network of the source with the best probes on the zoo's own tasks.

    Raises:
        ZooError: the zoo holds no probes.
    """
    stand_ins = {entry.id: task for task, entry in Sources.of(zoo).largest.items()}
    by_target: dict[str, dict[str, float]] = {}
    for transfer in zoo.transfers(newest=True):
        if transfer.epochs == PROBE and transfer.source in stand_ins:
            by_target.setdefault(transfer.target, {})[transfer.source] = transfer.accuracy
    gains: dict[str, list[float]] = {}
    for probes in by_target.values():
        mean = statistics.fmean(probes.values())
        for id, accuracy in probes.items():
            gains.setdefault(stand_ins[id], []).append(accuracy - mean)
    if not gains:
        raise ZooError(
            f"the zoo in {zoo.path} holds no probes; expected some: 'tans zoo transfers'"
        )
    average = {task: statistics.fmean(gained) for task, gained in gains.items()}
    order = sorted(average, key=lambda task: -average[task])
    return largest_of(order, within(zoo.entries(vectors=False), problem))
