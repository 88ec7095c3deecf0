"""A dataset as one vector: attention within each class, then across classes.

References:
    Lee et al., Set Transformer: A Framework for Attention-based Permutation-Invariant Neural
    Networks, ICML 2019 (the blocks).
    Lee, Hyung and Hwang, Rapid Neural Architecture Search by Learning to Generate Graphs from
    Datasets, ICLR 2021 (section 3.2, the two levels).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

HEADS = 4
"""Of every attention."""
LEAST_SPREAD = 1e-3
"""Of an image feature that others are divided by."""


@dataclass(frozen=True, eq=False)
class Sets:
    """Image features of several datasets, by class."""

    features: Tensor
    """float32 (n + 1, f); the last row is zero and stands where there is no image."""
    rows: Tensor
    """int64 (t, c, m), rows of ``features``; n where a class has fewer images, or is none."""

    @classmethod
    def of(cls, datasets: Sequence[tuple[Tensor, Tensor]]) -> Self:
        """Of features (n, f) and labels (n,) of each dataset."""
        features = torch.cat([own for own, _ in datasets]).float()
        features = torch.cat([features, features.new_zeros(1, features.shape[1])])
        none, start, tables = len(features) - 1, 0, []
        for own, labels in datasets:
            members = [(labels == k).nonzero()[:, 0] + start for k in labels.unique()]
            tables.append(pad_sequence(members, batch_first=True, padding_value=none))
            start += len(own)
        classes, most = (max(table.shape[d] for table in tables) for d in (0, 1))
        padded = [
            F.pad(table, (0, most - table.shape[1], 0, classes - table.shape[0]), value=none)
            for table in tables
        ]
        return cls(features, torch.stack(padded))

    def draw(self, tasks: Tensor, images: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """At random, at most so many images of every class of some datasets.

        Returns:
            Features (b, c, m, f), zero where there is no image, and the mask bool (b, c, m).
        """
        rows, none = self.rows[tasks], len(self.features) - 1  # (b, c, all)
        order = torch.rand(rows.shape, generator=generator).masked_fill(rows == none, 2.0)
        drawn = rows.gather(2, order.argsort(2)[:, :, :images])  # (b, c, m)
        return self.features[drawn], drawn != none


class Attention(nn.Module):
    """Multihead attention block: queries attend to a set, then a layer of their own."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attend = nn.MultiheadAttention(width, HEADS, batch_first=True)
        self.norm = nn.LayerNorm(width)
        self.own = nn.Linear(width, width)
        self.last_norm = nn.LayerNorm(width)

    def forward(self, queries: Tensor, members: Tensor, mask: Tensor) -> Tensor:
        """(b, q, w) and (b, m, w), of which (b, m) count, to (b, q, w)."""
        found, _ = self.attend(queries, members, members, ~mask, need_weights=False)
        states = self.norm(queries + found)
        return self.last_norm(states + F.relu(self.own(states)))


class Pooling(nn.Module):
    """Members of a set attend to each other, then one learnt seed attends to them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.among = Attention(width)
        self.seed = nn.Parameter(nn.init.xavier_uniform_(torch.empty(1, width))[None])
        self.pool = Attention(width)

    def forward(self, members: Tensor, mask: Tensor) -> Tensor:
        """(b, m, w), of which (b, m) count, to (b, w); of an empty set what zeros give."""
        first = torch.arange(mask.shape[1], device=mask.device) == 0
        mask = mask | (first & ~mask.any(1, keepdim=True))  # attention to nothing is not a number
        members = self.among(members, members, mask)
        return self.pool(self.seed.expand(len(members), -1, -1), members, mask)[:, 0]


class SetEncoder(nn.Module):
    """Image features of a dataset to one vector, whatever the order of images and classes.

    Args:
        inputs: width of the image features.
        width: of the vector.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("spread", torch.ones(inputs))
        self.narrow = nn.Linear(inputs, width)
        self.within, self.across = Pooling(width), Pooling(width)

    def standardise(self, features: Tensor) -> None:
        """Take mean and spread of image features (n, f), which all that come are scaled by."""
        self.mean = features.mean(0)
        self.spread = features.std(0).clamp_min(LEAST_SPREAD)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """(t, c, m, f), of which (t, c, m) count, to (t, width)."""
        states = F.relu(self.narrow((features - self.mean) / self.spread))  # (t, c, m, w)
        classes = self.within(states.flatten(0, 1), mask.flatten(0, 1))  # (t * c, w)
        return self.across(classes.unflatten(0, mask.shape[:2]), mask.any(2))
