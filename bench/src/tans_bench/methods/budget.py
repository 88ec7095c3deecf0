"""How much a search may cost: as published where there is a GPU, else a small share of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

from tans.training import device

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    S = TypeVar("S", bound=DataclassInstance)
else:
    S = TypeVar("S")


def affordable(full: S, small: S) -> S:
    """The settings of a search that this device can pay for.

    Args:
        full: as published.
        small: what two cores do in minutes.
    """
    return full if device().type == "cuda" else small


def on_record(settings: S) -> Mapping[str, Any]:
    """Settings of a search as a proposal's details keep them."""
    return {"settings": asdict(settings)}
