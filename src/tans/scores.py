"""What a confusion matrix says: accuracies, what guessing would get, and what to beware of.

References:
    Brodersen et al., The Balanced Accuracy and Its Posterior Distribution, ICPR 2010.
    Newcombe, Statistics in Medicine 17 (1998) (intervals of a share and of a difference).
    Zou and Donner, Statistics in Medicine 27 (2008) (intervals of a sum from those of its parts).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from torch import Tensor

from tans.errors import InputError

Z95 = 1.959964
"""Standard normal quantile of a 95% interval."""
WIDE = 0.2
"""Width of a 95% interval, above which the images are too few to tell: 20 points, which takes 93
images at an accuracy of 50%, and 35 at one of 90%."""
NAMED = 5
"""Classes that a sentence names before it only counts."""


@dataclass(frozen=True)
class Scores:
    """How well some images were classified, overall and class by class."""

    classes: tuple[str, ...]
    support: tuple[int, ...]
    """Images of each class."""
    found: tuple[int, ...]
    """Of these, the images classified rightly."""
    said: tuple[int, ...]
    """Images that were taken for each class, rightly or not."""

    @classmethod
    def of(cls, confusion: Tensor, classes: Sequence[str]) -> Scores:
        """Read a confusion matrix.

        Args:
            confusion: counts of (true class, predicted class), int64 (c, c).
            classes: names, in the order of the rows and columns.

        Raises:
            InputError: the matrix does not have one row and column for each class.
        """
        if confusion.shape != (len(classes), len(classes)):
            raise InputError(
                f"a confusion matrix of {tuple(confusion.shape)} for {len(classes)} classes; "
                "expected one row and one column for each class"
            )
        support, said = confusion.sum(1).tolist(), confusion.sum(0).tolist()
        found = confusion.diagonal().tolist()
        return cls(tuple(classes), tuple(support), tuple(found), tuple(said))

    @property
    def images(self) -> int:
        return sum(self.support)

    @property
    def accuracy(self) -> float:
        """Share of all images classified rightly, in [0, 1]; NaN without images."""
        return _share(sum(self.found), self.images)

    @property
    def interval(self) -> tuple[float, float]:
        """95% interval of the accuracy."""
        return wilson(sum(self.found), self.images)

    @property
    def recalls(self) -> tuple[float, ...]:
        """Share of each class's images that were found, in [0, 1]; NaN for a class without."""
        return tuple(map(_share, self.found, self.support))

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall of the classes that have images, in [0, 1]; NaN without images.

        Exact before it is rounded once: equal where all recalls have the same mean, and the
        accuracy itself where all classes have as many images.
        """
        recalls = [Fraction(f, n) for f, n in self._known()]
        return float(sum(recalls, Fraction()) / len(recalls)) if recalls else math.nan

    @property
    def balanced_interval(self) -> tuple[float, float]:
        """95% interval of the balanced accuracy, from those of the recalls (Zou and Donner)."""
        bounds = [(f / n, *wilson(f, n)) for f, n in self._known()]
        if not bounds:
            return 0.0, 1.0
        middle, classes = self.balanced_accuracy, len(bounds)
        below = math.hypot(*(share - low for share, low, _ in bounds)) / classes
        above = math.hypot(*(high - share for share, _, high in bounds)) / classes
        return max(0.0, middle - below), min(1.0, middle + above)

    @property
    def commonest(self) -> str:
        """The class of the most images, the first of equals."""
        return self.classes[self.support.index(max(self.support))]

    @property
    def commonest_share(self) -> float:
        """Accuracy of always guessing the commonest class, in [0, 1]; NaN without images.

        The commonest among these images, so no other constant guess would get more.
        """
        return _share(max(self.support), self.images)

    @property
    def commonest_balanced(self) -> float:
        """Balanced accuracy of always guessing one class, in [0, 1]; NaN without images."""
        return _share(1, len(self._known()))

    @property
    def worst_first(self) -> tuple[int, ...]:
        """Indices of the classes by recall; of equals that of more images, those without last."""

        def rank(index: int) -> tuple[bool, float, int]:
            n = self.support[index]
            return not n, self.recalls[index] if n else 0.0, -n

        return tuple(sorted(range(len(self.classes)), key=rank))

    def guessing(self) -> str:
        """What always guessing the commonest class would get, in a sentence."""
        if not self.images:
            return "Without test images it is not known what guessing would get."
        return (
            f"Always guessing {self.commonest}, the commonest class of the test images, would get "
            f"an accuracy of {100 * self.commonest_share:.1f} % and a balanced accuracy of "
            f"{100 * self.commonest_balanced:.1f} %."
        )

    def warnings(self) -> tuple[str, ...]:
        """What to beware of when reading these scores, one plain sentence each."""
        if not self.images:
            return ("There are no test images, so nothing is known of the accuracy.",)
        amiss = (
            self._absent(),
            self._unsaid(),
            self._unfound(),
            self._too_few(),
            self._no_better(),
        )
        return tuple(sentence for sentence in amiss if sentence)

    def describe(self) -> dict[str, Any]:
        """All but the accuracy as JSON has it; what is not known is None."""
        lines = zip(self.classes, self.support, self.found, self.recalls, strict=True)
        return {
            "accuracy_interval": list(self.interval),
            "balanced_accuracy": _or_none(self.balanced_accuracy),
            "balanced_accuracy_interval": list(self.balanced_interval),
            "commonest_class": self.commonest,
            "commonest_share": _or_none(self.commonest_share),
            "recall": [
                {"class": name, "test_images": n, "found": found, "recall": _or_none(recall)}
                for name, n, found, recall in lines
            ],
            "warnings": list(self.warnings()),
        }

    def _known(self) -> list[tuple[int, int]]:
        """Images found, and all of them, of each class that has any."""
        return [(f, n) for f, n in zip(self.found, self.support, strict=True) if n]

    def _absent(self) -> str | None:
        absent = [name for name, n in zip(self.classes, self.support, strict=True) if not n]
        if not absent:
            return None
        kind, whose = ("class", "its") if len(absent) == 1 else ("classes", "their")
        return f"No test image is of {kind} {_named(absent)}, so {whose} recall is unknown."

    def _unsaid(self) -> str | None:
        lines = zip(self.classes, self.support, self.said, strict=True)
        unsaid = {name: n for name, n, said in lines if n and not said}
        if not unsaid:
            return None
        total, whose = sum(unsaid.values()), "its" if len(unsaid) == 1 else "their"
        missed = f"none of {whose} {total:,} test images was found"
        if total == 1:
            missed = "its only test image was not found"
        return f"The network never says {_named(list(unsaid))}: {missed}."

    def _unfound(self) -> str | None:
        lines = zip(self.classes, self.support, self.found, self.said, strict=True)
        missed = {name: n for name, n, found, said in lines if n and said and not found}
        if not missed:
            return None
        total, names = sum(missed.values()), _named(list(missed))
        if total == 1:
            return f"The only test image of {names} was not found."
        return f"None of the {total:,} test images of {names} was found."

    def _too_few(self) -> str | None:
        for name, (low, high), images in (
            ("accuracy", self.interval, f"{self.images:,} test {_images(self.images)}"),
            ("balanced accuracy", self.balanced_interval, self._rarest()),
        ):
            if high - low > WIDE:
                return (
                    f"{images} too few to tell: the {name} lies between "
                    f"{100 * low:.0f} and {100 * high:.0f} %."
                )
        return None

    def _rarest(self) -> str:
        """The class of the fewest images, in words."""
        least = min(n for n in self.support if n)
        name = self.classes[self.support.index(least)]
        return f"Class {name} has {least:,} of {self.images:,} test images,"

    def _no_better(self) -> str | None:
        if self.accuracy > self.commonest_share:
            return None
        said = (
            f"The accuracy of {100 * self.accuracy:.1f} % is not above that of always guessing "
            f"{self.commonest}: {100 * self.commonest_share:.1f} %"
        )
        if self.balanced_accuracy > self.commonest_balanced:
            said += (
                f"; the balanced accuracy is, with {100 * self.balanced_accuracy:.1f} to "
                f"{100 * self.commonest_balanced:.1f} %"
            )
        return f"{said}."


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


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def _or_none(share: float) -> float | None:
    return None if math.isnan(share) else share


def _images(count: int) -> str:
    return "image is" if count == 1 else "images are"


def _named(names: Sequence[str]) -> str:
    """As in ``a, b and 3 more``."""
    shown, rest = list(names[:NAMED]), len(names) - NAMED
    if rest > 0:
        shown.append(f"{rest} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
