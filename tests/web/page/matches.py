"""Matches for tests of the page."""

from __future__ import annotations

from typing import Any

from tans.licences import LicenceChain
from tans.types import Match

FREE = LicenceChain("Apache-2.0", "Apache-2.0", "CC0-1.0")


def match(id: str = "flags-1", **fields: Any) -> Match:
    """A match of a network that learnt from flags, unless said otherwise."""
    known: dict[str, Any] = {
        "id": id,
        "task": "flags",
        "params": 2_000_000,
        "flops": 30_000_000,
        "resolution": 64,
        "latency_ms": None,
        "minutes": None,
        "predicted_accuracy": 0.9,
        "low": None,
        "high": None,
        "similarity": 0.5,
        "licences": FREE,
    }
    return Match(**{**known, **fields})
