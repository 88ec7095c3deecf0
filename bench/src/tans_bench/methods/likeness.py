"""Source choices that learn nothing: what a retriever has to beat.

All score the tasks of a zoo (t) as sources for targets (k) outside it, from measured transfer
among the zoo's own tasks.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tans.meta.data import MetaData
from tans.meta.metrics import regret

TEMPERATURES = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Tried for the cosine that makes one neighbour e times as telling as another."""


def baseline_scores(data: MetaData, queries: Tensor, measured: Tensor) -> dict[str, Tensor]:
    """Scores (t, k) of sources for targets, by method; NaN where a method has none.

    ``nearest dataset``: cosine of mean features. ``best on average``: mean advantage over targets
    of another family than the source's. ``neighbours``: mean advantage over all tasks, those like
    the target counting more. ``neighbours + own``: the same, where a task's own networks count as
    the best on it. ``neighbours, probed``: the latter from linear probes.

    Args:
        data: the zoo; of it, mean features, families and probes are read.
        queries: (k, f), mean features of the targets.
        measured: (t, t), accuracy of source task on target task, NaN where not measured.
    """
    means = mean_features(data)  # (t, f)
    among_strangers = measured.masked_fill(~strangers(data), torch.nan)
    everyone = torch.ones(len(means), len(queries))  # (t, k)
    scores = {
        "nearest dataset": F.normalize(means, dim=1) @ F.normalize(queries, dim=1).T,
        "best on average": advantage(among_strangers, everyone, everyone > 0),
        "neighbours": neighbours(data, queries, measured),
        "neighbours + own": neighbours(data, queries, measured, own=True),
    }
    if bool(data.probe_means.isfinite().any()):
        scores["neighbours, probed"] = neighbours(data, queries, data.probe_means, own=True)
    return scores


def neighbours(data: MetaData, queries: Tensor, measured: Tensor, own: bool = False) -> Tensor:
    """Similarity-weighted mean advantage (t, k) of sources for targets of mean feature (k, f).

    The temperature is the one of ``TEMPERATURES`` with the least regret when each family of the
    zoo is left out in turn.
    """
    means, apart = mean_features(data), strangers(data)
    targets = data.has_images & (measured.isfinite() & apart).any(0)  # (t,)
    known = measured.masked_fill(~apart, torch.nan)[:, targets]  # (t, h)
    alike = centred_cosines(means, means[targets], apart[:, targets])  # (t, h)

    def missed(temperature: float) -> float:
        scores = advantage(measured, _weights(alike, temperature), apart[:, targets], own)
        return float(regret(scores.nan_to_num(-torch.inf), known).mean())

    best = min(TEMPERATURES, key=missed)
    everyone = torch.ones(len(means), len(queries), dtype=torch.bool)
    weights = _weights(centred_cosines(means, queries, everyone), best)  # (t, k)
    return advantage(measured, weights, everyone, own)


def strangers(data: MetaData) -> Tensor:
    """bool (t, t): the two tasks are of different families."""
    return torch.tensor([[a != b for b in data.families] for a in data.families])


def mean_features(data: MetaData) -> Tensor:
    """Mean image feature (t, f) of each task; NaN for a task without images."""
    size = len(data.tasks)
    total = torch.zeros(size, data.features.shape[1])
    total.index_add_(0, data.image_tasks, data.features)  # (t, f)
    return total / torch.bincount(data.image_tasks, minlength=size)[:, None]


def centred_cosines(means: Tensor, queries: Tensor, usable: Tensor) -> Tensor:
    """Cosines (t, k) of means (t, f) with queries (k, f), about the mean of the usable tasks.

    Without the centre all cosines are close to 1, and say little. NaN where the task has no
    images, or is not usable (t, k).
    """
    counted = usable & means[:, :1].isfinite()  # (t, k)
    share = counted / counted.sum(0).clamp_min(1)
    centre = share.T @ means.nan_to_num()  # (k, f)
    about = F.normalize(means[:, None] - centre, dim=2)  # (t, k, f)
    cosines = (about * F.normalize(queries - centre, dim=1)).sum(2)
    return cosines.masked_fill(~counted, torch.nan)


def advantage(measured: Tensor, weights: Tensor, usable: Tensor, own: bool = False) -> Tensor:
    """Weighted mean (t, k) of how far a source lay above the others on known targets.

    The advantage is against the sources measured on the same target, because not all are
    measured on the same ones.

    Args:
        measured: (t, t), accuracy of source on known target, NaN where not measured.
        weights: (t, k), of each known target for each target asked about.
        usable: bool (t, k), tasks that count, as source and as known target.
        own: count a task's own networks as the best on it, where not measured.
    """
    both = usable[:, None] & usable[None]  # (s, t, k)
    known = measured.isfinite()[:, :, None] & both
    filled = measured.nan_to_num()[:, :, None] * known  # (s, t, k)
    level = filled.sum(0) / known.sum(0).clamp_min(1)  # (t, k)
    if own:
        best = filled.masked_fill(~known, 0.0).amax(0)  # (t, k)
        diagonal = torch.eye(len(measured), dtype=torch.bool)[:, :, None] & both & ~known
        diagonal &= known.any(0)
        filled, known = torch.where(diagonal, best, filled), known | diagonal
    weight = weights * known  # (s, t, k)
    total = weight.sum(1)  # (s, k)
    return torch.where(total > 0, (weight * (filled - level)).sum(1) / total, torch.nan)


def _weights(cosines: Tensor, temperature: float) -> Tensor:
    return (cosines / temperature).exp().nan_to_num(0.0)
