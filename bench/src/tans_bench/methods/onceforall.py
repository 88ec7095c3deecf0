"""Once-for-All: evolve an architecture under the limits by a predictor of accuracy.

The predictor learns from the networks that the zoo has measured. It knows of no task, as in the
paper, where all accuracies are ImageNet's: those of a task are standardised, so that it learns
which architectures are better wherever they are trained.

Reference: Cai et al., Once-for-All: Train One Network and Specialize it for Efficient Deployment,
ICLR 2020 (section 3.3; accuracy predictor and evolution: appendix A and the released settings).
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.neural_network import MLPRegressor

from tans.errors import ZooError
from tans.networks.families.elastic.specification import architecture_of
from tans.zoo.zoo import IMAGENET, Zoo
from tans_bench.methods.budget import affordable, on_record
from tans_bench.methods.genes import Genes, Genome, Room
from tans_bench.methods.method import Deviation, Problem, Proposal, space_of
from tans_bench.spaces.families import ref_of

Array = NDArray[np.float64]
Score = Callable[[Array], Array]
"""Of architectures' features (n, f), more is better, (n,)."""
SUPERNET = Deviation(
    "supernet",
    "MobileNetV3 of elastic depth, width and kernel, trained on ImageNet by progressive shrinking",
    "this zoo's elastic base, of EfficientNet-Lite0, distilled without labels; full budget too",
    "its weights are in no package that is installed from an index",
)
DEVIATIONS = (
    SUPERNET,
    Deviation(
        "what the predictor learns from",
        "16,000 subnets measured on ImageNet",
        "2,400 networks of the zoo, accuracies standardised by task; full budget too",
        "no images of ImageNet are here",
    ),
    Deviation(
        "predictor",
        "three layers of 400",
        "two layers of 64, stopped where a tenth that is held out gets no better",
        "those rank the networks of unseen tasks no better",
    ),
)
RANDOM_DEVIATIONS = (
    SUPERNET,
    Deviation(
        "the method itself",
        "not in the paper",
        "the evolution of OFA, 500 generations of 100 within the limits, each score drawn anew",
        "tells what OFA owes to its predictor",
    ),
)
FOLDS = 5
HELD_OUT = 100
"""Pairs from which on a tenth of them is held out."""


@dataclass(frozen=True)
class PredictorSettings:
    """How the predictor of accuracy is fitted."""

    hidden: tuple[int, ...] = (400, 400, 400)
    """Widths of the hidden layers; three of 400 in the paper."""
    epochs: int = 200
    """At most; it stops when a tenth that is held out gets no better, as the measured accuracies
    are of few images and easily learnt by heart."""
    seed: int = 0


@dataclass(frozen=True)
class OnceForAllSettings:
    """How evolution goes; the defaults are those of the released search."""

    population: int = 100
    parents: float = 0.25
    """Share of the population that lives on and has children."""
    mutation: float = 0.1
    """Probability that a gene is drawn anew."""
    mutated: float = 0.5
    """Children by mutation, as a share of the population; the rest are by crossover."""
    generations: int = 500
    predictor: PredictorSettings = PredictorSettings()


FULL = OnceForAllSettings()
SMALL = OnceForAllSettings(predictor=PredictorSettings(hidden=(64, 64)))
"""A smaller predictor, as nothing else costs more than seconds."""


@dataclass(frozen=True)
class Predictor:
    """An accuracy predictor of one zoo."""

    score: Score
    correlation: float
    """Spearman's, within tasks that it was not fitted to; NaN where the zoo has but one."""
    pairs: int
    """Networks and tasks it was fitted to."""


@dataclass(frozen=True)
class OnceForAll:
    """The architecture with the best predicted accuracy, with the elastic base's weights."""

    settings: OnceForAllSettings | None = None
    """Those that the problem's budget allows when None."""
    at_random: bool = False
    """Let chance stand in for the predictor: as many generations of as many within the limits."""

    def __call__(self, problem: Problem, zoo: Zoo) -> Proposal:
        """Propose a subnet of the elastic base within the limits.

        Raises:
            LimitError: not even the smallest is within them.
            ZooError: the zoo lacks a base, or measured networks.
        """
        settings = self.settings or affordable(problem.budget, FULL, SMALL)
        room = Room(Genome(space_of(zoo)), problem, zoo.resolution)
        room.check()
        began = time.perf_counter()
        predictor = (
            chance(problem.seed) if self.at_random else accuracy_predictor(zoo, settings.predictor)
        )
        once_s = time.perf_counter() - began
        rng = np.random.default_rng(problem.seed)
        genes, score = evolve(room, predictor.score, settings, rng)
        details = {
            **on_record(settings),
            "predicted": score,
            "predictor_correlation": predictor.correlation,
            "predictor_pairs": predictor.pairs,
            "generations": settings.generations,
        }
        weights = base_of(zoo)
        architecture = room.genome.decode(genes)
        return Proposal(
            IMAGENET,
            weights,
            ref_of(architecture, zoo.resolution),
            details=details,
            once_s=once_s,
        )


def base_of(zoo: Zoo) -> str:
    """SHA-256 of the elastic base's weights.

    Raises:
        ZooError: the zoo has no base.
    """
    if zoo.base is None:
        raise ZooError(f"the zoo in {zoo.path} has no base; build it with 'tans zoo build'")
    return zoo.base


def evolve(
    room: Room, score: Score, settings: OnceForAllSettings, rng: np.random.Generator
) -> tuple[Genes, float]:
    """The best genes (g,) that evolution finds within the limits, and their score.

    Raises:
        LimitError: nothing is within the limits.
    """
    genome, size = room.genome, settings.population
    elders = max(1, round(settings.parents * size))
    mutants = round(settings.mutated * size)

    def mutated(parents: Genes, count: int) -> Genes:
        chosen = parents[rng.integers(len(parents), size=count)]
        return genome.mutate(chosen, settings.mutation, rng)

    def crossed(parents: Genes, count: int) -> Genes:
        mothers, fathers = rng.integers(len(parents), size=(2, count))
        return genome.cross(parents[mothers], parents[fathers], rng)

    genes = room.sample(size, rng)  # (n, g)
    scores = score(genome.features(genes))  # (n,)
    for _ in range(settings.generations):
        best = np.argsort(-scores, kind="stable")[:elders]
        parents, kept = genes[best], scores[best]
        by_mutation = room.fill(mutants, partial(mutated, parents))
        children = np.concatenate(
            [by_mutation, room.fill(size - mutants, partial(crossed, parents))]
        )
        if len(children):
            genes = np.concatenate([parents, children])
            scores = np.concatenate([kept, score(genome.features(children))])
    return genes[scores.argmax()], float(scores.max())


def chance(seed: int) -> Predictor:
    """A predictor that knows nothing: each score is drawn anew."""
    rng = np.random.default_rng([seed, 1])  # not the numbers that evolution draws
    return Predictor(lambda features: rng.random(len(features)), 0.0, 0)


@lru_cache(maxsize=4)
def accuracy_predictor(zoo: Zoo, settings: PredictorSettings) -> Predictor:
    """Fit a predictor to the networks that a zoo has measured, once for all tasks.

    Raises:
        ZooError: the zoo has no task with networks of different accuracies.
    """
    features, targets, tasks = measured(zoo)
    folds = tasks % min(FOLDS, len(np.unique(tasks)))  # (n,): tasks stay whole
    correlations = []
    for fold in np.unique(folds) if folds.any() else ():
        score = _fitted(features[folds != fold], targets[folds != fold], settings)
        for task in np.unique(tasks[folds == fold]):
            own = tasks == task
            correlations.append(spearmanr(score(features[own]), targets[own]).statistic)
    correlation = float(np.mean(np.nan_to_num(correlations))) if correlations else float("nan")
    return Predictor(_fitted(features, targets, settings), correlation, len(targets))


def measured(zoo: Zoo) -> tuple[Array, Array, NDArray[np.int64]]:
    """Of a zoo's networks: features (n, f), accuracies standardised by task (n,), tasks (n,).

    Raises:
        ZooError: no task has networks of different accuracies.
    """
    genome = Genome(space_of(zoo))
    by_task: dict[str, list[tuple[Genes, float]]] = {}
    for entry in zoo.entries(vectors=False):
        if entry.val_accuracy is not None and entry.task != IMAGENET:
            pair = (genome.encode(architecture_of(entry.ref)), entry.val_accuracy)
            by_task.setdefault(entry.task, []).append(pair)
    genes: list[Genes] = []
    targets: list[Array] = []
    tasks: list[NDArray[np.int64]] = []
    for pairs in by_task.values():
        accuracies = np.array([accuracy for _, accuracy in pairs])
        if accuracies.std() > 0:
            genes += [own for own, _ in pairs]
            targets.append((accuracies - accuracies.mean()) / accuracies.std())
            tasks.append(np.full(len(pairs), len(tasks)))
    if not targets:
        raise ZooError(
            f"the zoo in {zoo.path} has no task with networks of different accuracies; expected "
            "some to fit a predictor to: build it with 'tans zoo build'"
        )
    return genome.features(np.stack(genes)), np.concatenate(targets), np.concatenate(tasks)


def _fitted(features: Array, targets: Array, settings: PredictorSettings) -> Score:
    model = MLPRegressor(
        hidden_layer_sizes=settings.hidden,
        max_iter=settings.epochs,
        early_stopping=len(targets) >= HELD_OUT,
        random_state=settings.seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of having used up its epochs
        model.fit(features, targets)
    return model.predict
