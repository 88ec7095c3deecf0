"""How to fine-tune: settings, and what they ask of images."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tans.errors import InputError

RECIPE = 4
"""Version of the rule that fits, weighs and chooses; results made by another are kept apart."""
ALIKE = 3
"""The first version whose accuracies at the zoo's resolution are those of the newest, but for
chance: the next one made training safe at larger sizes."""
STEPS, PASSES = 200, 5
"""Of a fine-tune whose recipe names no epochs: changes of the weights, and passes over the images,
at least."""
READINGS = 10
"""Of validation images in a run that keeps a mean: nothing is chosen by them, and each costs what a
third of an epoch of few images does."""
HEAD_IMAGES = 2000
"""At most, that a head is fitted to before training."""
NORM_IMAGES, NORM_SIDE = 256, 128
"""At most, in the one batch that batch-norm statistics are taken from, and pixels a side beyond
which there are fewer, for as many pixels in all."""


@dataclass(frozen=True)
class Recipe:
    """How to fine-tune."""

    epochs: int | None = None
    """Passes over the training images; as many as fit the images where None, see ``passes``."""
    learning_rate: float = 3e-2
    """At the start; decays once over the run along a cosine to zero."""
    momentum: float = 0.9
    weight_decay: float = 4e-5
    batch_size: int = 32
    """Images a step."""
    augment: float = 1.0
    """How far images are shifted, scaled, rotated and re-contrasted at random; 0 leaves them."""
    flip: bool = False
    """Also mirror; off, since letters and signs change their meaning."""
    deep_head: bool = True
    """Let the head read what all stages give, else the last features alone, as in the paper."""
    fit_head: bool = True
    """Start from a head fitted to frozen features, and look at images under batch-norm statistics
    of the task's own; else from a random head and with running statistics, as in the paper."""
    weigh_classes: bool = True
    """Let an image count the more, the fewer there are of its class, where classes are uneven; else
    all count alike, as in the paper."""
    average: bool = True
    """Keep the mean of the weights over the last steps, else those of the best epoch."""
    clip: float | None = 1.0
    """Length that a step's gradient is cut to; None leaves all as they are, as in the paper."""
    seed: int = 0

    def __post_init__(self) -> None:
        epochs = 1 if self.epochs is None else self.epochs
        if epochs < 1 or self.batch_size < 2 or self.learning_rate <= 0:
            raise InputError(
                f"epochs {self.epochs}, batch size {self.batch_size}, learning rate "
                f"{self.learning_rate}; expected at least 1, at least 2, above 0"
            )
        if self.augment < 0 or (self.clip is not None and self.clip <= 0):
            raise InputError(
                f"augment is {self.augment} and clip {self.clip}; expected at least 0, and above 0"
            )

    def steps(self, images: int) -> int:
        """Changes of the weights in one epoch of so many images."""
        return max(1, round(images / self.batch_size))

    def passes(self, images: int) -> int:
        """Epochs on so many images: those of the recipe, else what ``STEPS`` and ``PASSES`` ask."""
        fitting = max(PASSES, round(STEPS / self.steps(images)))
        return fitting if self.epochs is None else self.epochs

    def every(self, images: int) -> int:
        """Epochs from one reading of validation images to the next."""
        return math.ceil(self.passes(images) / READINGS) if self.average else 1

    @property
    def _scales(self) -> bool:
        """Whether a fitted head's features are scaled by how they vary in training."""
        return self.deep_head and self.augment > 0

    def seen(self, train: int, val: int, test: int = 0) -> tuple[int, int]:
        """Images that a fine-tune trains on, each as often as it does, and those only looked at.

        Args:
            train: images of the split; likewise the others.
        """
        passes = self.passes(train)
        readings = math.ceil(passes / self.every(train)) + self.fit_head
        adapted = min(train, NORM_IMAGES) if self.fit_head else 0
        fitted = min(train, HEAD_IMAGES) * (1 + self._scales) if self.fit_head else 0
        return passes * train, readings * (val + adapted) + fitted + test


PUBLISHED = Recipe(
    epochs=10,
    learning_rate=1e-2,
    deep_head=False,
    fit_head=False,
    weigh_classes=False,
    average=False,
    clip=None,
)
"""The paper's: 10 epochs, or 50. How it changes images is not known, so that is as in ours. Kept
is the epoch that is best on validation images, where the paper reads test images."""
