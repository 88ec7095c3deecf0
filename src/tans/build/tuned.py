"""Networks that were fine-tuned here, so that a zoo grows by use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tans.errors import InputError, ZooError
from tans.export.card import licences_of
from tans.export.finetuned import DESCRIPTION, load_finetuned
from tans.licences import UNSTATED, joined
from tans.networks.incoming.incoming import Found, Incoming, Stated, settle
from tans.zoo.zoo import IMAGENET, Zoo


def is_tuned(folder: Path) -> bool:
    """Whether a folder is as ``tans finetune`` writes it."""
    return (folder / DESCRIPTION).is_file()


def from_tuned(folder: Path, zoo: Zoo, stated: Stated) -> Incoming:
    """A fine-tuned network, which speaks for the task that it was tuned on.

    Its licence is what all that it came from asks for together: the networks that it began from
    and learnt from, and the images, where that is known.

    Args:
        zoo: knows what the network came from, if it came from there.

    Raises:
        InputError: there is no fine-tuned network, or something is not known of it.
    """
    loaded = load_finetuned(folder)
    card, network = loaded.card, loaded.network
    parents = [card.get("source") or {}, *card.get("teachers", ())]
    spec = network.input
    found = Found(
        str(folder),
        f"{folder}/{DESCRIPTION}",
        f"{folder}/{DESCRIPTION}",
        spec.size,
        spec.mean,
        spec.std,
        _licence(card),
        tuple(dict.fromkeys([card["task"], *_origins(parents, zoo)])),
        loaded.classes,
    )
    for name in ("size", "mean", "std"):
        if getattr(stated, name) is not None:
            raise InputError(
                f"--{name} came with {folder}, whose network was trained for {spec}; leave it out"
            )
    settled = settle(found, stated)
    if settled.origins[0] == IMAGENET:
        raise InputError(
            f"{folder} was tuned on what is called {IMAGENET!r}, which is the task of ImageNet's "
            "networks; give --origin with another name"
        )
    return Incoming(network.ref, network.weights(), settled, loaded.classes, "tans finetune")


def _licence(card: Mapping[str, Any]) -> str | None:
    """Of all that it came from, its images too; None where one is not known."""
    images = (card.get("images") or {}).get("licence") or UNSTATED
    found = joined([*licences_of(card).all, str(images)])
    return None if found == UNSTATED else found


def _origins(parents: Sequence[Mapping[str, Any]], zoo: Zoo) -> list[str]:
    """Tasks that the networks were trained on that it came from, as far as that is known."""
    found: list[str] = []
    for parent in parents:
        id = parent.get("entry")
        if parent.get("origins"):
            found += parent["origins"]
        elif id:
            try:
                found += zoo.entry(id).origins
            except ZooError:  # it came from another zoo, and its id begins with its task
                found.append(str(id).rpartition("-")[0] or str(id))
    return found
