"""Choose by a score of frozen features: every source is looked at on the task's own images.

Reference: You et al., LogME: Practical Assessment of Pre-trained Models for Transfer Learning,
ICML 2021.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from tans.baselines.method import Problem, Proposal
from tans.baselines.stored import largest_of, within
from tans.spaces.probe import logme, probe_accuracy
from tans.training import adapted_features
from tans.types import ZooEntry
from tans.zoo.sources import Sources
from tans.zoo.store import Zoo

IMAGES = 300
"""Of the task's training images, those that are looked at."""

Score = Callable[[Tensor, Tensor, Tensor], float]
"""Of features (n, f), labels (n,) and folds (n,); more is better."""


def by_probe(problem: Problem, zoo: Zoo) -> Proposal:
    """The source with the best cross-validated linear classifier."""
    return _best(problem, zoo, probe_accuracy)


def by_logme(problem: Problem, zoo: Zoo) -> Proposal:
    """The source with the highest evidence of a linear model."""
    return _best(problem, zoo, lambda features, labels, _: logme(features, labels))


def _best(problem: Problem, zoo: Zoo, score: Score) -> Proposal:
    """The largest network within the limits of the source that scores best at the zoo's size."""
    sources = Sources.of(zoo)
    stand_ins = [*sources.largest.values(), sources.base, sources.whole[0]]
    scores = {entry.id: _score(problem, zoo, entry, score) for entry in stand_ins}
    allowed = within(zoo.entries(vectors=False), problem)
    order = sorted(scores, key=lambda id: -scores[id])
    for id in order:
        if own := [entry for entry in allowed if sources.stand_in(entry).id == id]:
            return largest_of([own[0].task], own)
    return Proposal.of(allowed[0])


def _score(problem: Problem, zoo: Zoo, entry: ZooEntry, score: Score) -> float:
    images, labels, folds = problem.task.folds(entry.resolution, IMAGES)
    network = zoo.load(entry.id, len(problem.task.classes))
    return score(adapted_features(network, images), labels, folds)
