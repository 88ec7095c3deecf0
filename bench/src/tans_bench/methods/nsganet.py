"""NSGANetV2: evolve towards accuracy and few multiply-adds, by a surrogate that learns on the way.

Each iteration fits a surrogate of accuracy to the archive of evaluated architectures, evolves
architectures by NSGA-II on what it predicts, and evaluates some of them for real, on the task's
own images and with the elastic base's weights. Those are taken where the archive's front has gaps.

References:
    Lu et al., NSGANetV2: Evolutionary Multi-Objective Surrogate-Assisted Neural Architecture
    Search, ECCV 2020.
    Deb et al., A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II, IEEE Transactions on
    Evolutionary Computation 6(2), 2002.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import moocore
import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.problem import Problem as PymooProblem
from pymoo.operators.crossover.pntx import TwoPointCrossover
from pymoo.operators.mutation.pm import PM
from pymoo.operators.repair.rounding import RoundingRepair
from pymoo.optimize import minimize

from tans.networks.probe import probe_accuracy
from tans.training import Loop, accuracy, adapted_features, fit_head, sgd
from tans.types import Architecture
from tans.zoo.zoo import IMAGENET, Zoo
from tans_bench.methods.budget import affordable, on_record
from tans_bench.methods.genes import Genes, Genome, Room
from tans_bench.methods.method import Deviation, Problem, Proposal, space_of
from tans_bench.methods.onceforall import SUPERNET, base_of
from tans_bench.methods.surrogates import SURROGATES, switch
from tans_bench.recipes import plain
from tans_bench.spaces.families import ref_of

Array = NDArray[np.float64]
Evaluate = Callable[[Architecture], float]
"""Accuracy of an architecture on the task, in [0, 1]."""
DEVIATIONS = (
    SUPERNET,
    Deviation(
        "evaluations",
        "about 350 networks: 100 at random, then 8 in each of 30 iterations",
        "104: 48 at random, then 8 in each of 7 iterations; with the full budget 340",
        "each takes a second or two of one core",
    ),
    Deviation(
        "one evaluation",
        "some epochs of training from the supernet's weights",
        "a linear probe of frozen features, cross-validated on 300 images",
        "five epochs take more than ten times as long",
    ),
    Deviation(
        "what is evaluated where evolution finds too few new networks",
        "not told",
        "random ones within the limits; full budget too",
        "so that the number of evaluations is what is stated",
    ),
    Deviation(
        "goals",
        "accuracy and one or more costs; the user picks from the front",
        "accuracy and multiply-adds; the most accurate within the limits is taken",
        "one network is compared",
    ),
)
CROSSOVER, SPREAD = 0.9, 3.0
"""Of NSGA-II: chance of a two-point crossover, and index of polynomial mutation."""
HELD_OUT = 0
"""Fold of the training images that an evaluation by fine-tuning is judged by."""


@dataclass(frozen=True)
class NsgaNetSettings:
    """How much is evaluated, and how."""

    initial: int = 100
    """Random architectures that the archive begins with."""
    iterations: int = 30
    evaluated: int = 8
    """Architectures evaluated in each iteration: new ones of evolution, else random ones."""
    population: int = 40
    """Of NSGA-II, in each iteration."""
    generations: int = 20
    images: int | None = None
    """Training images looked at, at most; all when None."""
    epochs: int = 5
    """Of the fine-tune that evaluates an architecture; 0 for a linear probe of frozen features."""


FULL = NsgaNetSettings()
SMALL = NsgaNetSettings(initial=48, iterations=7, evaluated=8, images=300, epochs=0)
"""104 linear probes instead of 340 fine-tunes."""


@dataclass(frozen=True)
class Archive:
    """What was evaluated."""

    genes: Genes
    """(n, g)"""
    accuracies: Array
    """(n,), in [0, 1]."""
    flops: Array
    """Multiply-adds (n,)."""

    def best(self) -> int:
        """Row of the highest accuracy; among equals, of the fewest multiply-adds."""
        return int(np.lexsort((self.flops, -self.accuracies))[0])

    def front(self) -> NDArray[np.bool_]:
        """Rows that no other dominates (n,)."""
        return moocore.is_nondominated(np.stack([1 - self.accuracies, self.flops], axis=1))

    def hypervolume(self, largest: float) -> float:
        """Share that the front dominates of errors up to 1 and multiply-adds up to the largest."""
        points = np.stack([1 - self.accuracies, self.flops / largest], axis=1)
        return float(moocore.hypervolume(points, np.array([1.0, 1.0])))


@dataclass(frozen=True)
class Iteration:
    """How far the search had come when an iteration began, and its surrogate."""

    surrogate: str
    correlation: float
    """Spearman's of the surrogate's cross-validated predictions."""
    hypervolume: float


@dataclass(frozen=True)
class NsgaNetV2:
    """The architecture that did best on the task itself, with the elastic base's weights."""

    settings: NsgaNetSettings | None = None
    """Those that the problem's budget allows when None."""

    def __call__(self, problem: Problem, zoo: Zoo) -> Proposal:
        """Propose a subnet of the elastic base within the limits.

        Raises:
            LimitError: not even the smallest is within them.
            ZooError: the zoo lacks a base.
        """
        settings = self.settings or affordable(problem.budget, FULL, SMALL)
        weights = base_of(zoo)
        room = Room(Genome(space_of(zoo)), problem, zoo.resolution)
        evaluate = evaluation(problem, zoo, settings)
        archive, iterations = explore(room, evaluate, settings, problem.seed)
        architectures = [room.genome.decode(row) for row in archive.genes]
        largest = room.costs([space_of(zoo).largest])["max_flops"][0]
        details = {
            **on_record(settings),
            "evaluated": len(architectures),
            "archive": [
                {"architecture": str(a), "accuracy": float(accuracy), "flops": int(flops)}
                for a, accuracy, flops in zip(
                    architectures, archive.accuracies, archive.flops, strict=True
                )
            ],
            "surrogates": [i.surrogate for i in iterations],
            "correlations": [i.correlation for i in iterations],
            "hypervolumes": [i.hypervolume for i in iterations] + [archive.hypervolume(largest)],
        }
        best = architectures[archive.best()]
        return Proposal(IMAGENET, weights, ref_of(best, zoo.resolution), details=details)


def evaluation(problem: Problem, zoo: Zoo, settings: NsgaNetSettings) -> Evaluate:
    """How an architecture is evaluated: on training images alone, from the base's weights.

    By a linear probe, cross-validated; or by a fine-tune, judged by a fold that it leaves out.
    """
    weights, resolution = base_of(zoo), zoo.resolution
    images, labels, folds = problem.task.folds(resolution, settings.images, problem.seed)
    recipe = plain(max(1, settings.epochs), seed=problem.seed)

    def probed(architecture: Architecture) -> float:
        network = zoo.load_network(ref_of(architecture, resolution), weights, IMAGENET)
        return probe_accuracy(adapted_features(network, images, problem.seed), labels, folds)

    def tuned(architecture: Architecture) -> float:
        network = zoo.load_network(ref_of(architecture, resolution), weights, IMAGENET)
        network.replace_head(len(problem.task.classes), problem.seed)
        fitted, judged = folds != HELD_OUT, folds == HELD_OUT
        fit_head(network, images[fitted], labels[fitted], problem.seed)
        loop = Loop(network, network.input, sgd(network, recipe), recipe)
        loop.minimise(
            lambda x, y, _: F.cross_entropy(network(x), y), images[fitted], labels[fitted]
        )
        return accuracy(network, images[judged], labels[judged])

    return tuned if settings.epochs else probed


def explore(
    room: Room, evaluate: Evaluate, settings: NsgaNetSettings, seed: int
) -> tuple[Archive, list[Iteration]]:
    """Search the architectures within the limits; all that were evaluated.

    Raises:
        LimitError: nothing is within the limits.
    """
    rng = np.random.default_rng(seed)
    largest = room.costs([room.genome.space.largest])["max_flops"][0]
    first = _distinct(room, room.sample(2 * settings.initial, rng))[: settings.initial]
    archive = _evaluated(room, evaluate, first)
    iterations = []
    for _ in range(settings.iterations):
        features = room.genome.features(archive.genes)
        chosen = switch(features, archive.accuracies, SURROGATES, int(rng.integers(2**31)))
        iterations.append(
            Iteration(chosen.name, chosen.correlation, archive.hypervolume(float(largest)))
        )
        evolved = _nsga2(room, chosen.predict, archive.genes[archive.front()], settings, rng)
        rows = _new(room, archive, evolved, settings, rng)
        if not len(rows):
            break
        new = _evaluated(room, evaluate, rows)
        archive = Archive(
            np.concatenate([archive.genes, new.genes]),
            np.concatenate([archive.accuracies, new.accuracies]),
            np.concatenate([archive.flops, new.flops]),
        )
    return archive, iterations


def _new(
    room: Room,
    archive: Archive,
    evolved: Genes,
    settings: NsgaNetSettings,
    rng: np.random.Generator,
) -> Genes:
    """What is evaluated next (m, g): none twice, and fewer than wanted only in a small space."""
    known = {room.genome.decode(row) for row in archive.genes}

    def fresh(rows: Genes) -> Genes:
        new = np.array([room.genome.decode(row) not in known for row in rows], dtype=bool)
        return _distinct(room, rows[new])

    picked = fresh(evolved)
    if len(picked):
        front = archive.flops[archive.front()]
        picked = picked[fill_gaps(_flops(room, picked), front, settings.evaluated)]
    known.update(room.genome.decode(row) for row in picked)
    others = fresh(room.sample(4 * settings.evaluated, rng))
    return np.concatenate([picked, others])[: settings.evaluated]


def fill_gaps(candidates: Array, front: Array, count: int) -> NDArray[np.int64]:
    """Rows (m,), m <= count, of candidates that are farthest from the front and each other.

    Greedy: each is taken where the multiply-adds leave the widest gap, on a logarithmic scale.

    Args:
        candidates: multiply-adds (n,).
        front: multiply-adds (f,) of what is already there.
    """
    logs = np.log(candidates)
    gaps = np.abs(logs[:, None] - np.log(front)[None]).min(1, initial=np.inf)  # (n,)
    picked: list[int] = []
    for _ in range(min(count, len(candidates))):
        gaps[picked] = -1.0
        picked.append(int(gaps.argmax()))
        gaps = np.minimum(gaps, np.abs(logs - logs[picked[-1]]))
    return np.array(picked, dtype=np.int64)


def _evaluated(room: Room, evaluate: Evaluate, genes: Genes) -> Archive:
    accuracies = [evaluate(room.genome.decode(row)) for row in genes]
    return Archive(genes, np.array(accuracies), _flops(room, genes))


def _flops(room: Room, genes: Genes) -> Array:
    return room.costs([room.genome.decode(row) for row in genes])["max_flops"]


def _distinct(room: Room, genes: Genes) -> Genes:
    """Each architecture once, in order of first occurrence."""
    rows = {room.genome.decode(row): index for index, row in reversed(list(enumerate(genes)))}
    return genes[sorted(rows.values())]


def _nsga2(
    room: Room,
    predict: Callable[[Array], Array],
    front: Genes,
    settings: NsgaNetSettings,
    rng: np.random.Generator,
) -> Genes:
    """Last population (n, g) of NSGA-II, within the limits, from the front and random genes."""
    genome = room.genome

    class Predicted(PymooProblem):
        def _evaluate(self, x: Array, out: dict[str, Array], *_: Any, **__: Any) -> None:
            rows = np.asarray(x, dtype=np.int64)  # (n, g)
            architectures = [genome.decode(row) for row in rows]
            flops = room.costs(architectures)["max_flops"]
            out["F"] = np.stack([-predict(genome.features(rows)), flops], axis=1)
            out["G"] = (~room.allows(architectures)).astype(np.float64)[:, None]

    sizes = genome.sizes
    problem = Predicted(n_var=len(sizes), n_obj=2, n_ieq_constr=1, xl=0, xu=sizes - 1, vtype=int)
    start = np.concatenate([front, room.sample(settings.population, rng)])
    algorithm = NSGA2(
        pop_size=settings.population,
        sampling=start[: settings.population],
        crossover=TwoPointCrossover(prob=CROSSOVER),
        mutation=PM(eta=SPREAD, vtype=float, repair=RoundingRepair()),
    )
    seed = int(rng.integers(2**31))
    result = minimize(problem, algorithm, ("n_gen", settings.generations), seed=seed)
    genes = np.asarray(result.pop.get("X"), dtype=np.int64)
    return genes[room.allows([genome.decode(row) for row in genes])]
