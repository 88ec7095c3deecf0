"""Judge a meta-training: does it find a known task's networks, and a new task's best source?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from tans.errors import InputError
from tans.meta.data import MetaData
from tans.meta.metrics import Retrieval, chosen, regret, retrieval, spearman
from tans.meta.presets import MetaSettings
from tans.meta.retriever import Retriever
from tans.meta.train import meta_train


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


@dataclass(frozen=True, eq=False)
class LeaveOut:
    """Leave-one-family-out over all families: every target was unseen when it was scored."""

    targets: tuple[str, ...]
    """Names of the targets (k) that had candidates with a known truth."""
    scores: Mapping[str, Tensor]
    """Per method, scores (tasks, k) of sources for targets; NaN where not a candidate."""
    truth: Tensor
    """Accuracy (tasks, k) of the candidates; NaN elsewhere."""
    choices: Mapping[str, Choice]
    """Per method, and for ``random`` and ``oracle``."""


def evaluate_retrieval(retriever: Retriever, data: MetaData) -> Retrieval:
    """Rank the networks of ``data`` for the held-out images of each of its tasks.

    Raises:
        InputError: the networks are not those of the retriever, or no image is held out.
    """
    if retriever.entries != data.entries:
        raise InputError(
            f"the retriever embeds {len(retriever.entries)} networks that are not the "
            f"{len(data.entries)} of this data; train it on them first"
        )
    own = data.judged  # (h,)
    if not len(own):
        raise InputError("no image is held out; read the zoo with held_out above 0")
    queries = torch.stack([_query(retriever, data, t, data.held_out) for t in own.tolist()])
    return retrieval(queries @ retriever.matrix.T, data.entry_tasks, own)


def leave_one_family_out(data: MetaData, settings: MetaSettings, truth: Tensor) -> LeaveOut:
    """Train without each family in turn and choose sources for its tasks among the others'.

    Methods: ``similarity`` (a source counts as its most similar network, equation 6) and
    ``predicted`` (its best predicted network), beside ``nearest dataset`` (cosine of mean
    features), ``best on average`` (over targets of neither family), ``random`` and ``oracle``.

    Args:
        data: the whole zoo.
        settings: of every training.
        truth: (t, t), accuracy of source task on target task in the order of ``data.tasks``;
            NaN where not measured.

    Raises:
        InputError: truth has another shape, or no target has a measured candidate.
    """
    size = len(data.tasks)
    if truth.shape != (size, size):
        raise InputError(
            f"truth has shape {tuple(truth.shape)}; expected ({size}, {size}), "
            "source tasks by target tasks"
        )
    allowed = _candidates(data, truth)  # (t, t)
    targets = allowed.any(0).nonzero().squeeze(1)  # (k,)
    if not len(targets):
        raise InputError("no target with images has a source of another family measured on it")
    scores = _learned_scores(data, settings, targets)
    scores["nearest dataset"] = _nearest(data)
    scores["best on average"] = _best_on_average(data, truth)
    measured = truth.masked_fill(~allowed, torch.nan)[:, targets]  # (t, k)
    # a method that cannot score a candidate ranks it last, it does not drop it
    shown = {
        name: score[:, targets].nan_to_num(nan=-2.0).masked_fill(~allowed[:, targets], torch.nan)
        for name, score in scores.items()
    }
    choices = {name: _choice(score, measured) for name, score in shown.items()}
    choices["random"] = _random_choice(measured)
    choices["oracle"] = _choice(measured, measured)
    names = tuple(data.tasks[i] for i in targets.tolist())
    return LeaveOut(names, shown, measured, choices)


def _candidates(data: MetaData, truth: Tensor) -> Tensor:
    """bool (t, t): measured, the target has images, the source has networks, families differ."""
    owned = torch.bincount(data.entry_tasks, minlength=len(data.tasks)) > 0  # (t,)
    return truth.isfinite() & _strangers(data) & owned[:, None] & data.has_images[None]


def _strangers(data: MetaData) -> Tensor:
    return torch.tensor([[a != b for b in data.families] for a in data.families])  # (t, t)


def _learned_scores(data: MetaData, settings: MetaSettings, targets: Tensor) -> dict[str, Tensor]:
    size = len(data.tasks)
    similarity, predicted = torch.full((2, size, size), torch.nan)  # (t, t) each
    for family in dict.fromkeys(data.families[i] for i in targets.tolist()):
        rest = data.without(family)
        retriever = meta_train(rest, settings)
        sources = torch.tensor([data.tasks.index(name) for name in rest.tasks])  # (s,)
        for target in targets.tolist():
            if data.families[target] != family:
                continue
            query = _query(retriever, data, target, torch.ones_like(data.held_out))
            cosine = retriever.matrix @ query  # (e,)
            accuracy = retriever.predict(query, retriever.matrix)  # (e,)
            similarity[sources, target] = _best_by_task(cosine, rest)
            predicted[sources, target] = _best_by_task(accuracy, rest)
    return {"similarity": similarity, "predicted": predicted}


def _best_by_task(scores: Tensor, data: MetaData) -> Tensor:
    """Highest score (t,) among each task's networks (e,); NaN for a task without any."""
    best = torch.full((len(data.tasks),), -torch.inf)
    best.scatter_reduce_(0, data.entry_tasks, scores, "amax")
    return best.masked_fill(best.isinf(), torch.nan)


def _query(retriever: Retriever, data: MetaData, task: int, images: Tensor) -> Tensor:
    rows = (data.image_tasks == task) & images
    return retriever.encode_query(data.features[rows], data.labels[rows])  # (dim,)


def _nearest(data: MetaData) -> Tensor:
    """Cosines (t, t) of mean features; NaN for tasks without images."""
    size = len(data.tasks)
    total = torch.zeros(size, data.features.shape[1])
    total.index_add_(0, data.image_tasks, data.features)  # (t, f), as good as the mean in a cosine
    unit = F.normalize(total, dim=1).masked_fill(~data.has_images[:, None], torch.nan)
    return unit @ unit.T


def _best_on_average(data: MetaData, truth: Tensor) -> Tensor:
    """For each target (t, t), each source's mean advantage on targets of neither's family.

    An advantage is against the other sources on the same target, because sources are not all
    measured on the same targets.
    """
    strangers = _strangers(data)
    known = truth.isfinite() & strangers  # (t, t)
    filled = truth.nan_to_num().masked_fill(~known, 0.0)
    target_mean = filled.sum(0) / known.sum(0).clamp_min(1)  # (t,)
    advantage = (filled - target_mean) * known  # (t, t)
    total = advantage @ strangers.float()  # (t, t), column j leaves out j's family
    count = known.float() @ strangers.float()
    return torch.where(count > 0, total / count.clamp_min(1), torch.nan)


def _choice(scores: Tensor, truth: Tensor) -> Choice:
    missed = regret(scores, truth)  # (k,)
    return Choice(
        spearman=float(spearman(scores, truth).mean()),
        regret=float(missed.mean()),
        top1=float((missed == 0).float().mean()),
        accuracy=float(chosen(scores, truth).mean()),
    )


def _random_choice(truth: Tensor) -> Choice:
    """What a uniform choice gives in expectation."""
    known = truth.isfinite()
    best = truth.masked_fill(~known, -torch.inf).amax(0)  # (k,)
    mean = truth.nanmean(0)  # (k,)
    ties = (truth == best).sum(0) / known.sum(0)  # (k,)
    return Choice(0.0, float((best - mean).mean()), float(ties.mean()), float(mean.mean()))
