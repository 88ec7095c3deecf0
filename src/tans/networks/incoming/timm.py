"""Networks of timm: by name, pretrained there or with weights of a file, or in its hub layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tans.errors import InputError, MissingExtraError
from tans.networks.families.timm import TIMM, body_of, timm_library
from tans.networks.incoming.files import read_weights
from tans.networks.incoming.incoming import (
    IMAGENET,
    SQUARE,
    Found,
    Incoming,
    Settled,
    Stated,
    checked,
    in_bytes,
    names_of_head,
    settle,
    trained_on,
)
from tans.networks.incoming.reach import WEIGHTS, kept, unreached
from tans.networks.network import HEAD, Weights
from tans.types import NetworkRef

CLASSES = 1000
"""Of ImageNet, which weights were trained on whose tag names nothing else."""
FAILURES = (AssertionError, LookupError, OSError, RuntimeError, TypeError, ValueError)
"""What timm raises of names, and of weights that it cannot fetch or take."""


def knows(name: str) -> bool:
    """Whether timm is installed and has a network of that name."""
    try:
        return timm_library().is_model(name)
    except MissingExtraError:
        return False


def by_name(name: str, stated: Stated) -> Incoming:
    """A network with the weights that timm loads for it, or with those of a file.

    Raises:
        InputError: timm has no such network or no weights of it, they cannot be fetched, the file
            is of another network, or something is not known of it.
    """
    if stated.weights is not None:
        settings, (tensors, said) = _settings(name), read_weights(stated.weights)
        found = _found(f"timm:{name}", f"timm's record of {name}", name, settings)
        found = replace(found, beside=str(stated.weights), licence=said.get("license"), origins=())
        return _incoming(name, tensors, settings, settle(found, stated))
    full, settings, settled = _stated(name, stated)  # before anything is fetched
    here = _kept(full, settings)
    return _incoming(full, _pretrained(full, here), settings, settled)


def with_tensors(name: str, tensors: Weights, stated: Stated) -> Incoming:
    """A network with the tensors that timm would load for it, read from where they lie.

    Args:
        tensors: as the hub holds them; timm turns them into those of its network.

    Raises:
        InputError: timm has no such network, they are of another, or something is not known of it.
    """
    full, settings, settled = _stated(name, stated)
    return _incoming(full, _pretrained(full, tensors), settings, settled)


def settled_by_name(name: str, stated: Stated) -> Settled:
    """What counts of a pretrained network of timm, without its weights.

    Raises:
        InputError: timm has no such network, or something is not known of it.
    """
    return _stated(name, stated)[2]


def _stated(name: str, stated: Stated) -> tuple[str, dict[str, Any], Settled]:
    """A pretrained network's name with its tag, timm's settings of it, and what counts of it."""
    settings = _settings(name)
    tag = str(settings.get("tag") or "")
    full = name if not tag or name.endswith(f".{tag}") else f"{name}.{tag}"
    found = _found(f"timm:{name}", f"timm's record of {full}", name, settings)
    if not found.origins and settings.get("num_classes") == CLASSES:
        found = replace(found, origins=(IMAGENET,))
    return full, settings, settle(found, stated)


def from_folder(
    where: str, config: Mapping[str, Any], weights: Path, licence: str | None, stated: Stated
) -> Incoming:
    """A network in the layout that timm gives a repository of the hub.

    Args:
        where: it came from, as messages say it.
        config: what its ``config.json`` says.
        weights: file of its weights.
        licence: that its ``README.md`` says.

    Raises:
        InputError: timm has no such network, the weights are of another, or something is not known.
    """
    name = str(config["architecture"])
    own = config.get("pretrained_cfg") or {}
    settings = {**_settings(name), **own}
    _refuse_changes(where, name, config, settings["pooled"])
    found = _found(where, f"{where}/config.json", name, settings)
    labels = config.get("label_names") or own.get("label_names")
    found = replace(
        found,
        beside=f"{where}/README.md or config.json",
        licence=licence or own.get("license"),
        origins=tuple(trained_on(str(own.get("tag") or ""))),
        classes=tuple(map(str, labels)) if isinstance(labels, list | tuple) else None,
    )
    tensors, _ = read_weights(weights)
    return _incoming(name, tensors, settings, settle(found, stated), found.classes)


def _refuse_changes(where: str, name: str, config: Mapping[str, Any], usual: str | None) -> None:
    """Refuse a network that is not what timm builds by its name.

    Args:
        usual: how that pools.

    Raises:
        InputError: it is.
    """
    remedy = "expected a network as timm names it; export it to ONNX, and add that"
    if own := config.get("model_args"):
        raise InputError(f"{where} builds {name} with arguments of its own ({own}); {remedy}")
    pooled = config.get("global_pool")
    if pooled and usual and pooled != usual:
        raise InputError(f"{where} pools features by {pooled!r}, {name} by {usual!r}; {remedy}")


def _found(what: str, where: str, name: str, settings: Mapping[str, Any]) -> Found:
    """What timm's settings of a network say.

    Raises:
        InputError: it takes no images of three colours, or of another shape only than a square.
    """
    colours, height, width = settings["input_size"]
    notes = []
    if colours != 3:
        raise InputError(f"{name} takes images of {colours} colours; expected one that takes three")
    if height != width:
        if settings.get("fixed_input_size"):
            raise InputError(f"{name} takes images of {height} x {width} pixels; expected a square")
        notes.append(f"{name} was made for images of {height} x {width} pixels; {SQUARE}")
    crop, resize = settings.get("crop_pct") or 1.0, settings.get("interpolation") or "bilinear"
    if crop != 1 or resize != "bilinear":
        cut = "" if crop == 1 else f" and cut to the middle {crop:g}"
        notes.append(f"{name} learnt from images resized by {resize}{cut}; {SQUARE}")
    if settings.get("fixed_input_size"):
        notes.append(f"{name} takes images of {width} pixels a side only")
    return Found(
        what,
        where,
        where,
        max(height, width),
        in_bytes(settings["mean"]),
        in_bytes(settings["std"]),
        settings.get("license"),
        tuple(trained_on(str(settings.get("tag") or ""))),
        notes=tuple(notes),
    )


def _incoming(
    name: str,
    tensors: Weights,
    settings: Mapping[str, Any],
    settled: Settled,
    names: tuple[str, ...] | None = None,
) -> Incoming:
    ref = NetworkRef("timm", name, settled.input)
    with torch.device("meta"):
        body = TIMM.build(ref, 1).body.state_dict()
    width = TIMM.describe(ref).width
    checked(tensors, {k: t for k, t in body.items() if not k.endswith("batches_tracked")}, ref.name)
    weights = {k: tensors.get(k, torch.tensor(0)) for k in body} | _head(tensors, settings, width)
    left = [k for k in tensors if k not in body and not k.startswith(_heads(settings))]
    notes = settled.notes
    if left:
        notes += (f"{len(left)} tensors are of no use to its features, such as {left[0]}",)
    made = f"timm's {name}"
    return Incoming(
        ref, weights, replace(settled, notes=notes), names_of_head(weights, names), made
    )


def _heads(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """How names of the tensors of a network's last layers begin."""
    named = settings.get("classifier") or ()
    return tuple(f"{name}." for name in ([named] if isinstance(named, str) else named))


def _head(tensors: Mapping[str, Tensor], settings: Mapping[str, Any], width: int) -> Weights:
    """A linear head on features of that width, where a network has one alone."""
    heads = _heads(settings)
    weight = tensors.get(f"{heads[0]}weight") if len(heads) == 1 else None
    if weight is None or weight.dim() != 2 or weight.shape[1] != width:
        return {}
    bias = tensors.get(f"{heads[0]}bias", torch.zeros(len(weight)))
    return {f"{HEAD}weight": weight, f"{HEAD}bias": bias}


def _settings(name: str) -> dict[str, Any]:
    """What timm knows of a network and its weights.

    Raises:
        InputError: timm has no such network.
    """
    with torch.device("meta"):
        body: Any = body_of(name)  # whose settings mypy takes for a module
    return {**body.pretrained_cfg, "pooled": _pooled(body)}


def _pooled(body: Any) -> str | None:
    """How a network pools its last maps or tokens, as timm calls it; None where it does not say."""
    pool = getattr(body, "global_pool", getattr(getattr(body, "head", None), "global_pool", None))
    return pool if isinstance(pool, str) else getattr(pool, "pool_type", None)


def _kept(name: str, settings: Mapping[str, Any]) -> Weights | None:
    """Weights that were fetched before, where the hub is out of reach; None where timm may ask it.

    Raises:
        InputError: it is out of reach, and they are not here.
    """
    repository = str(settings.get("hf_hub_id") or "")
    failure = unreached(repository, WEIGHTS[0]) if repository else None
    if failure is None:
        return None
    here = next((path for file in WEIGHTS if (path := kept(repository, file))), None)
    if here is None:
        raise _unfetched(name, failure) from failure
    return read_weights(here)[0]


def _pretrained(name: str, tensors: Weights | None = None) -> Weights:
    """Weights as timm fetches them.

    Args:
        tensors: what it would fetch, where that is here.

    Raises:
        InputError: there are none, they cannot be fetched, or they are of another network.
    """
    timm = timm_library()
    overlay = None if tensors is None else {"state_dict": dict(tensors)}
    try:
        made = timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay)
        return made.state_dict()
    except FAILURES as error:
        said = " ".join(str(error).split())[:300]
        if tensors is not None:
            raise InputError(
                f"the weights are not those of {name} ({said}); expected those that timm loads"
            ) from error
        raise _unfetched(name, error) from error


def _unfetched(name: str, failure: Exception) -> InputError:
    said = " ".join(str(failure).split())[:300]
    return InputError(
        f"timm cannot load weights of {name} ({said}); the hub is out of reach, or has none: "
        "give --weights with a file of them, or a folder of the hub's layout"
    )
