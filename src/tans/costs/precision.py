"""Whether this device's processor looks at images faster in 16 bits than in 32.

Processors that multiply bfloat16 themselves take about half of the time; others only emulate it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

import torch
from pydantic import Field

from tans.costs.device import Kept, remembered
from tans.networks.family import build
from tans.types import NetworkRef

IMAGES = 16
"""In the batch that is timed."""
TURNS = 3
"""Of either precision, of which the fastest counts."""
WORTH = 1.1
"""Times as fast that 16 bits must be."""

Measure = Callable[[NetworkRef], float]
"""How many times as fast a network is in 16 bits."""


@dataclass(frozen=True)
class Gain:
    """What 16 bits bring."""

    times: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """As fast as 32 bits."""
    error: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """How far two measurements lie apart, as a share of the larger; 0.1 is 10%."""


class KeptGain(Kept):
    """What the cache says of it."""

    model: Gain


@lru_cache(maxsize=16)
def short_pays(ref: NetworkRef, measure: Measure | None = None) -> bool:
    """Whether the processor runs networks like one markedly faster in 16 bits.

    Measured at first need, in a second or so, and kept.

    Args:
        measure: stands in for the clock.
    """
    about: dict[str, str | int] = {"network": ref.name, "resolution": ref.input.size}
    return remembered("precision", KeptGain, about, lambda: _gain(ref, measure)).times >= WORTH


def _gain(ref: NetworkRef, measure: Measure | None) -> Gain:
    first, second = ((measure or measure_gain)(ref) for _ in range(2))
    return Gain((first * second) ** 0.5, abs(first - second) / max(first, second))


@torch.no_grad()
def measure_gain(ref: NetworkRef) -> float:
    """Processor's seconds of a pass in 32 bits over those in 16, which take turns."""
    network = build(ref, 1).eval().to(memory_format=torch.channels_last)
    images = torch.zeros(IMAGES, 3, ref.input.size, ref.input.size)
    images = images.to(memory_format=torch.channels_last)
    taken: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(1 + TURNS):
        for short, seconds in taken.items():
            began = time.process_time()
            with torch.autocast("cpu", torch.bfloat16, enabled=short):
                network.head_features(images)
            seconds.append(time.process_time() - began)
    whole, halved = (min(seconds[1:]) for seconds in taken.values())  # the first warm up
    return whole / halved
