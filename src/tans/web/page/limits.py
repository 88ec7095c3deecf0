"""What sliders say: each stop is a round number on a logarithmic scale, the last is no limit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tans.errors import InputError
from tans.web.schemas import LimitsAsked

STOPS = 40
"""Of a slider, before the one that is no limit."""
DIGITS = 2
"""Of a limit that count."""
NO_LIMIT = "no limit"


@dataclass(frozen=True)
class Scale:
    """The stops of one slider."""

    name: str
    """Of the limit, such as ``max_params``."""
    title: str
    unit: str
    """Said after a value, with a blank before it; empty where the title says it."""
    stops: tuple[float, ...]
    """Ascending; another, after the last, is no limit."""

    @classmethod
    def over(cls, name: str, title: str, unit: str, low: float, high: float) -> Scale:
        """Stops that reach from the least to the most of what there is, both positive."""
        steps = max(1, STOPS - 1)
        between = (low * (high / low) ** (step / steps) for step in range(STOPS))
        # the first must let the least through
        return cls(name, title, unit, tuple(sorted({_rounded_up(each) for each in between})))

    def value(self, stop: int) -> float | None:
        """The limit at a stop; None for none.

        Raises:
            InputError: there is no such stop.
        """
        if not 0 <= stop <= len(self.stops):
            raise InputError(
                f"{self.title} is at stop {stop}; expected 0 to {len(self.stops)}; move it again"
            )
        return None if stop == len(self.stops) else self.stops[stop]

    @property
    def words(self) -> list[str]:
        """What each stop is called."""
        return [*(f"up to {short(each)}{self.unit}" for each in self.stops), NO_LIMIT]


def scales(params: Sequence[float], flops: Sequence[float]) -> tuple[Scale, ...]:
    """The sliders for networks of so many parameters and multiply-adds."""
    # a head comes on top of what a zoo knows, and a look may find larger inputs good
    return (
        Scale.over("max_params", "Parameters", "", 1.05 * min(params), 2 * max(params)),
        Scale.over("max_flops", "Multiply-adds", "", 1.05 * min(flops), 4 * max(flops)),
        Scale.over("max_latency_ms", "Latency of an image", " ms", 1, 1000),
    )


def asked(scales: Sequence[Scale], given: Mapping[str, Any]) -> LimitsAsked:
    """The limits that sliders say.

    Args:
        given: the stop of each scale by its name, and ``commercial``.

    Raises:
        InputError: they are none.
    """
    found: dict[str, Any] = {}
    for scale in scales:
        stop = given.get(scale.name, len(scale.stops))
        if not isinstance(stop, int):
            raise InputError(f"{scale.title} is at {stop!r}; expected a stop of its slider")
        found[scale.name] = scale.value(stop)
    return LimitsAsked(**found, commercial=given.get("commercial") is True)


def short(value: float) -> str:
    """As in ``3.1 million``: two digits that count, or all of a small number."""
    for size, word in ((1e9, " billion"), (1e6, " million"), (1e3, " thousand")):
        if value >= size:
            return f"{_number(value / size)}{word}"
    return _number(value)


def _number(value: float) -> str:
    digits = max(0, DIGITS - 1 - math.floor(math.log10(value))) if value > 0 else 0
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _rounded_up(value: float) -> float:
    step = 10.0 ** (math.floor(math.log10(value)) - DIGITS + 1)
    return round(math.ceil(value / step - 1e-9) * step, 6)
