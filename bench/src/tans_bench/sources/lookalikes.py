"""Groups of pictures that are practically the same, so that no split separates them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate, normalize

NEAR_DUPLICATE = 0.995
"""Cosine of two fingerprints above which two pictures count as the same."""


def fingerprints(images: Tensor, side: int = 16) -> Tensor:
    """Small normalised versions of uint8 (n, c, h, w), as float (n, c * side * side).

    Each is centred on its own mean, so the cosine of two is their correlation.
    """
    small = interpolate(images.float(), size=(side, side), mode="area").flatten(1)  # (n, c*s*s)
    return normalize(small - small.mean(1, keepdim=True), dim=1)


def near_duplicates(prints: Tensor) -> Tensor:
    """Whether two fingerprints (n, d) belong to practically the same picture, bool (n, n)."""
    return prints @ prints.T > NEAR_DUPLICATE


def join_groups(groups: Sequence[str], alike: Tensor) -> list[str]:
    """Group names after joining the groups of any two alike items; ``alike`` is bool (n, n).

    A joined group takes the first of its names in order of appearance.
    """
    names = list(dict.fromkeys(groups))
    numbers = {name: i for i, name in enumerate(names)}
    parent = list(range(len(names)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for a, b in torch.triu(alike, diagonal=1).nonzero().tolist():
        low, high = sorted((root(numbers[groups[a]]), root(numbers[groups[b]])))
        parent[high] = low
    return [names[root(numbers[group])] for group in groups]


def separate(images: Tensor, groups: Sequence[str]) -> list[str]:
    """Groups of uint8 (n, c, h, w) images after joining those that share a near-duplicate."""
    return join_groups(groups, near_duplicates(fingerprints(images)))


def first_of_each(prints: Tensor, labels: Tensor) -> Tensor:
    """Rows of fingerprints (n, d) without those like an earlier one of their class; int64 (m,)."""
    alike = near_duplicates(prints) & (labels[:, None] == labels)
    return (~torch.tril(alike, diagonal=-1).any(1)).nonzero()[:, 0]


def undisputed(prints: Tensor, labels: Tensor) -> Tensor:
    """Rows of fingerprints (n, d) without those like one of another class; int64 (m,)."""
    clash = near_duplicates(prints) & (labels[:, None] != labels)
    return (~clash.any(1)).nonzero()[:, 0]
