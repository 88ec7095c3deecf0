"""Contrastive losses on query-model pairs (TANS, Jeong et al., NeurIPS 2021), and ranking.

Each contrastive loss takes the cosine scores (t, t), queries in rows and models in columns, whose
diagonal holds the positive pairs, and returns a scalar: the sum over tasks of both directions,
query against models (L_m) and model against queries (L_q).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tans.errors import InputError
from tans.networks.device import moved


def equation3(scores: Tensor, margin: float) -> Tensor:
    """Equation 3 as printed: max(0, alpha - f(q, m+) + the sum of f(q, m-)).

    Its denominator is the exponential of a sum, so this is not InfoNCE: negatives count with
    their sign, and many mildly negative ones can hide a wrong one.
    """
    positive = scores.diagonal()  # (t,)
    by_model = margin - positive + (scores.sum(1) - positive)  # (t,)
    by_query = margin - positive + (scores.sum(0) - positive)  # (t,)
    return by_model.clamp_min(0).sum() + by_query.clamp_min(0).sum()


def hinge(scores: Tensor, margin: float) -> Tensor:
    """Hinge summed over all negatives (VSE, as in the published code)."""
    by_model, by_query = _violations(scores, margin)
    return by_model.sum() + by_query.sum()


def hard(scores: Tensor, margin: float) -> Tensor:
    """Hinge on the hardest negative of each query and of each model (VSE++, Faghri et al. 2018)."""
    by_model, by_query = _violations(scores, margin)
    return by_model.amax(1).sum() + by_query.amax(0).sum()


def cosine(scores: Tensor) -> Tensor:
    """Cosine distance of the positive pairs alone; its two directions are the same number."""
    return 2 * (1 - scores.diagonal()).sum()


def infonce(scores: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of the positive among all, at a temperature (van den Oord et al. 2018)."""
    logits = scores / temperature  # (t, t)
    target = torch.arange(len(scores), device=scores.device)  # (t,)
    by_model = F.cross_entropy(logits, target, reduction="sum")
    return by_model + F.cross_entropy(logits.T, target, reduction="sum")


def listwise(scores: Tensor, truth: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of two softmaxes down the sources (ListNet, Cao et al. 2007), over targets.

    Args:
        scores: (q, s) of targets with sources, divided by their own temperature.
        truth: (q, s) measured accuracies, NaN where not measured; may be elsewhere.
        temperature: accuracy that makes a source e times as right as another.
    """
    known = truth.isfinite()
    compared = (known.sum(1) > 1).nonzero().squeeze(1)  # (q,)
    known, scores = known[compared], scores[moved(compared, scores.device)]
    right = (truth[compared] / temperature).masked_fill(~known, -torch.inf).softmax(1)
    known, right = moved(known, scores.device), moved(right, scores.device)
    log = scores.masked_fill(~known, -torch.inf).log_softmax(1)
    return -(right * log.masked_fill(~known, 0)).sum()


def contrastive(name: str, scores: Tensor, margin: float, temperature: float) -> Tensor:
    """The loss of that name.

    Raises:
        InputError: there is no such loss, or the scores are not square.
    """
    if scores.ndim != 2 or scores.shape[0] != scores.shape[1]:
        raise InputError(f"scores have shape {tuple(scores.shape)}; expected (tasks, tasks)")
    match name:
        case "equation3":
            return equation3(scores, margin)
        case "hinge":
            return hinge(scores, margin)
        case "hard":
            return hard(scores, margin)
        case "cosine":
            return cosine(scores)
        case "infonce":
            return infonce(scores, temperature)
    raise InputError(f"no loss {name!r}; see tans.meta.presets.CHOICES for those there are")


def _violations(scores: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    positive = scores.diagonal()
    own = torch.eye(len(scores), dtype=torch.bool, device=scores.device)
    by_model = (margin - positive[:, None] + scores).clamp_min(0)  # (t, t)
    by_query = (margin - positive[None, :] + scores).clamp_min(0)  # (t, t)
    return by_model.masked_fill(own, 0), by_query.masked_fill(own, 0)
