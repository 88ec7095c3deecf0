"""MetaD2A as a method: generate architectures for the task, and take the best predicted.

It gives an architecture and no task weights: those are inherited from the elastic base.

Reference: Lee, Hyung and Hwang, Rapid Neural Architecture Search by Learning to Generate Graphs
from Datasets, ICLR 2021.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

from tans.costs.limits import fits, needs
from tans.errors import LimitError, ZooError
from tans.networks.features import image_features
from tans.types import Architecture
from tans.zoo.zoo import IMAGENET, QUERY_IMAGES, Zoo
from tans_bench.methods.budget import affordable, on_record
from tans_bench.methods.metad2a.learning import FULL, SMALL, Learnt, MetaD2ASettings, kept
from tans_bench.methods.metad2a.pairs import Dataset, Pairs
from tans_bench.methods.method import Deviation, Problem, Proposal, space_of
from tans_bench.spaces.families import ref_of

DEVIATIONS = (
    Deviation(
        "weights of the network",
        "of an ImageNet supernet, MobileNetV3",
        "of this zoo's elastic base, EfficientNet-Lite0; full budget too",
        "its supernet's weights are in no package that is installed from an index",
    ),
    Deviation(
        "what is learnt from",
        "ImageNet in 32 pixels, cut into many tasks of its classes",
        "2,400 networks on 24 tasks of the zoo; full budget too",
        "no images of ImageNet are here",
    ),
    Deviation(
        "generator",
        "400 passes, rate 1e-4 falling on plateaus",
        "80 passes, rate 1e-3 falling along a cosine",
        "a minute of one core, once",
    ),
    Deviation(
        "predictor",
        "512 wide, 400 passes, 20 images of a class",
        "96 wide, 6 images of a class; until a tenth of the pairs that is held out gets no better "
        "for 20 passes, 200 at most",
        "once, a minute of one core; the curve is kept with each result",
    ),
    Deviation(
        "what counts as good to generate",
        "the best architectures of a task",
        "a quarter of each task's, by fronts of accuracy and multiply-adds; full budget too",
        "the best alone are the largest, which limits exclude",
    ),
)
ROUNDS = 10
"""Times that as many as wanted are generated, at most, where limits exclude what comes."""


@dataclass(frozen=True)
class MetaD2A:
    """Choose the best predicted of the architectures that are generated for a task.

    Where none of those is within the limits, the best predicted of random ones that are.
    """

    settings: MetaD2ASettings | None = None
    """What the problem's budget allows when None."""

    def __call__(self, problem: Problem, zoo: Zoo) -> Proposal:
        """Propose a subnet of the elastic base.

        Raises:
            LimitError: not even the smallest subnet is within the limits.
            ZooError: the zoo has no base, or nothing to learn from.
        """
        settings = self.settings or affordable(problem.budget, FULL, SMALL)
        began = time.perf_counter()
        learnt = learnt_on(zoo.path, settings)
        once_s = time.perf_counter() - began
        if zoo.base is None:
            raise ZooError(f"the zoo in {zoo.path} has no base; build it with 'tans zoo build'")
        _within([space_of(zoo).smallest], problem, zoo)
        images, labels = problem.task.sample(QUERY_IMAGES, zoo.resolution)
        dataset = image_features(zoo.query_network(), images), labels
        found = _generated(learnt, dataset, problem, zoo)
        candidates = found or _random(problem, zoo, settings.candidates)
        scores = learnt.predict(dataset, learnt.graphs.types(candidates))  # (n,)
        best = int(scores.argmax())
        details = {
            **on_record(settings),
            "generated": len(found),
            "candidates": len(candidates),
            "score": round(scores[best].item(), 4),
            "curve": [asdict(epoch) for epoch in learnt.curve],
        }
        return Proposal(
            IMAGENET,
            zoo.base,
            ref_of(candidates[best], zoo.resolution),
            details=details,
            once_s=once_s,
        )


@lru_cache(maxsize=2)
def learnt_on(folder: Path, settings: MetaD2ASettings) -> Learnt:
    """Learnt on all of a zoo, kept in the cache."""
    return kept(Pairs.of_zoo(Zoo.open(folder)), settings)


def best_generated(learnt: Learnt, dataset: Dataset, count: int, seed: int) -> list[Architecture]:
    """The best predicted of the valid architectures that are generated for a dataset, best first.

    Args:
        dataset: features (n, f) and labels (n,).
        count: how many, at most.
        seed: of the draws.
    """
    types, edges = learnt.generate(dataset, learnt.settings.candidates, seed, masked=True)
    valid = types[learnt.graphs.valid(types, edges)].unique(dim=0)  # (n, v)
    order = learnt.predict(dataset, valid).argsort(descending=True, stable=True)[:count]
    return learnt.graphs.architectures(valid[order])


def _generated(learnt: Learnt, dataset: Dataset, problem: Problem, zoo: Zoo) -> list[Architecture]:
    """Different valid architectures within the limits, as many as wanted or what came of them."""
    wanted = learnt.settings.candidates
    drawn = random.Random(f"{problem.seed} {problem.task.name}")
    found: dict[Architecture, None] = {}
    for _ in range(ROUNDS):
        types, edges = learnt.generate(dataset, wanted, drawn.getrandbits(62))
        valid = learnt.graphs.architectures(types[learnt.graphs.valid(types, edges)])
        found |= dict.fromkeys(_allowed(valid, problem, zoo))
        if len(found) >= wanted:
            break
    return list(found)[:wanted]


def _random(problem: Problem, zoo: Zoo, count: int) -> list[Architecture]:
    """The smallest, and what is within the limits of so many random architectures."""
    drawn = random.Random(f"{problem.seed} {problem.task.name}")
    sampled = [space_of(zoo).sample(drawn) for _ in range(count)]
    return _allowed([space_of(zoo).smallest, *sampled], problem, zoo)


def _allowed(
    architectures: Sequence[Architecture], problem: Problem, zoo: Zoo
) -> list[Architecture]:
    """Those within the limits; empty where there are none."""
    if not architectures:
        return []
    try:
        return list(_within(architectures, problem, zoo))
    except LimitError:
        return []


def _within(
    architectures: Sequence[Architecture], problem: Problem, zoo: Zoo
) -> Iterator[Architecture]:
    """Those within the limits.

    Raises:
        LimitError: there are none.
    """
    refs = [ref_of(architecture, zoo.resolution) for architecture in architectures]
    needed = needs(refs, problem.task, problem.limits)
    kept = fits(needed, problem.limits)  # (n,)
    return (a for a, fit in zip(architectures, kept.tolist(), strict=True) if fit)
