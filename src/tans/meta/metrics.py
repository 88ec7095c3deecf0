"""Numbers that judge a ranking, with what chance would give beside them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Ranking:
    """How high the right one stands, over many queries; ranks count from 1."""

    r1: float
    """Share of queries whose right one ranks first, in [0, 1]."""
    r5: float
    """Share within the first five."""
    r10: float
    """Share within the first ten."""
    mean_rank: float
    median_rank: float


@dataclass(frozen=True)
class Retrieval:
    """Does a query find its own task's networks?"""

    entries: Ranking
    """Rank of the best own network among all networks."""
    entries_chance: Ranking
    """The same for a random order."""
    tasks: Ranking
    """Rank of the own task among tasks, each standing at its best network."""
    tasks_chance: Ranking
    """The same for a random order of tasks."""
    queries: int
    """Queries that were ranked."""


def retrieval(scores: Tensor, entry_tasks: Tensor, own: Tensor) -> Retrieval:
    """Ranks of the own networks, over unseen instances of known tasks.

    Args:
        scores: (q, n), of each query with each network.
        entry_tasks: int64 (n,), the task of each network.
        own: int64 (q,), the task of each query; every one has a network.
    """
    tasks, column = entry_tasks.unique(return_inverse=True)
    best = torch.full((len(scores), len(tasks)), -torch.inf)  # (q, t)
    best.scatter_reduce_(1, column.expand(len(scores), -1), scores, "amax")
    own_best = best.gather(1, torch.searchsorted(tasks, own)[:, None])  # (q, 1)
    foreign = entry_tasks[None] != own[:, None]  # (q, n)
    return Retrieval(
        entries=_ranking(_ranks(scores, own_best, foreign)),
        entries_chance=_chance(len(entry_tasks), (~foreign).sum(1)),
        tasks=_ranking(_ranks(best, own_best, tasks[None] != own[:, None])),
        tasks_chance=_chance(len(tasks), torch.ones_like(own)),
        queries=len(scores),
    )


def spearman(scores: Tensor, truth: Tensor) -> Tensor:
    """Rank correlations (t,) down the columns of two (s, t); rows with NaN in either are left out.

    A column in which either is constant has no order, and counts as 0.
    """
    known = scores.isfinite() & truth.isfinite()  # (s, t)
    a, b = (_centred_ranks(x, known) for x in (scores, truth))
    length = (a.square().sum(0) * b.square().sum(0)).sqrt()  # (t,)
    return torch.where(length > 0, (a * b).sum(0) / length.clamp_min(1e-12), 0.0)


def chosen(scores: Tensor, truth: Tensor, first: int = 1) -> Tensor:
    """Truth (t,) of the best of the ``first`` best-scored sources in each column of (s, t).

    Sources count that have both a score and a truth.
    """
    known = scores.isfinite() & truth.isfinite()
    order = scores.masked_fill(~known, -torch.inf).argsort(dim=0, descending=True, stable=True)
    taken = truth.masked_fill(~known, -torch.inf).gather(0, order[:first])  # (first, t)
    return taken.amax(0)


def regret(scores: Tensor, truth: Tensor, first: int = 1) -> Tensor:
    """Best truth minus ``chosen``, (t,), in the unit of truth (s, t)."""
    known = scores.isfinite() & truth.isfinite()
    return truth.masked_fill(~known, -torch.inf).amax(0) - chosen(scores, truth, first)


def _ranks(scores: Tensor, own: Tensor, foreign: Tensor) -> Tensor:
    """Rank (q,) of own (q, 1) among the foreign scores (q, n); a tie counts half a place."""
    above = (scores > own) & foreign
    equal = (scores == own) & foreign
    return 1 + above.sum(1) + equal.sum(1) / 2


def _ranking(ranks: Tensor) -> Ranking:
    r1, r5, r10 = (float((ranks <= k).float().mean()) for k in (1, 5, 10))
    return Ranking(r1, r5, r10, float(ranks.mean()), float(ranks.quantile(0.5)))


def _chance(total: int, counts: Tensor) -> Ranking:
    """Expected ranking when `counts` (q,) right ones lie at random among `total`."""
    places = torch.arange(total, dtype=torch.float64)  # (total,)
    right = counts.double()[:, None]  # (q, 1)
    # probability that none of the right ones is within the first k, for k = 1 .. total
    miss = (((total - right - places) / (total - places)).clamp_min(0)).cumprod(1)  # (q, total)
    r1, r5, r10 = (float((1 - miss[:, min(k, total) - 1]).mean()) for k in (1, 5, 10))
    mean = float(((total + 1) / (counts.double() + 1)).mean())
    hit = (1 - miss).mean(0)  # (total,)
    # an average of two neighbours where the half is hit exactly, as a median has it
    low, high = (int((hit < 0.5 - e).sum()) + 1 for e in (1e-9, -1e-9))
    return Ranking(r1, r5, r10, mean, (low + high) / 2)


def _centred_ranks(values: Tensor, known: Tensor) -> Tensor:
    """Average ranks down each column of (s, t) minus their mean; 0 where not known."""
    pair = known[:, None] & known[None]  # (s, s, t)
    above = (values[:, None] > values[None]) & pair
    equal = (values[:, None] == values[None]) & pair
    ranks = above.sum(1).float() + equal.sum(1) / 2  # (s, t)
    mean = (ranks * known).sum(0) / known.sum(0).clamp_min(1)
    return (ranks - mean) * known
