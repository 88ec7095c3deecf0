"""The bilevel search that all methods on the supernet share: first-order, in turns.

Half of the training images teach the supernet's weights, the other half the weights of the
operations. The two strongest operations into each node are the cell that is found; the largest
network of it within the limits is proposed, untrained.

Reference: Liu et al., DARTS: Differentiable Architecture Search, ICLR 2019 (section 2.3, with
xi = 0).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Protocol, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tans.costs.limits import fits, needs
from tans.errors import InputError
from tans.networks.device import device
from tans.networks.network import prepare
from tans.tasks.splits import stratified_subset
from tans.training import augment
from tans.types import Architecture, Constraints, InputSpec
from tans_bench.methods.budget import on_record
from tans_bench.methods.darts.settings import CellSearchSettings, Stage
from tans_bench.methods.darts.supernet import (
    NORMAL,
    REDUCE,
    Kept,
    Supernet,
    Weights,
    derived_cell,
    widened,
)
from tans_bench.methods.method import UNTRAINED, Deviation, Problem, Proposal
from tans_bench.spaces.darts import DARTS, SIZES
from tans_bench.spaces.families import ref_of

NETWORK_DEVIATIONS = (
    Deviation(
        "derived network",
        "36 channels and 20 cells, 3.3 million parameters",
        "16 to 36 channels and 8 cells, the largest within 40 million multiply-adds: .5 to 1 "
        "million parameters; full budget too",
        "the limit of all methods; 100 epochs of it take 5 to 10 minutes of one core",
    ),
    Deviation(
        "stem",
        "moves by 1 pixel on images of 32, by 8 on those of 224",
        "by 4 on images of 64, in search and network; with the full budget by 1 in the search",
        "cells begin at 16 pixels, so that the limit leaves room for channels",
    ),
    Deviation(
        "training of the network",
        "500 epochs in the paper of TANS, 600 in its own, with an auxiliary head and dropped paths",
        "100 epochs, ten times the shortest fine-tune, without either; full budget too",
        "time",
    ),
    Deviation(
        "images of the search",
        "CIFAR-10, two halves of 25,000",
        "the task's own training images, two halves of at most 150; with the full budget all",
        "a network for the task is asked for",
    ),
    Deviation(
        "learning rate of the operations' weights",
        "6e-4 for thousands of steps",
        "2e-2 for some forty steps",
        "few steps must get as far",
    ),
)
LEAST_IMAGES = 4
"""That can be searched on."""


class Mixture(Protocol):
    """What a method learns of the operations."""

    @property
    def kept(self) -> tuple[Kept, Kept]:
        """Operations on each edge of the normal and of the reduction cell."""
        ...

    def parameters(self) -> Iterator[nn.Parameter]:
        """What is learnt."""
        ...

    def __call__(self) -> Weights:
        """Weights for one step, drawn anew where they are random."""
        ...

    def expected(self) -> Weights:
        """Weights in the mean, that the cells are derived from."""
        ...


M = TypeVar("M", bound=Mixture)


@dataclass(frozen=True)
class SearchEpoch:
    """What one pass over the first half of the images gave."""

    epoch: int
    """Counted from 1, over all stages."""
    loss: float
    """Mean cross-entropy of the supernet on the images that teach its weights."""
    accuracy: float
    """Of the supernet on the other half, augmented, under batch statistics, in [0, 1]."""
    entropy: float
    """Mean over edges of that of the operations' weights, in nats."""


@dataclass(frozen=True)
class Half:
    """Half of the training images."""

    images: Tensor
    """uint8 (n, 3, r, r)."""
    labels: Tensor
    """int64 (n,)."""

    def batches(self, size: int, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """All images once in batches of nearly equal size, augmented, on the device."""
        order = torch.randperm(len(self.images), generator=generator)
        for rows in order.tensor_split(max(1, round(len(order) / size))):
            yield self._batch(rows, generator)

    def draw(self, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """One batch of images at random, augmented, on the device."""
        return self._batch(torch.randperm(len(self.images), generator=generator)[:size], generator)

    def _batch(self, rows: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        x = augment(
            prepare(self.images[rows], InputSpec(self.images.shape[-1])),
            flip=False,
            generator=generator,
        )
        x = x.to(device(), memory_format=torch.channels_last)
        return x, self.labels[rows].to(device())


@dataclass(frozen=True)
class Bilevel:
    """Images, settings and randomness of one search, which go on from stage to stage."""

    teaching: Half
    """Of the supernet's weights."""
    judging: Half
    """Of the weights of the operations."""
    settings: CellSearchSettings
    generator: torch.Generator

    @classmethod
    def of(cls, problem: Problem, resolution: int, settings: CellSearchSettings) -> Bilevel:
        """On the training images of a task, halved in the proportions of the classes.

        Raises:
            InputError: there are too few.
        """
        images, labels = problem.task.split("train", resolution, settings.images, problem.seed)
        if len(images) < LEAST_IMAGES:
            raise InputError(
                f"{len(images)} training images; expected {LEAST_IMAGES} to search on: add images"
            )
        first = torch.zeros(len(labels), dtype=torch.bool)
        first[stratified_subset(labels, len(labels) // 2, problem.seed)] = True
        teaching, judging = (Half(images[rows], labels[rows]) for rows in (first, ~first))
        generator = torch.Generator().manual_seed(problem.seed)
        return cls(teaching, judging, settings, generator)

    def run(
        self, supernet: Supernet, mixture: Mixture, stage: Stage, done: int
    ) -> list[SearchEpoch]:
        """Train both in place over one stage, after so many epochs of others."""
        settings = self.settings
        weights = torch.optim.SGD(
            supernet.parameters(),
            settings.learning_rate,
            settings.momentum,
            weight_decay=settings.weight_decay,
        )
        architect = torch.optim.Adam(
            mixture.parameters(),
            settings.architecture_rate,
            betas=(0.5, 0.999),
            weight_decay=settings.architecture_decay,
        )
        supernet.train()
        history = []
        for epoch in range(stage.epochs):
            passed = (done + epoch) / settings.epochs
            weights.param_groups[0]["lr"] = settings.learning_rate * _cosine(passed)
            mean = 0.0
            for count, batch in enumerate(self._teaching_batches(), 1):
                if epoch >= stage.warm_up:
                    self._judge(supernet, mixture, architect)
                mean += (self._teach(supernet, mixture, weights, batch) - mean) / count
            accuracy = self._accuracy(supernet, mixture)
            entropy = mixture.expected().entropy
            history.append(SearchEpoch(done + epoch + 1, mean, accuracy, entropy))
        return history

    def _teaching_batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        return self.teaching.batches(self.settings.batch_size, self.generator)

    def _judge(
        self, supernet: Supernet, mixture: Mixture, architect: torch.optim.Optimizer
    ) -> None:
        """One step of the weights of the operations; the supernet's own stay."""
        x, y = self.judging.draw(self.settings.batch_size, self.generator)
        learnt = list(mixture.parameters())
        gradients = torch.autograd.grad(F.cross_entropy(supernet(x, mixture()), y), learnt)
        for parameter, gradient in zip(learnt, gradients, strict=True):
            parameter.grad = gradient
        architect.step()

    def _teach(
        self,
        supernet: Supernet,
        mixture: Mixture,
        weights: torch.optim.Optimizer,
        batch: tuple[Tensor, Tensor],
    ) -> float:
        """One step of the supernet's weights; its loss before."""
        x, y = batch
        loss = F.cross_entropy(supernet(x, mixture().detached()), y)
        weights.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(supernet.parameters(), self.settings.clip)
        weights.step()
        return loss.item()

    @torch.no_grad()
    def _accuracy(self, supernet: Supernet, mixture: Mixture) -> float:
        """On the judging half; running statistics lag behind in searches of few steps."""
        expected = mixture.expected()
        batches = self.judging.batches(self.settings.batch_size, self.generator)
        right = sum((supernet(x, expected).argmax(1) == y).sum().item() for x, y in batches)
        return right / len(self.judging.images)


def search_cells(
    problem: Problem,
    resolution: int,
    settings: CellSearchSettings,
    mixture_of: Callable[[M | None, Stage], M],
) -> Proposal:
    """Search for cells on the problem's training images.

    Args:
        problem: latency and minutes must not be limited.
        resolution: pixels a side.
        settings: with at least one stage.
        mixture_of: what a stage begins with, of what the stage before has learnt.

    Returns:
        The largest network of the cells within the limits, untrained. Its details hold the
        settings, the genotype, and the history of the search.

    Raises:
        LimitError: not even the smallest network of the space fits.
        InputError: latency or minutes are limited, or there are too few images.
    """
    _refuse_times(problem)
    largest_within([DARTS.lightest(SIZES[0])], resolution, problem)  # before minutes of search
    search = Bilevel.of(problem, resolution, settings)
    history: list[SearchEpoch] = []
    mixture, supernet = None, None
    with torch.random.fork_rng():
        torch.manual_seed(problem.seed)
        for stage in settings.stages:
            mixture = mixture_of(mixture, stage)
            supernet = _supernet(search, len(problem.task.classes), stage, mixture, supernet)
            history += search.run(supernet, mixture, stage, len(history))
    if mixture is None:
        raise InputError("the settings have no stages; expected at least one")
    normal, reduce = derived(mixture.expected())
    architecture = largest_within(
        [DARTS.of(normal, reduce, size) for size in SIZES], resolution, problem
    )
    details = {
        **on_record(settings),
        "genotype": DARTS.listing(architecture),
        "history": [asdict(epoch) for epoch in history],
    }
    return Proposal(UNTRAINED, UNTRAINED, ref_of(architecture, resolution), False, details)


def derived(weights: Weights) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Normal and reduction cell, by the product of the weights of operation and edge."""
    strengths = (weights.operations * weights.edges[..., None]).detach().cpu()  # (2, edges, o)
    return derived_cell(strengths[NORMAL]), derived_cell(strengths[REDUCE])


def largest_within(
    ascending: list[Architecture], resolution: int, problem: Problem
) -> Architecture:
    """The last of the networks that is within the limits.

    Raises:
        LimitError: none is.
    """
    if problem.limits == Constraints():
        return ascending[-1]
    refs = [ref_of(architecture, resolution) for architecture in ascending]
    kept = fits(needs(refs, problem.task, problem.limits), problem.limits)
    return [a for a, fit in zip(ascending, kept.tolist(), strict=True) if fit][-1]


def _refuse_times(problem: Problem) -> None:
    for name in ("max_latency_ms", "max_minutes"):
        if getattr(problem.limits, name) is not None:
            raise InputError(
                f"{name} is limited, and networks of the space {DARTS.name!r} cannot be held to "
                "it; expected limits on max_params and max_flops alone"
            )


def _supernet(
    search: Bilevel, classes: int, stage: Stage, mixture: Mixture, before: Supernet | None
) -> Supernet:
    """A supernet for a stage, with the weights of the one before."""
    settings = search.settings
    size = (settings.channels, settings.cells)
    supernet = Supernet(size, classes, settings.stem_stride, stage.parts, mixture.kept)
    if before is not None:
        state = widened(before.state_dict(), supernet.state_dict(), search.generator)
        supernet.load_state_dict(state)
    return supernet.to(device()).to(memory_format=torch.channels_last)


def _cosine(passed: float) -> float:
    """From one to zero as a share of all epochs passes."""
    return (1 + math.cos(math.pi * passed)) / 2
