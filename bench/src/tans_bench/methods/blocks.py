"""How long each block of an elastic space takes on this device: a latency look-up table.

Reference: Wu et al., FBNet: Hardware-Aware Efficient ConvNet Design via Differentiable Neural
Architecture Search, CVPR 2019 (section 3.2).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from tans.costs.device import Kept, remembered
from tans.networks.families.elastic.body import InvertedResidual
from tans.networks.families.elastic.specification import Specification
from tans.types import Layer

ROUNDS = 16
REPEATS = 3


@dataclass(frozen=True)
class Block:
    """One inverted residual, by what its latency depends on."""

    stage: int
    first: bool
    """Whether it is the first of its stage, with the stage's stride and another input width."""
    layer: Layer
    side: int
    """Pixels a side of its input."""


Measure = Callable[[Specification, Sequence[Block]], NDArray[np.float64]]
"""Takes a space and some of its blocks; gives microseconds (rounds, blocks)."""


POSITIVE = Field(gt=0, allow_inf_nan=False)


@dataclass(frozen=True)
class BlockTable:
    """Latencies of the blocks of one space on one device."""

    space: str
    resolution: int
    """Pixels a side of the network's input."""
    microseconds: Annotated[tuple[Annotated[float, POSITIVE], ...], Field(min_length=1)]
    """In the order of ``blocks``."""
    error: float
    """Mean relative difference of the medians of even and odd rounds; 0.1 is 10%."""

    def of_slots(self, space: Specification) -> torch.Tensor:
        """Microseconds float32 (s, 1 + c) of each choice of each slot; an absent layer takes none.

        Columns are a slot's layers, after that of absence; choices that a slot lacks are 0.
        """
        by_block = dict(zip(blocks(space, self.resolution), self.microseconds, strict=True))
        kinds: dict[tuple[int, bool], list[float]] = {}
        for block, value in by_block.items():
            kinds.setdefault((block.stage, block.first), []).append(value)
        width = 1 + max(map(len, kinds.values()))
        rows = [[0.0, *kinds[slot.stage, slot.place == 0]] for slot in space.slots]
        return torch.tensor([row + [0.0] * (width - len(row)) for row in rows])


class KeptTable(Kept):
    """What the cache says of a table."""

    model: BlockTable


def blocks(space: Specification, resolution: int) -> list[Block]:
    """The blocks that differ: later slots of a stage are alike."""
    found = []
    side = math.ceil(math.ceil(resolution / 2) / space.first.stride)  # after the stem, of stride 2
    for slot in space.slots:
        first = slot.place == 0
        if slot.place < 2:
            found += [Block(slot.stage, first, layer, side) for layer in slot.layers]
        if first:
            side = math.ceil(side / space.stages[slot.stage].stride)
    return found


def block_table(
    space: Specification, resolution: int, measure: Measure | None = None
) -> BlockTable:
    """The table of this device, measured at first need and kept if its error can be trusted.

    Args:
        resolution: pixels a side of the network's input.
        measure: stands in for the clock; what it gives is not kept beyond this process.
    """
    return _block_table(space, resolution, measure)


@lru_cache(maxsize=8)
def _block_table(space: Specification, resolution: int, measure: Measure | None) -> BlockTable:
    if measure is not None:
        return _tabulated(space, resolution, measure)
    about: dict[str, str | int] = {"space": space.name, "resolution": resolution}
    return remembered("blocks", KeptTable, about, lambda: _tabulated(space, resolution, measure_us))


@torch.inference_mode()
def measure_us(space: Specification, wanted: Sequence[Block]) -> NDArray[np.float64]:
    """Microseconds (rounds, blocks) on this device's processor, one image at a time.

    The blocks take turns, so that a machine that slows down or warms up does so for all.
    """
    modules, inputs = [], []
    for block in wanted:
        stage = space.stages[block.stage]
        before = space.stages[block.stage - 1] if block.stage else space.first
        width = before.channels if block.first else stage.channels
        stride = stage.stride if block.first else 1
        module = InvertedResidual(stage, width, stride, block.layer, space, elastic=False)
        modules.append(module.eval().to(memory_format=torch.channels_last))
        image = torch.zeros(1, width, block.side, block.side)
        inputs.append(image.to(memory_format=torch.channels_last))
    times = np.zeros((ROUNDS, len(modules)))
    for round_ in range(ROUNDS):
        for column, (module, image) in enumerate(zip(modules, inputs, strict=True)):
            module(image)  # its weights were evicted by the others' turns
            times[round_, column] = np.median([_once(module, image) for _ in range(REPEATS)])
    return times


def _once(module: InvertedResidual, image: torch.Tensor) -> float:
    began = time.perf_counter()
    module(image)
    return (time.perf_counter() - began) * 1e6


def _tabulated(space: Specification, resolution: int, measure: Measure) -> BlockTable:
    times = measure(space, blocks(space, resolution))  # (r, b)
    halves = [np.median(times[part::2], axis=0) for part in (0, min(1, len(times) - 1))]
    error = np.abs(halves[0] / halves[1] - 1).mean()
    microseconds = tuple(np.median(times, axis=0).tolist())
    return BlockTable(space.name, resolution, microseconds, float(error))
