"""How much a search may cost: as it was published, or a small share of that.

The preset of an experiment chooses the budget, whatever the device, and the budget is part of a
result's name: what was searched with one is never taken for the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    S = TypeVar("S", bound=DataclassInstance)
else:
    S = TypeVar("S")

Budget = Literal["small", "full"]


def affordable(budget: Budget, full: S, small: S) -> S:
    """The settings of a search within a budget.

    Args:
        budget: that is given.
        full: as published.
        small: what two cores do in minutes.
    """
    return full if budget == "full" else small


def ending(budget: Budget) -> str:
    """Of a result's name, which tells a budget that is not small."""
    return "" if budget == "small" else f"-{budget}"


def on_record(settings: S) -> Mapping[str, Any]:
    """Settings of a search as a proposal's details keep them."""
    return {"settings": asdict(settings)}
