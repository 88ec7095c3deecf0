"""Tell images that are unlike all that a network learnt from: they are none of its classes.

An image is the stranger, the lower its highest score, and the longer than usual what the head reads
of it: the first tells classes that resemble known ones, the second images of another kind. Both are
counted in deviations among validation images, so one image and four numbers are all that it takes.
How many known images are taken for strange is set by validation images, as conformal tests do.

References:
    Hendrycks et al., Scaling Out-of-Distribution Detection for Real-World Settings, ICML 2022
    (highest score).
    Laxhammar and Falkman, Conformal Prediction for Distribution-Independent Anomaly Detection in
    Streaming Vessel Data, 2010 (threshold).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated, Any

import torch
from pydantic import Field, FiniteFloat, NonNegativeInt
from torch import Tensor

from tans.errors import InputError

RATE = 0.05
"""Share of known images that are taken for strange, unless another is asked for."""
KEPT = 200
"""Validation images whose strangeness is kept, at most; of more, as many at even steps."""
ROUNDING = 1e-9
LEAST_DEVIATION = 1e-6

Pair = tuple[FiniteFloat, FiniteFloat]
Positive = Annotated[FiniteFloat, Field(gt=0)]


@dataclass(frozen=True)
class Novelty:
    """How strange validation images were to a network, which others are compared with."""

    means: Pair = (0.0, 0.0)
    """Of the highest score, and of the length of what the head reads."""
    deviations: tuple[Positive, Positive] = (1.0, 1.0)
    """Of both."""
    known: Annotated[tuple[FiniteFloat, ...], Field(max_length=KEPT)] = ()
    """Strangeness of validation images, sorted; at even steps, to the strangest, where there are
    more than ``KEPT``."""
    images: NonNegativeInt = 0
    """Validation images; 0 where there were none."""
    groups: NonNegativeInt = 0
    """That these are of, such as fonts or objects; images of one are strange together."""
    tested: NonNegativeInt = 0
    """Test images."""
    alarms: NonNegativeInt = 0
    """Of these, the strange ones at ``RATE``."""

    def __post_init__(self) -> None:
        if len(self.known) != min(self.images, KEPT) or list(self.known) != sorted(self.known):
            raise InputError(
                f"{len(self.known)} numbers for {self.images} validation images; expected one for "
                f"each, up to {KEPT}, in order"
            )

    @classmethod
    def of(
        cls, val: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor], groups: int | None = None
    ) -> Novelty:
        """Learn from validation images, and see how many test images are taken for strange.

        Args:
            val: scores (n, classes) and lengths (n,); likewise ``test``.
            groups: that validation images are of; as many as images when None.
        """
        scores, lengths = val
        if not len(lengths) or not (scores.isfinite().all() and lengths.isfinite().all()):
            return cls()
        parts = torch.stack([scores.amax(1), lengths]).double()  # (2, n)
        means, spread = parts.mean(1), parts.std(1, correction=0).clamp_min(LEAST_DEVIATION)
        scale = (means[0].item(), means[1].item()), (spread[0].item(), spread[1].item())
        known = cls(*scale).strangeness(scores, lengths).sort().values
        count = min(len(known), KEPT)
        at = torch.arange(1, count + 1) * len(known) // count - 1  # the last is the strangest
        groups = len(known) if groups is None else groups
        found = cls(*scale, tuple(known[at].tolist()), len(known), groups)
        limit, tested = found.threshold(), len(test[1])
        if limit is None or not tested:
            return found
        alarms = int((found.strangeness(*test) > limit).sum())
        return replace(found, tested=tested, alarms=alarms)

    def strangeness(self, scores: Tensor, lengths: Tensor) -> Tensor:
        """Of images by their scores (n, classes) and lengths (n,): float64 (n,)."""
        (score, length), (by_score, by_length) = self.means, self.deviations
        unsure = (score - scores.double().amax(1)) / by_score
        # what is shorter than usual makes nobody surer, as of a blank image
        return unsure + ((lengths.double() - length) / by_length).clamp_min(0)

    def threshold(self, rate: float = RATE) -> float | None:
        """Strangeness above which a share of known images lies, at most; None for too few images.

        Raises:
            InputError: the share is not between 0 and 1.
        """
        if not 0 < rate < 1:
            raise InputError(f"the share of false alarms is {rate}; expected one between 0 and 1")
        rank = self.images - math.floor(rate * (self.images + 1) + ROUNDING)  # from 0
        if not self.images or rank == self.images:
            return None
        # the first number that is kept of a rank not below
        return self.known[-(-(rank + 1) * len(self.known) // self.images) - 1]

    def asked(self, rate: float | None) -> float:
        """The share of false alarms that a user asks for, or the usual one.

        Raises:
            InputError: it is not between 0 and 1, or there were too few validation images for it.
        """
        if rate is not None and self.threshold(rate) is None:
            raise InputError(
                f"a share of {rate:g} false alarms takes {least_images(rate)} validation images, "
                f"and the network was tuned with {self.images}; ask for a larger share, or "
                "fine-tune with more images"
            )
        return RATE if rate is None else rate

    def words(self) -> str:
        """What is told of known images, in a sentence."""
        if self.threshold() is None:
            return (
                "No image is said to be none of these: to know what is strange takes "
                f"{least_images(RATE)} validation images, and there are {self.images}."
            )
        said = (
            f"An image unlike all of these is said to be none of them, and so are about "
            f"{100 * RATE:g} % of known ones, by {self.images:,} validation images"
        )
        if self.groups < least_images(RATE):  # where all of a group is as strange
            most = 100 / (self.groups + 1)
            said += f" of {self.groups} groups (up to {most:.0f} %, as those are few)"
        return f"{said}{self.measured()}."

    def measured(self) -> str:
        """What came of it on test images, to be said after what was promised."""
        return f"; of {self.tested:,} test images {self.alarms:,} were" if self.tested else ""

    def describe(self) -> dict[str, Any]:
        """What a run says of it, as JSON has it."""
        return {
            "false_alarms": RATE if self.threshold() is not None else None,
            "validation_images": self.images,
            "validation_groups": self.groups,
            "test_images": self.tested,
            "test_alarms": self.alarms,
        }


def least_images(rate: float) -> int:
    """Validation images that a share of false alarms takes, at least."""
    return math.ceil(1 / rate - ROUNDING) - 1
