"""Choose by a score of frozen features: every source is looked at on the task's own images.

Reference: You et al., LogME: Practical Assessment of Pre-trained Models for Transfer Learning,
ICML 2021.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from torch import Tensor

from tans.networks.probe import logme, probe_accuracy
from tans.training import adapted_features
from tans.types import ZooEntry
from tans.zoo.sources import Sources
from tans.zoo.zoo import Zoo
from tans_bench.methods.method import Problem, Proposal
from tans_bench.methods.stored import largest_of, within

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
    """The largest network within the limits of the source that scores best at the zoo's size.

    The details hold the scores of all sources by the network that stands for each, best first.
    """
    sources = Sources.of(zoo)
    stand_ins = [*sources.largest.values(), sources.base, sources.whole[0]]
    scores = {entry.id: _score(problem, zoo, entry, score) for entry in stand_ins}
    ranked = dict(sorted(scores.items(), key=lambda pair: -pair[1]))
    allowed = within(zoo.entries(vectors=False), problem)
    by_source = ([e for e in allowed if sources.stand_in(e).id == id] for id in ranked)
    own = next(filter(None, by_source), allowed[:1])
    return replace(largest_of([own[0].task], own), details={"scores": ranked})


def _score(problem: Problem, zoo: Zoo, entry: ZooEntry, score: Score) -> float:
    images, labels, folds = problem.task.folds(entry.resolution, IMAGES)
    network = zoo.load(entry.id, len(problem.task.classes))
    return score(adapted_features(network, images), labels, folds)
