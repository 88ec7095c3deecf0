"""Does a meta-training find a new task's best source? Each family is left out in turn."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tans.errors import InputError
from tans.meta.data import MetaData
from tans.meta.metrics import chosen, regret, spearman
from tans.meta.presets import MetaSettings
from tans.meta.retriever import Retriever
from tans.meta.train import meta_train
from tans_bench.methods.likeness import baseline_scores, strangers

LOOKS = 5
"""Sources that a second look compares."""


@dataclass(frozen=True)
class Choice:
    """How well a score chooses the source for a target: means over targets."""

    spearman: float
    """Rank correlation of score and truth over the candidate sources, in [-1, 1]."""
    regret: float
    """Best truth minus the truth of the chosen source, in accuracy."""
    top1: float
    """Share of targets whose chosen source is the best one (or as good)."""
    accuracy: float
    """Truth of the chosen source."""
    regret_of_five: float
    """Best truth minus the best truth of the five first sources, which a second look compares."""


@dataclass(frozen=True, eq=False)
class Judged:
    """Choices of sources for targets that were unseen when they were scored."""

    targets: tuple[str, ...]
    """Names of the targets (k) that had candidates with a known truth."""
    scores: Mapping[str, Tensor]
    """Per method, scores (tasks, k) of sources for targets; NaN where not a candidate."""
    truth: Tensor
    """Accuracy (tasks, k) of the candidates; NaN elsewhere."""
    choices: Mapping[str, Choice]
    """Per method, and for ``random`` and ``oracle``."""


def leave_one_family_out(data: MetaData, settings: MetaSettings, truth: Tensor) -> Judged:
    """Train without each family in turn, and choose sources for its tasks among the others'.

    Args:
        data: the whole zoo.
        settings: of every training.
        truth: as for ``judge_left_out``.

    Raises:
        InputError: truth has another shape, or no target has a measured candidate.
    """
    _left_out(data, truth)
    return judge_left_out(data, train_without_families(data, settings), truth)


def train_without_families(data: MetaData, settings: MetaSettings) -> dict[str, Retriever]:
    """Per family that has images, a retriever that saw nothing of it."""
    tasks = data.has_images.nonzero().flatten().tolist()
    families = dict.fromkeys(data.families[task] for task in tasks)
    return {family: meta_train(data.without(family), settings) for family in families}


def judge_left_out(data: MetaData, retrievers: Mapping[str, Retriever], truth: Tensor) -> Judged:
    """Choose sources for the tasks of each family among the other families'.

    Methods: ``similarity`` (a source counts as its most similar network, equation 6),
    ``predicted`` (its best predicted network), ``probe`` (what a linear probe on the target's own
    images says), and those of ``tans_bench.methods.likeness``.

    Args:
        data: the whole zoo.
        retrievers: from ``train_without_families``.
        truth: (t, t), accuracy of source task on target task in the order of ``data.tasks``;
            NaN where not measured.

    Raises:
        InputError: truth has another shape, or no target has a measured candidate.
    """
    targets, measured = _left_out(data, truth)
    size = len(data.tasks)
    scores: dict[str, Tensor] = {"probe": data.probe_means[:, targets]}
    for family in dict.fromkeys(data.families[target] for target in targets):
        columns = [i for i, target in enumerate(targets) if data.families[target] == family]
        kept = torch.tensor([name != family for name in data.families])  # (t,)
        images = [_images(data, targets[i]) for i in columns]
        known = truth[kept][:, kept]
        found = _scores(retrievers[family], data.without(family), known, images)
        for name, score in found.items():
            full = scores.setdefault(name, torch.full((size, len(targets)), torch.nan))
            full[kept.nonzero(), torch.tensor(columns)] = score
    return _judged(tuple(data.tasks[i] for i in targets), scores, measured)


def _left_out(data: MetaData, truth: Tensor) -> tuple[list[int], Tensor]:
    """Targets (k) with a source of another family, and its accuracy (t, k), else NaN."""
    _check_shape(truth, (len(data.tasks), len(data.tasks)))
    allowed = truth.isfinite() & strangers(data) & _owned(data)[:, None] & data.has_images[None]
    targets = allowed.any(0).nonzero().squeeze(1).tolist()  # (k,)
    if not targets:
        raise InputError("no target with images has a source of another family measured on it")
    return targets, truth.masked_fill(~allowed, torch.nan)[:, targets]


def _check_shape(truth: Tensor, expected: tuple[int, ...]) -> None:
    if truth.shape != expected:
        raise InputError(
            f"measured accuracies have shape {tuple(truth.shape)}; expected {expected}, "
            "source tasks (by target tasks)"
        )


def _owned(data: MetaData) -> Tensor:
    """bool (t,): tasks that have networks."""
    return torch.bincount(data.entry_tasks, minlength=len(data.tasks)) > 0


def _judged(names: tuple[str, ...], scores: Mapping[str, Tensor], truth: Tensor) -> Judged:
    candidates = truth.isfinite()  # (t, k)
    # a method that cannot score a candidate ranks it last, it does not drop it
    shown = {
        name: score.nan_to_num(nan=-2.0).masked_fill(~candidates, torch.nan)
        for name, score in scores.items()
        if bool((score.isfinite() & candidates).any())
    }
    choices = {name: _choice(score, truth) for name, score in shown.items()}
    choices["random"] = _random_choice(truth)
    choices["oracle"] = _choice(truth, truth)
    return Judged(names, shown, truth, choices)


def _scores(
    retriever: Retriever,
    data: MetaData,
    measured: Tensor,
    images: Sequence[tuple[Tensor, Tensor]],
) -> dict[str, Tensor]:
    """Scores (t, k) of a zoo's tasks for targets, each given as features (n, f) and labels (n,)."""
    queries = torch.stack([retriever.encode_query(*pair) for pair in images])  # (k, width)
    cosines = retriever.matrix @ queries.T  # (e, k)
    accuracy = torch.stack([retriever.predict(q, retriever.matrix) for q in queries], 1)  # (e, k)
    means = torch.stack([features.mean(0) for features, _ in images])  # (k, f)
    return {
        "similarity": _best_by_task(cosines, data),
        "predicted": _best_by_task(accuracy, data),
        **baseline_scores(data, means, measured),
    }


def _images(data: MetaData, task: int) -> tuple[Tensor, Tensor]:
    rows = data.image_tasks == task
    return data.features[rows], data.labels[rows]


def _best_by_task(scores: Tensor, data: MetaData) -> Tensor:
    """Highest score (t, k) among each task's networks (e, k); NaN for a task without any."""
    best = torch.full((len(data.tasks), scores.shape[1]), -torch.inf)
    best.scatter_reduce_(0, data.entry_tasks[:, None].expand_as(scores), scores, "amax")
    return best.masked_fill(best.isinf(), torch.nan)


def _choice(scores: Tensor, truth: Tensor) -> Choice:
    missed = regret(scores, truth)  # (k,)
    return Choice(
        spearman=float(spearman(scores, truth).mean()),
        regret=float(missed.mean()),
        top1=float((missed == 0).float().mean()),
        accuracy=float(chosen(scores, truth).mean()),
        regret_of_five=float(regret(scores, truth, first=LOOKS).mean()),
    )


def _random_choice(truth: Tensor) -> Choice:
    """What a uniform choice gives in expectation."""
    known = truth.isfinite()
    best = truth.masked_fill(~known, -torch.inf).amax(0)  # (k,)
    mean = truth.nanmean(0)  # (k,)
    ties = (truth == best).sum(0) / known.sum(0)  # (k,)
    five = torch.tensor([_expected_best(column[column.isfinite()]) for column in truth.T])  # (k,)
    return Choice(
        spearman=0.0,
        regret=float((best - mean).mean()),
        top1=float(ties.mean()),
        accuracy=float(mean.mean()),
        regret_of_five=float((best - five).mean()),
    )


def _expected_best(values: Tensor, drawn: int = LOOKS) -> float:
    """Expected maximum of so many of the values (n,), drawn at random."""
    n = len(values)
    if n <= drawn:
        return float(values.max())
    chances = [math.comb(n - place - 1, drawn - 1) / math.comb(n, drawn) for place in range(n)]
    return float(values.sort(descending=True).values.double() @ torch.tensor(chances).double())
