"""Networks of torchvision, with its own weights or those of a file."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from tans.errors import InputError
from tans.networks.families.headless import as_body
from tans.networks.families.torchvision import TORCHVISION, shape_of, torchvision_models
from tans.networks.incoming.files import read_weights
from tans.networks.incoming.incoming import (
    IMAGENET,
    SQUARE,
    Found,
    Incoming,
    Stated,
    checked,
    in_bytes,
    names_of_head,
    settle,
)
from tans.networks.network import Weights
from tans.types import NetworkRef

LICENCES = {"https://github.com/facebookresearch/SWAG/blob/main/LICENSE": "CC-BY-NC-4.0"}
"""What stands at addresses that weights name as their licence."""


def by_name(name: str, stated: Stated) -> Incoming:
    """A network with the weights that torchvision loads for it, or with those of a file.

    Args:
        name: such as ``resnet50``, or ``resnet50.IMAGENET1K_V1`` for weights that are not its best.

    Raises:
        InputError: torchvision has no such network or weights, they cannot be fetched, the file is
            of another network, or something is not known of it.
    """
    name, _, tag = name.partition(".")
    head = shape_of(name).head
    known = _weights_of(name, tag)
    if stated.weights is not None:
        tensors, said = read_weights(stated.weights)
        found = replace(
            _found(name, known), beside=str(stated.weights), licence=said.get("license"), origins=()
        )
        settled = settle(found, stated)
    else:
        found = _found(name, known)
        settled = settle(found, stated)  # before anything is fetched
        tensors = _fetched(name, known)
    ref = NetworkRef("torchvision", name, settled.input)
    weights = as_body(tensors, head)
    with torch.device("meta"):
        body = TORCHVISION.build(ref, 1).body.state_dict()
    checked(weights, {k: t for k, t in body.items() if not k.endswith("batches_tracked")}, name)
    weights = {k: weights.get(k, torch.tensor(0)) for k in body} | {
        k: t for k, t in weights.items() if k.startswith("classifier.")
    }
    TORCHVISION.describe(ref)
    names = names_of_head(weights, found.classes)
    return Incoming(ref, weights, settled, names, f"torchvision's {name}")


def _weights_of(name: str, tag: str) -> Any:
    """What torchvision knows of a network's weights; its best where no tag is given.

    Raises:
        InputError: there are none of that tag.
    """
    known = torchvision_models().get_model_weights(name)
    if not tag:
        return known.DEFAULT
    if tag not in known.__members__:
        raise InputError(
            f"torchvision has no weights {tag!r} of {name}; expected one of "
            f"{', '.join(known.__members__)}"
        )
    return known[tag]


def _found(name: str, known: Any) -> Found:
    """What stands with torchvision's weights."""
    made, meta = known.transforms(), known.meta
    (size,), licence = set(made.crop_size), meta.get("license")
    cut = f"resized to {made.resize_size[0]} by {made.interpolation.value}, cut to {size}"
    return Found(
        f"torchvision:{name}",
        f"torchvision's {known}",
        f"torchvision's {known}",
        size,
        in_bytes(made.mean),
        in_bytes(made.std),
        LICENCES.get(licence, licence),
        (IMAGENET,) if len(meta.get("categories", ())) == 1000 else (),
        tuple(meta.get("categories", ())),
        (f"{name} learnt from images {cut}; {SQUARE}",),
    )


def _fetched(name: str, known: Any) -> Weights:
    """Weights as torchvision fetches them, their hash checked, without code.

    Raises:
        InputError: they cannot be fetched.
    """
    try:
        return known.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(
            f"torchvision cannot fetch weights of {name} from {known.url} ({error}); it is out of "
            "reach from here: give --weights with a file of them"
        ) from error
