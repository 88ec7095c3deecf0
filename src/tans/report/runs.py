"""A fine-tuning as the page speaks of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tans.training import FineTuned, Recipe

Z95 = 1.959964
"""Standard normal quantile of a 95% interval."""


@dataclass(frozen=True)
class Run:
    """One fine-tuning to report."""

    label: str
    """What the reader calls it, such as ``best match`` or ``ImageNet``."""
    source: str
    """Entry that it began from."""
    params: int
    """With the user's head."""
    flops: int
    """Multiply-adds for one image, with the user's head."""
    tuned: FineTuned
    recipe: Recipe | None = None

    @property
    def validation(self) -> float:
        """Validation accuracy of the epoch kept, in [0, 1]; NaN without validation images."""
        kept = (e.val_accuracy for e in self.tuned.history if e.epoch == self.tuned.best_epoch)
        return next(kept, float("nan"))

    @property
    def tested(self) -> tuple[int, int]:
        """Test images classified rightly, and all of them."""
        confusion = self.tuned.confusion
        return int(confusion.trace()), int(confusion.sum())


def wilson(right: int, total: int) -> tuple[float, float]:
    """95% interval of a share (Wilson, 1927)."""
    if not total:
        return 0.0, 1.0
    share, z2 = right / total, Z95**2 / total
    centre = (share + z2 / 2) / (1 + z2)
    half = Z95 / (1 + z2) * math.sqrt(share * (1 - share) / total + z2 / (4 * total))
    return max(0.0, centre - half), min(1.0, centre + half)


def difference(one: tuple[int, int], other: tuple[int, int]) -> tuple[float, float]:
    """95% interval of one share less another, each (right, total) (Newcombe, 1998, method 10).

    Takes the two for independent, which is cautious where both saw the same images.
    """
    (low, high), (other_low, other_high) = wilson(*one), wilson(*other)
    share, other_share = one[0] / max(one[1], 1), other[0] / max(other[1], 1)
    gap = share - other_share
    below = math.hypot(share - low, other_high - other_share)
    above = math.hypot(high - share, other_share - other_low)
    return max(-1.0, gap - below), min(1.0, gap + above)
