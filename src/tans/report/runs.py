"""A fine-tuning as the page speaks of it."""

from __future__ import annotations

from dataclasses import dataclass

from tans.training import Epoch, FineTuned, Recipe


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
    def kept(self) -> Epoch:
        """The epoch whose weights the network has."""
        return next(e for e in self.tuned.history if e.epoch == self.tuned.best_epoch)

    @property
    def tested(self) -> tuple[int, int]:
        """Test images classified rightly, and all of them."""
        confusion = self.tuned.confusion
        return int(confusion.trace()), int(confusion.sum())
