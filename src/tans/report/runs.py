"""A fine-tuning as the page speaks of it."""

from __future__ import annotations

from dataclasses import dataclass

from tans.networks.family import describe
from tans.training import Epoch, FineTuned
from tans.types import Costs

NO_ENTRY = "a network of no zoo"


@dataclass(frozen=True)
class Run:
    """One fine-tuning to report."""

    label: str
    """What the reader calls it, such as ``best match`` or ``ImageNet``."""
    tuned: FineTuned
    costs: Costs
    """With the user's head."""

    @classmethod
    def of(cls, label: str, tuned: FineTuned) -> Run:
        """Count what the network needs."""
        read = tuned.network.classifier.in_features  # a deep head reads more than the features
        body = describe(tuned.network.ref).costs(0)
        return cls(label, tuned, body.under_head(read, len(tuned.classes)))

    @property
    def source(self) -> str:
        """Id of the entry that it began from, or that there is none."""
        if self.tuned.origin is not None:
            return str(self.tuned.origin)
        return NO_ENTRY if self.tuned.entry is None else self.tuned.entry.id

    @property
    def kept(self) -> Epoch:
        """The epoch whose weights the network has."""
        return next(e for e in self.tuned.history if e.epoch == self.tuned.best_epoch)

    @property
    def tested(self) -> tuple[int, int]:
        """Test images classified rightly, and all of them."""
        confusion = self.tuned.confusion
        return int(confusion.trace()), int(confusion.sum())
