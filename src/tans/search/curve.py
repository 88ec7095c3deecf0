"""What more images would bring: accuracy on a quarter, half and all of them, and a line beyond.

What is measured is a linear classifier on the frozen features of one network, the zoo's elastic
base: no network is fine-tuned, and none is searched for. A fine-tuned network mostly does better
on the same images; how steeply its accuracy rises is taken to be alike, and that is not measured.

References:
    Cortes et al., Learning Curves: Asymptotic Values and Rate of Convergence, NIPS 1993.
    Kornblith et al., Do Better ImageNet Models Transfer Better?, CVPR 2019 (log odds, in which
    accuracies of unlike tasks compare).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from tans.errors import InputError
from tans.networks.network import DeepHead
from tans.networks.probe import STRENGTHS, ridge_kernel, ridge_right
from tans.tasks.splits import TRAIN, assign_folds, group_numbers, stratified_subset
from tans.tasks.task import Task
from tans.training import adapted_features
from tans.zoo.zoo import Zoo

MOST = 1000
"""Training images that are looked at, at most."""
SHARES = (1 / 4, 1 / 2, 1.0)
"""Of the images that a classifier may learn from."""
DRAWS = (6, 3, 1)
"""Subsets of each of ``SHARES`` whose mean counts: small ones differ more."""
FOLDS = 10
"""Each is judged by what was learnt from the others; many, so that all means nearly all."""
LEAST_EACH = 2
"""Images of a class in a quarter of them, on average, below which nothing is told."""
LEAST_GROUPS = 5
"""With fewer, a quarter of those that are learnt from is no whole one."""
LAW_ERROR = 0.3
"""Standard error of what the line foretells, as a share of it, beside the spread of what is
measured: chosen so that intervals held in the experiment ``curves`` of tans-bench."""
NINE_IN_TEN = 1.645
"""Standard errors on both sides that hold nine values of ten."""


@dataclass(frozen=True)
class Curve:
    """How accuracy on frozen features rises with images, and what twice as many may bring.

    Accuracies are shares of images right in cross-validation, gains differences of them.
    """

    images: int = 0
    """Training images that there are."""
    learnt_from: tuple[int, ...] = ()
    """Images that classifiers were fitted to, for each of ``SHARES``."""
    accuracies: tuple[float, ...] = ()
    """Of these classifiers, in [0, 1], all judged by the same images."""
    now: float = math.nan
    """To be expected with all training images, as the line through the accuracies has it."""
    gain: float = math.nan
    """What twice as many images are expected to add to ``now``, at least 0."""
    low: float = math.nan
    high: float = math.nan
    """The interval that is meant to hold the gain nine times in ten; below 0 where chance in which
    images there are may outweigh that there are more."""
    untold: str | None = None
    """Why nothing can be told, as the end of a sentence; then all else is empty."""

    def words(self) -> str:
        """What was measured and what is expected, in a sentence or two."""
        if self.untold is not None:
            return f"What more images would bring cannot be told: {self.untold}."
        *first, last = (f"{count:,}" for count in self.learnt_from)
        *lower, upper = (f"{100 * share:.0f}" for share in self.accuracies)
        return (
            f"Accuracy on frozen features, learnt from {', '.join(first)} and {last} of the "
            f"{self.images:,} training images: {', '.join(lower)} and {upper} %. {self._expected()}"
        )

    def _expected(self) -> str:
        if self.accuracies[-1] == 1:
            return "With none of them wrong, it cannot be seen what twice as many would bring."
        gain, low, high = (round(100 * share) for share in (self.gain, self.low, self.high))
        points = "point" if gain == 1 else "points"
        return f"Twice as many images may bring {gain} {points} ({low} to {high})."


def learning_curve(task: Task, zoo: Zoo, most: int = MOST, seed: int = 0) -> Curve:
    """Measure how accuracy rises with a task's training images, without training a network.

    Features are made once, of at most ``most`` training images; each classifier takes milliseconds.

    Args:
        most: training images that are looked at, in the proportions of the classes.
        seed: of all that is drawn.

    Raises:
        ZooError: the zoo has no base, or what is read of it is damaged.
    """
    rows = (task.splits == TRAIN).nonzero().flatten()  # (m,)
    numbers = group_numbers(_named(task, rows), len(rows))
    kept = rows[stratified_subset(task.labels[rows], most, seed, numbers)]  # (n,)
    labels, groups = task.labels[kept], _named(task, kept)
    if untold := _too_few(labels, groups):
        return Curve(untold=untold)
    network = zoo.query_network()
    network.replace_head(len(task.classes), deep=True)
    head = network.classifier
    blocks = head.blocks if isinstance(head, DeepHead) else None
    features = adapted_features(network, task.pixels.at(network.input.size, kept), seed)
    return curve_of(features, labels, groups, len(rows), blocks, seed)


def curve_of(
    features: Tensor,
    labels: Tensor,
    groups: Sequence[str] | None,
    images: int,
    blocks: Sequence[int] | None = None,
    seed: int = 0,
) -> Curve:
    """The curve of features that were made already.

    A tenth of the images is judged by classifiers that learnt from a quarter, half and all of the
    others, and so is each other tenth: the same images judge all sizes, so that chance in what is
    judged does not bend the curve. An image whose class lies in one tenth alone judges nothing.

    Args:
        features: float (n, f), of any network.
        labels: int64 (n,).
        groups: per image, what must not be parted between those that judge and those learnt from;
            subsets, too, are of whole groups as far as classes allow. None for images alone.
        images: training images that there are, of which these may be a part.
        blocks: as ``tans.networks.probe.standards`` takes them.
        seed: of all that is drawn.

    Raises:
        InputError: the lengths differ.
    """
    _refuse_lengths(features, labels, groups)
    if untold := _too_few(labels, groups):
        return Curve(untold=untold)
    folds = assign_folds(labels, groups, FOLDS, seed)  # (n,)
    judging = _met_elsewhere(labels, folds)  # (n,)
    if not judging.any():
        return Curve(untold="no class has images in two groups")
    numbers = group_numbers(groups, len(labels))
    learnt, drawn = _judged(ridge_kernel(features, blocks), labels, numbers, folds, seed)
    drawn = [right[:, judging] for right in drawn]
    return _Measured(learnt, drawn, folds[judging], images).curve()


@dataclass(frozen=True, eq=False)
class _Measured:
    """What was learnt from how many images, and the line through it."""

    learnt: Tensor
    """Images learnt from, for each of ``SHARES``, float64 (3,)."""
    drawn: Sequence[Tensor]
    """For each share whether images were judged rightly, float64 (draws, n)."""
    folds: Tensor
    """Of the images that judge, int64 (n,)."""
    images: int
    """Training images that there are."""

    def curve(self) -> Curve:
        right = torch.stack([each.mean(0) for each in self.drawn])  # (3, n)
        accuracies = right.mean(1)  # (3,)
        now, then = self._foretold(accuracies)
        foretold, most = float(then - now), 1 - float(accuracies[-1])
        parts = self._by_judges(right), self._by_draws(), LAW_ERROR * foretold
        apart = NINE_IN_TEN * math.hypot(*parts)
        gain = min(max(foretold, 0.0), most)
        return Curve(
            images=self.images,
            learnt_from=tuple(round(count) for count in self.learnt.tolist()),
            accuracies=tuple(accuracies.tolist()),
            now=float(now),
            gain=gain,
            low=max(gain - apart, -float(accuracies[-1])),
            high=min(gain + apart, most),
        )

    def _foretold(self, accuracies: Tensor) -> tuple[Tensor, Tensor]:
        """Accuracy with all images, and with twice as many, (...) each, by a straight line.

        The line is that of least squares through log odds against the logarithm of the images.

        Args:
            accuracies: float64 (..., 3).
        """
        odds = accuracies.logit(0.5 / len(self.folds))  # (..., 3); half an image keeps them finite
        across = self.learnt.log2()
        middle = across - across.mean()
        slope = (odds @ middle) / (middle @ middle)  # (...)
        level = odds.mean(-1) + slope * (math.log2(self.images) - across.mean())
        return level.sigmoid(), (level + slope).sigmoid()

    def _by_judges(self, right: Tensor) -> float:
        """Standard error of the gain by which images judge: a jackknife over folds.

        Args:
            right: how often each image was judged rightly, float64 (3, n).
        """
        parts = self.folds.unique()
        without = torch.stack([right[:, self.folds != fold].mean(1) for fold in parts])  # (k, 3)
        now, then = self._foretold(without)
        return float(((then - now).var(correction=0) * (len(parts) - 1)).sqrt())

    def _by_draws(self) -> float:
        """Standard error of an accuracy by which images there are to learn from.

        All of them are one draw, as a quarter is, but of more images, so they differ less.
        """
        return SHARES[0] ** 0.5 * float(self.drawn[0].mean(1).std())


def _refuse_lengths(features: Tensor, labels: Tensor, groups: Sequence[str] | None) -> None:
    named = len(labels) if groups is None else len(groups)
    if not len(features) == len(labels) == named:
        raise InputError(
            f"{len(features)} features, {len(labels)} labels and {named} groups; expected one of "
            "each for every image"
        )


def _named(task: Task, rows: Tensor) -> tuple[str, ...] | None:
    """Groups of some of a task's images."""
    return task.groups and tuple(task.groups[row] for row in rows.tolist())


def _too_few(labels: Tensor, groups: Sequence[str] | None) -> str | None:
    """Why so few images tell nothing; None where they are enough."""
    quarter, classes = len(labels) // 4, len(labels.unique())
    if quarter < LEAST_EACH * max(classes, 1):
        return (
            f"a quarter of the {len(labels):,} training images that are looked at is fewer than "
            f"{LEAST_EACH} for each of {classes:,} classes"
        )
    if groups is not None and len(set(groups)) < LEAST_GROUPS:
        return f"the training images lie in fewer than {LEAST_GROUPS} groups"
    return None


def _met_elsewhere(labels: Tensor, folds: Tensor) -> Tensor:
    """Whether an image's class has images in another fold too, bool (n,)."""
    held = torch.zeros(int(labels.max()) + 1, FOLDS, dtype=torch.bool)  # (c, folds)
    held[labels, folds] = True
    return held.sum(1)[labels] > 1


def _judged(
    kernel: Tensor, labels: Tensor, groups: Tensor, folds: Tensor, seed: int
) -> tuple[Tensor, list[Tensor]]:
    """Images learnt from (3,), and of each share whether images were judged rightly (draws, n).

    At the penalty that is best for each share, as in ``probe_accuracy``; all are float64.
    """
    learnt, right = [], []
    for share, draws in zip(SHARES, DRAWS, strict=True):
        found = torch.zeros(draws, len(STRENGTHS), len(labels), dtype=torch.float64)
        sizes = []
        for fold, draw in product(folds.unique().tolist(), range(draws)):
            judged = folds == fold
            rest = (~judged).nonzero().flatten()
            count = round(share * len(rest))
            chosen = stratified_subset(labels[rest], count, seed + draw, groups[rest])
            found[draw][:, judged] += ridge_right(kernel, labels, rest[chosen], judged)
            sizes.append(float(count))
        learnt.append(sum(sizes) / len(sizes))
        right.append(found[:, found.mean((0, 2)).argmax()])
    return torch.tensor(learnt, dtype=torch.float64), right
