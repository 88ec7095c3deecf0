"""The performance predictor S (TANS, Jeong et al., NeurIPS 2021, equation 5)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tans.networks.device import moved


class Predictor(nn.Module):
    """From a query and a model embedding to the accuracy after the default fine-tune.

    The paper's predictor is linear in [q, m], so for any query it puts the models in the same
    order; with ``interaction`` it also reads q * m, and the order depends on the query.
    """

    def __init__(self, dim: int, interaction: bool = False) -> None:
        super().__init__()
        self.interaction = interaction
        self.linear = nn.Linear((3 if interaction else 2) * dim, 1)

    def forward(self, queries: Tensor, models: Tensor) -> Tensor:
        """Accuracies (n,) in [0, 1] of queries (n, d) with models (n, d), pair by pair."""
        pieces = [queries, models]
        if self.interaction:
            pieces.append(queries * models)
        return torch.sigmoid(self.linear(torch.cat(pieces, 1))).squeeze(1)  # (n,)

    def pairs(self, queries: Tensor, models: Tensor) -> Tensor:
        """Accuracies (q, n) of each query (q, d) with each model (n, d)."""
        q, n = len(queries), len(models)
        each = self(queries.repeat_interleave(n, 0), models.repeat(q, 1))  # (q * n,)
        return each.reshape(q, n)


def squared_error(predicted: Tensor, measured: Tensor) -> Tensor:
    """L_s summed over the pairs (n,) that were measured, which may be elsewhere; NaN means not."""
    known = measured.isfinite().nonzero().squeeze(1)  # found where they are, or a card would wait
    rows, right = moved(known, predicted.device), moved(measured[known], predicted.device)
    return (predicted[rows] - right).square().sum()
