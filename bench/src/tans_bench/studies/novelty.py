"""How well a fine-tuned network tells images that are none of its classes: a trial of scores.

A fifth of each task's classes is held out. Their images are *near* unknowns, test images of the
other tasks *far* ones. A threshold is set on validation images, as it is at a fine-tune.

References:
    Hendrycks and Gimpel, A Baseline for Detecting Misclassified and Out-of-Distribution Examples in
    Neural Networks, ICLR 2017 (highest probability).
    Hendrycks et al., Scaling Out-of-Distribution Detection for Real-World Settings, ICML 2022
    (highest score).
    Liu et al., Energy-based Out-of-distribution Detection, NeurIPS 2020.
    Sun et al., Out-of-Distribution Detection with Deep Nearest Neighbors, ICML 2022.
    Ren et al., A Simple Fix to Mahalanobis Distance for Improving Near-OOD Detection, 2021.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product

import numpy as np
import torch
import torch.nn.functional as F
from scipy.stats import rankdata
from torch import Tensor

from tans.networks.features import image_features
from tans.networks.network import DeepHead, Network
from tans.novelty import RATE, Novelty
from tans.tasks.splits import TEST, TRAIN
from tans.tasks.task import Task
from tans.training import Recipe, finetune
from tans.zoo.sources import Sources
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Drawing, Table
from tans_bench.runs.experiment import Experiment, Fixed
from tans_bench.runs.judge import judged
from tans_bench.runs.results import LINES, Result, Results

RUNS = "novelty"
TASKS = ("script-greek", "icons-apps", "fashion-mnist", "wesnoth-terrain")
SEEDS = (0, 1)
SIZE, IMAGES, STEPS = 64, 300, 80
"""Pixels a side, training images at most before classes are held out, and steps."""
HELD_OUT = 5
"""One class in so many is held out, another one for each seed."""
FAR = 100
"""Test images of each other task."""
NEIGHBOURS = 5
SHRINKAGE = 0.1
"""Share of a covariance that is taken from one of equal deviations in all directions."""
NEAR, ALL_FAR = KINDS = ("near", "far")


@dataclass(frozen=True)
class Seen:
    """What a network makes of images."""

    scores: Tensor
    """(n, classes)."""
    features: Tensor
    """What its head reads, standardised as it does that, (n, width)."""

    @property
    def told(self) -> tuple[Tensor, Tensor]:
        """Scores, and lengths of the features (n,), all that tans itself takes."""
        return self.scores, self.features.norm(dim=1)


@dataclass(frozen=True)
class Learnt:
    """What it makes of images that it learnt from, of their labels, and of others like them."""

    seen: Seen
    labels: Tensor
    """(m,)."""
    val: Seen
    """Of validation images."""

    def means(self) -> Tensor:
        """Of each class's features, (classes, width)."""
        members = F.one_hot(self.labels, self.seen.scores.shape[1]).float()  # (m, classes)
        return members.T @ self.seen.features / members.sum(0)[:, None]


def _as_tans_does(seen: Seen, learnt: Learnt) -> Tensor:
    nothing = torch.empty(0, 0), torch.empty(0)
    return Novelty.of(learnt.val.told, nothing).strangeness(*seen.told)


def _to_means(seen: Seen, learnt: Learnt) -> Tensor:
    return torch.cdist(seen.features, learnt.means()).amin(1)


def _to_neighbours(seen: Seen, learnt: Learnt) -> Tensor:
    ours, theirs = (F.normalize(each.features, dim=1) for each in (seen, learnt.seen))
    return torch.cdist(ours, theirs).kthvalue(NEIGHBOURS, dim=1).values


def _mahalanobis(seen: Seen, learnt: Learnt, relative: bool) -> Tensor:
    """Squared distance to the nearest class mean, by the covariance within classes."""
    known, means = learnt.seen.features.double(), learnt.means().double()
    own = _squared(seen.features.double(), means, known - means[learnt.labels]).amin(1)
    if not relative:
        return own
    middle = known.mean(0, keepdim=True)  # (1, width)
    return own - _squared(seen.features.double(), middle, known - middle)[:, 0]


def _squared(x: Tensor, centres: Tensor, spread: Tensor) -> Tensor:
    """Squared distances of (n, width) to (c, width), by the covariance of deviations (m, width)."""
    covariance = spread.T @ spread / len(spread)
    even = covariance.diagonal().mean() * torch.eye(len(covariance), dtype=covariance.dtype)
    covariance = (1 - SHRINKAGE) * covariance + SHRINKAGE * even
    root = torch.linalg.cholesky(covariance)
    white = [torch.linalg.solve_triangular(root, part.T, upper=False).T for part in (x, centres)]
    return torch.cdist(*white).square()


SCORES: Mapping[str, Callable[[Seen, Learnt], Tensor]] = {
    "highest probability": lambda seen, _: -seen.scores.softmax(1).amax(1),
    "highest score": lambda seen, _: -seen.scores.amax(1),
    "energy": lambda seen, _: -seen.scores.logsumexp(1),
    "length of the features": lambda seen, _: seen.features.norm(dim=1),
    "highest score and length": _as_tans_does,
    "nearest class mean": _to_means,
    "nearest training images": _to_neighbours,
    "Mahalanobis": lambda seen, learnt: _mahalanobis(seen, learnt, relative=False),
    "relative Mahalanobis": lambda seen, learnt: _mahalanobis(seen, learnt, relative=True),
}
"""How strange each image is (n,), the higher the stranger. The first five need nothing but what the
network gives for one image, and the fifth four numbers beside it; the others compare it with images
that were learnt from."""


@dataclass(frozen=True)
class Trial:
    """Fine-tune on some classes of a task, and score images of all."""

    task: str
    seed: int = 0

    @property
    def name(self) -> str:
        return f"{RUNS}{LINES}/{self.task}-s{self.seed}"

    def done(self, bench: Bench) -> bool:
        return bench.results.find(RUNS, asdict(self)) is not None

    def run(self, bench: Bench) -> Result:
        whole = judged(bench.tasks(self.task, None), self.seed, IMAGES)
        held = held_out(whole, self.seed)
        task = only(whole, [k for k in range(len(whole.classes)) if k not in held])
        network = bench.zoo.load(Sources.of(bench.zoo).base.id, 2)
        tuned = finetune(network, task, SIZE, recipe_of(task, self.seed))
        images, labels = task.split("train", SIZE)
        shown = {name: task.split(name, SIZE)[0] for name in ("val", "test")}
        shown[NEAR] = whole.pixels.at(
            SIZE, torch.isin(whole.labels, torch.tensor(held)).nonzero()[:, 0]
        )
        shown[ALL_FAR] = torch.cat([_strangers(bench, each) for each in TASKS if each != self.task])
        seen = {name: looked_at(tuned.network, each) for name, each in shown.items()}
        learnt = Learnt(looked_at(tuned.network, images), labels, seen["val"])
        return {
            **asdict(self),
            "accuracy": tuned.test_accuracy,
            "held_out": [whole.classes[k] for k in held],
            "images": {name: len(each) for name, each in {**shown, "train": images}.items()},
            "seconds": round(tuned.seconds, 1),
            "scores": {
                name: judge({kind: score(each, learnt) for kind, each in seen.items()})
                for name, score in SCORES.items()
            },
        }


def held_out(task: Task, seed: int) -> list[int]:
    """Indices of the classes that a seed does not learn."""
    return [k for k in range(len(task.classes)) if k % HELD_OUT == seed % HELD_OUT]


def only(task: Task, classes: Sequence[int]) -> Task:
    """A task with the images of some of its classes alone."""
    rows = torch.isin(task.labels, torch.tensor(classes)).nonzero()[:, 0]
    place = torch.full((len(task.classes),), -1)
    place[torch.tensor(classes)] = torch.arange(len(classes))
    return replace(
        task,
        classes=tuple(task.classes[k] for k in classes),
        pixels=task.pixels.take(rows),
        labels=place[task.labels[rows]],
        splits=task.splits[rows],
        groups=task.groups and tuple(task.groups[row] for row in rows.tolist()),
        keys=task.keys and tuple(task.keys[row] for row in rows.tolist()),
    )


def recipe_of(task: Task, seed: int) -> Recipe:
    """The default one, in whole epochs that come nearest to ``STEPS``."""
    recipe = Recipe(seed=seed)
    steps = recipe.steps(task.split_sizes[TRAIN])
    return replace(recipe, epochs=max(1, round(STEPS / steps)))


def looked_at(network: Network, images: Tensor) -> Seen:
    """What a network makes of images, uint8 (n, 3, r, r)."""
    features, head = image_features(network, images, of_head=True), network.classifier
    with torch.no_grad():
        scores = head(features)
        if isinstance(head, DeepHead):
            features = (features - head.mean) * head.scale
    return Seen(scores, features)


def judge(strange: Mapping[str, Tensor]) -> Result:
    """What a score is worth, of how strange images of each kind are, (n,) each."""
    known = strange["val"].sort().values
    limit = known[len(known) - math.floor(RATE * (len(known) + 1))]
    found: dict[str, float] = {"false_alarms": _above(strange["test"], limit)}
    for kind in KINDS:
        found[f"auroc_{kind}"] = auroc(strange["test"], strange[kind])
        found[f"found_{kind}"] = _above(strange[kind], limit)
    return found


def auroc(known: Tensor, unknown: Tensor) -> float:
    """Chance that an unknown image is stranger than a known one; equals count half."""
    ranks = rankdata(np.concatenate([unknown.numpy(), known.numpy()]))
    n, m = len(unknown), len(known)
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * m))


def _above(strange: Tensor, limit: Tensor) -> float:
    return (strange > limit).float().mean().item()


def _strangers(bench: Bench, name: str) -> Tensor:
    task = judged(bench.tasks(name, None), 0, IMAGES)
    return task.pixels.at(SIZE, (task.splits == TEST).nonzero()[:FAR, 0])


def draw(plan: Fixed, results: Results) -> Sequence[Drawing]:
    del plan  # whatever is stored
    runs = results.lines(RUNS)
    if not runs:
        return []
    named = [name for name in SCORES if all(name in run["scores"] for run in runs)]
    return [_overall(runs, named), _by_task(runs, named)]


def _overall(runs: Sequence[Result], named: Sequence[str]) -> Table:
    rows = []
    for name in named:
        own = [run["scores"][name] for run in runs]
        aurocs = [_mean([each[f"auroc_{kind}"] for each in own]) for kind in KINDS]
        shares = [
            _mean([each[key] for each in own])
            for key in ("false_alarms", *map("found_{}".format, KINDS))
        ]
        alarms = [100 * each["false_alarms"] for each in own]
        cells = [f"{100 * share:.1f}" for share in (*aurocs, *shares)]
        rows.append([name, *cells[:3], f"{min(alarms):.1f}-{max(alarms):.1f}", *cells[3:]])
    count = len({run["task"] for run in runs})
    columns = (
        *("score", "AUROC, near", "AUROC, far", "false alarms", "lowest-highest"),
        *("near found", "far found"),
    )
    caption = (
        f"A trial: {len(runs)} runs on {count} tasks. All in %, mean over runs. The threshold lets "
        f"{100 * RATE:g} % of {_range([run['images']['val'] for run in runs])} validation images "
        "lie above it; false alarms are test images of known classes above it, found the unknown "
        "ones."
    )
    return Table("scores", caption, columns, rows)


def _by_task(runs: Sequence[Result], named: Sequence[str]) -> Table:
    rows = []
    for task in dict.fromkeys(run["task"] for run in runs):
        own = [run for run in runs if run["task"] == task]
        cells = [
            f"{100 * _mean([run['scores'][name][f'auroc_{kind}'] for run in own]):.0f}"
            for name, kind in product(named, KINDS)
        ]
        pairs = [" / ".join(cells[k : k + 2]) for k in range(0, len(cells), 2)]
        rows.append([task, f"{100 * _mean([run['accuracy'] for run in own]):.0f}", *pairs])
    caption = "AUROC in %, near / far, and the accuracy on known classes, mean over seeds."
    return Table("tasks", caption, ("task", "accuracy", *named), rows)


def _mean(values: Sequence[float]) -> float:
    return statistics.fmean(values)


def _range(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return str(low) if low == high else f"{low} to {high}"


EXPERIMENT = Experiment(
    name="novelty",
    title="Images that are none of the classes",
    question=(
        "Which score tells images of classes that a network never learnt, and images of other "
        "tasks, from those that it did learn? And does a threshold from validation images keep its "
        "promise?"
    ),
    plan=Fixed(tuple(Trial(*cell) for cell in product(TASKS, SEEDS))),
    drawn=draw,
)
