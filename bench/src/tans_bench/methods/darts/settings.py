"""How much a search for cells trains, and on what."""

from __future__ import annotations

from dataclasses import dataclass

from tans.errors import InputError


@dataclass(frozen=True)
class Stage:
    """A part of a search with one supernet."""

    epochs: int
    warm_up: int
    """Epochs at its start that leave the weights of the operations as they are."""
    parts: int
    """Mixed operations work on one of so many parts of the channels."""
    operations: int
    """Kept on each edge."""


@dataclass(frozen=True)
class CellSearchSettings:
    """How to search for cells."""

    stages: tuple[Stage, ...]
    channels: int
    """Of the supernet's first cell."""
    cells: int
    batch_size: int
    """Images a step, for either kind of weights."""
    stem_stride: int = 1
    """Pixels that the supernet's stem moves by."""
    images: int | None = None
    """At most, of the task's training images; None takes all."""
    learning_rate: float = 0.1
    """Of the supernet's weights at the start; decays once over all stages along a cosine."""
    momentum: float = 0.9
    weight_decay: float = 3e-4
    clip: float = 5.0
    """Norm that the gradient of the supernet's weights is cut to."""
    architecture_rate: float = 6e-4
    """Learning rate of the weights of the operations."""
    architecture_decay: float = 1e-3
    """Weight decay of what the weights of the operations are made of."""

    def __post_init__(self) -> None:
        for stage in self.stages:
            if self.channels % stage.parts or not 0 <= stage.warm_up < stage.epochs:
                raise InputError(
                    f"{self.channels} channels and {stage}; expected channels that are a multiple "
                    "of its parts, and a warm-up shorter than its epochs"
                )

    @property
    def epochs(self) -> int:
        """Of all stages."""
        return sum(stage.epochs for stage in self.stages)
