"""The recipe that all comparisons before the judge were made by: a head on the last features alone,
and the best epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tans.training import Recipe

EPOCHS = 5
"""Of the default then."""
PLAIN: Mapping[str, Any] = {"deep_head": False, "average": False, "clip": None}


def plain(epochs: int = EPOCHS, **changes: Any) -> Recipe:
    """That recipe, but for some settings."""
    return Recipe(epochs=epochs, **{**PLAIN, **changes})
