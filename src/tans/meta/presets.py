"""The settings of meta-learning, and the named presets."""

from __future__ import annotations

from dataclasses import dataclass

from tans.errors import InputError

CHOICES: dict[str, tuple[str, ...]] = {
    "pooling": ("mean", "classes", "attention"),
    "normalisation": ("joint", "separate"),
    "loss": ("equation3", "hinge", "hard", "cosine", "infonce"),
    "ranking_truth": ("transfers", "probes"),
    "ranking_on": ("cosine", "predicted"),
    "schedule": ("constant", "cosine"),
}
PARTS = ("topology", "structure", "functional", "similarities")
"""What a model encoder may read of a network; any network has structure and similarities."""

_COUNTS = (
    "dim",
    "attention_queries",
    "query_images",
    "query_least",
    "query_subsets",
    "steps",
    "members",
    "top",
)
_NOT_NEGATIVE = (
    "hidden",
    "components",
    "margin",
    "predictor_weight",
    "transfer_weight",
    "ranking_weight",
    "weight_decay",
    "evaluate_every",
    "part_dropout",
)


@dataclass(frozen=True)
class MetaSettings:
    """Everything that decides a meta-training, apart from its data."""

    dim: int = 128
    """Width of the shared space."""
    hidden: int = 0
    """Width of the encoders' hidden layer; 0 means linear encoders."""
    pooling: str = "mean"
    """``mean`` of the images' features, ``classes``: class means and their spread, or
    ``attention``."""
    components: int = 0
    """Principal components that image features are first reduced to; 0 keeps them as they are."""
    attention_queries: int = 4
    """Learned queries of attention pooling; unused by the others."""
    parts: tuple[str, ...] = ("topology", "functional")
    """Parts of the model encoder's input, from ``PARTS``."""
    part_dropout: float = 0.0
    """Chance that a part of a network is hidden in a step, as of networks that lack it; never all
    of its parts."""
    normalisation: str = "joint"
    """``joint``: L2 of all parts together; ``separate``: each part standardised on the zoo."""
    query_images: int = 240
    """Most images in a training query."""
    query_least: int = 240
    """Fewest images in a training query; its size is uniform between the two."""
    query_subsets: int = 64
    """Training queries drawn for each task, once, before the first step."""
    class_subsets: bool = False
    """Draw each training query from a random half or more of its task's classes."""
    loss: str = "hinge"
    """Contrastive loss, one of ``CHOICES["loss"]``."""
    margin: float = 0.2
    """Cosine by which a positive pair must lead (alpha of equation 3)."""
    temperature: float = 0.1
    """Divides the cosines in ``infonce``; unused by the other losses."""
    predictor_weight: float = 1.0
    """Lambda of equation 5."""
    transfer_weight: float = 0.0
    """Weight of the squared error on measured transfers beside own pairs; 0 leaves them out."""
    ranking_weight: float = 0.0
    """Weight of the listwise ranking loss over the measured sources of each task; 0: none."""
    ranking_truth: str = "transfers"
    """Ranking follows measured fine-tunes (``transfers``) or linear ``probes``."""
    ranking_on: str = "cosine"
    """The score that is to rank them: ``cosine`` of the embeddings, or ``predicted``."""
    interaction: bool = False
    """Give the predictor q * m as well; without it, it orders models alike for every query."""
    learning_rate: float = 1e-2
    """Of Adam, at the first step."""
    schedule: str = "constant"
    """Of the learning rate: ``constant``, or ``cosine`` down to zero at the last step."""
    weight_decay: float = 0.0
    """Decoupled, as in AdamW."""
    steps: int = 10_000
    """Optimiser steps, each over all tasks with one random network each."""
    evaluate_every: int = 500
    """Steps between two retrieval evaluations on held-out images; 0 means never."""
    members: int = 1
    """Retrievers of different seeds whose cosines and predictions are averaged."""
    top: int = 10
    """Candidates that the predictor re-ranks."""
    seed: int = 777
    """Of initialisation, query draws and batches."""

    def __post_init__(self) -> None:
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                raise InputError(f"{name} is {getattr(self, name)!r}; expected one of {allowed}")
        if not self.parts or not set(self.parts) <= set(PARTS):
            raise InputError(f"parts are {self.parts}; expected one or more of {PARTS}")
        for name in _COUNTS:
            if not getattr(self, name) >= 1:
                raise InputError(f"{name} is {getattr(self, name)}; expected at least 1")
        for name in ("learning_rate", "temperature"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} is {getattr(self, name)}; expected a positive number")
        for name in _NOT_NEGATIVE:
            if not getattr(self, name) >= 0:
                raise InputError(f"{name} is {getattr(self, name)}; expected at least 0")
        if self.part_dropout >= 1 or (self.part_dropout and self.normalisation != "separate"):
            raise InputError(
                f"part_dropout is {self.part_dropout} with normalisation {self.normalisation!r}; "
                "expected below 1, and 'separate' above 0"
            )
        if self.query_least > self.query_images:
            raise InputError(
                f"query_least is {self.query_least}, above query_images {self.query_images}; "
                "lower it"
            )


PRESETS: dict[str, MetaSettings] = {
    "paper": MetaSettings(),
    "default": MetaSettings(
        pooling="classes",
        components=128,
        parts=("topology", "similarities"),
        normalisation="separate",
        query_least=32,
        class_subsets=True,
        loss="infonce",
        transfer_weight=1.0,
        interaction=True,
        learning_rate=1e-3,
        schedule="cosine",
        weight_decay=0.05,
        steps=1_500,
    ),
}
"""``paper``: the published settings; ``default``: what tans uses."""


def get_preset(name: str) -> MetaSettings:
    """The settings of that name.

    Raises:
        InputError: there is no such preset.
    """
    if name not in PRESETS:
        raise InputError(f"no preset {name!r}; expected one of {sorted(PRESETS)}")
    return PRESETS[name]
