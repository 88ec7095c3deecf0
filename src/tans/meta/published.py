"""The retriever that the paper's own method searches a zoo by.

It is the zoo's where that was trained with the preset ``paper``. Else it is trained once, from the
zoo's own pairs of a task and a network alone, and kept in the cache: so it is there for any zoo,
also for one that nobody here may write to.

Reference: Jeong et al., Task-Adaptive Neural Network Search with Meta-Contrastive Learning,
NeurIPS 2021, section 3.1.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

import torch

from tans.errors import InputError, ZooError
from tans.files import cache_dir
from tans.meta.data import MetaData
from tans.meta.presets import PRESETS
from tans.meta.retriever import Retriever
from tans.meta.train import Step, meta_train
from tans.zoo.zoo import Zoo

SETTINGS = replace(PRESETS["paper"], evaluate_every=0)
"""What is judged along the way changes nothing of what is learnt."""
VERSION = 1
"""Of what is trained with these settings; what is kept of another is trained anew."""
_UNKEPT: dict[str, Retriever] = {}
"""What could not be kept in the cache, by its name there."""


def published_retriever(zoo: Zoo, on_step: Callable[[Step], None] | None = None) -> Retriever:
    """The paper's retriever of a zoo, trained where there is none yet.

    Args:
        on_step: called after every step of a training, of ``SETTINGS.steps``.

    Raises:
        ZooError: the zoo lacks what such a retriever is trained on, or is damaged.
    """
    own = _own(zoo)
    if own is not None:
        return own
    name = _name(zoo)
    if name in _UNKEPT:
        return _UNKEPT[name]
    kept: Path | None = None
    with suppress(OSError, RuntimeError, ZooError):  # there is no cache, or nothing of this in it
        kept = cache_dir("retrievers", name)
        return Retriever.load(kept)
    retriever = _trained(zoo, on_step)
    try:
        if kept is not None:
            retriever.save(kept)
            return retriever
    except (OSError, ZooError):  # it is of use without
        pass
    _UNKEPT[name] = retriever
    return retriever


def _own(zoo: Zoo) -> Retriever | None:
    """The zoo's own, if its settings are the paper's."""
    try:
        found = Retriever.load(zoo.retrieval)
    except ZooError:  # there is none, or a damaged one, which is not needed
        return None
    seen = found.settings
    alike = replace(seen, seed=SETTINGS.seed, members=SETTINGS.members, evaluate_every=0)
    return found if alike == SETTINGS else None


def _name(zoo: Zoo) -> str:
    """What the cache calls it: of all that it is trained on, and of how."""
    about = [VERSION, zoo.state("tasks", "entries"), asdict(SETTINGS)]
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()[:32]


def _trained(zoo: Zoo, on_step: Callable[[Step], None] | None) -> Retriever:
    try:
        return meta_train(pairs_alone(MetaData.from_zoo(zoo)), SETTINGS, on_step)
    except InputError as error:
        raise ZooError(
            f"the zoo in {zoo.place} cannot be searched as the paper does: its encoders read "
            "topology and noise embedding of networks that were trained on two tasks or more "
            f"({error}); leave --method paper out"
        ) from error


def pairs_alone(data: MetaData) -> MetaData:
    """The same without transfers, which the paper does not measure."""
    none = torch.zeros(0, dtype=torch.long)
    return replace(
        data, transfer_entries=none, transfer_tasks=none, transfer_accuracy=torch.zeros(0)
    )
