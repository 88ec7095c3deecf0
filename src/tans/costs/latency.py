"""How long networks take on this device: a few are timed once, the rest are predicted.

Latency is taken to be a sum of costs that hardware charges for: a fixed part, each layer's launch,
arithmetic, and the traffic of weights and activations. Non-negative least squares finds what this
device charges for each, so a larger network is never predicted to be faster.

Reference: Cai et al., Once-for-All, ICLR 2020 (latency predicted instead of measured).
"""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from tans.costs.device import fit_charges, leave_one_out, remembered
from tans.errors import InputError
from tans.networks.families.elastic.network import Network
from tans.networks.families.elastic.specification import Specification, get_space
from tans.types import Architecture

SCHEMA = 1
CLASSES = 10
"""Outputs of the head while calibrating; the head's own cost is part of the model."""
COSTS = ("constant", "layers", "dense", "depthwise", "weights", "activations", "spilled")
"""What a device may charge for: per network, per layer, per million of each of the others."""
CACHED = 2**18
"""Activations of a layer above this many (1 MiB, a core's cache) are also counted as spilled."""
CANDIDATES = 200
ROUNDS = 25
REPEATS = 3
BUDGET_S = 8.0
"""Measuring stops after the round in which this is used up, but not before ``MIN_ROUNDS``."""
MIN_ROUNDS = 5

Measure = Callable[[Specification, Sequence[Architecture], int], Sequence[float]]
"""Takes a space, some of its architectures and a resolution; gives milliseconds for each."""


@dataclass(frozen=True)
class LatencyModel:
    """What one device charges for the parts of a network of one space."""

    space: str
    resolution: int
    """Pixels a side at which it was calibrated."""
    charges: tuple[float, ...]
    """Milliseconds for one unit of each of ``COSTS``, none negative."""
    error: float
    """Leave-one-out mean absolute relative error on the timed networks; 0.1 is 10%."""
    measured: tuple[tuple[str, float], ...]
    """The timed architectures, as text, and their milliseconds."""

    def predict(self, architecture: Architecture, classes: int, resolution: int) -> float:
        """Milliseconds for one image; ``error`` holds at the calibrated resolution.

        Raises:
            InputError: the architecture is of another space.
        """
        if architecture.space != self.space:
            raise InputError(
                f"this latency model is of space {self.space!r}, the architecture of "
                f"{architecture.space!r}; calibrate for that space"
            )
        costs = cost_vector(get_space(self.space), architecture, classes, resolution)
        return float(costs @ np.array(self.charges))


def cached_latency(
    space: Specification, resolution: int, measure: Measure | None = None
) -> LatencyModel:
    """The model of this device, calibrated at first need and kept if its error can be trusted."""
    about: dict[str, str | int] = {"space": space.name, "resolution": resolution}
    return remembered(
        "latency", SCHEMA, about, _revive, lambda: calibrate(space, resolution, measure=measure)
    )


def calibrate(
    space: Specification,
    resolution: int,
    networks: int = 10,
    seed: int = 0,
    measure: Measure | None = None,
) -> LatencyModel:
    """Time a few networks spread over the size range and fit what this device charges.

    Args:
        resolution: pixels a side.
        networks: how many to time, the smallest and the largest among them.
        measure: stands in for the clock; by default networks run on this device.

    Raises:
        InputError: fewer than three networks.
    """
    if networks < 3:
        raise InputError(f"{networks} networks to calibrate latency on; expected at least 3")
    architectures = spread(space, resolution, networks, seed)
    times = np.asarray((measure or measure_ms)(space, architectures, resolution))  # (networks,)
    costs = np.stack([cost_vector(space, a, CLASSES, resolution) for a in architectures])
    return LatencyModel(
        space=space.name,
        resolution=resolution,
        charges=tuple(fit_charges(costs, times).tolist()),
        error=leave_one_out(costs, times),
        measured=tuple((str(a), float(t)) for a, t in zip(architectures, times, strict=True)),
    )


def spread(space: Specification, resolution: int, count: int, seed: int = 0) -> list[Architecture]:
    """Smallest, largest, and random architectures evenly spaced between them by multiply-adds."""
    rng = random.Random(seed)
    ends = {space.smallest, space.largest}
    drawn = sorted({space.sample(rng) for _ in range(CANDIDATES)} - ends, key=str)
    flops = np.array([space.costs(a, CLASSES, resolution).flops for a in drawn])
    low, high = (space.costs(a, CLASSES, resolution).flops for a in (space.smallest, space.largest))
    chosen: list[int] = []
    for target in np.linspace(low, high, count)[1:-1]:
        distance = np.abs(flops - target)
        distance[chosen] = np.inf
        chosen.append(int(distance.argmin()))
    chosen.sort(key=lambda i: flops[i])
    return [space.smallest, *(drawn[i] for i in chosen), space.largest]


@torch.inference_mode()
def measure_ms(
    space: Specification, architectures: Sequence[Architecture], resolution: int
) -> list[float]:
    """Median milliseconds of each network on this device's processor, one image at a time.

    The networks take turns, so that a machine that slows down or warms up does so for all.
    """
    networks = [
        Network(space, a, CLASSES).eval().to(memory_format=torch.channels_last)
        for a in architectures
    ]
    image = torch.zeros(1, 3, resolution, resolution).to(memory_format=torch.channels_last)
    times: list[list[float]] = [[] for _ in networks]
    began = time.perf_counter()
    for round_ in range(ROUNDS):
        for network, taken in zip(networks, times, strict=True):
            network(image)  # its weights were evicted by the others' turns
            taken += (_milliseconds(network, image) for _ in range(REPEATS))
        if round_ + 1 >= MIN_ROUNDS and time.perf_counter() - began > BUDGET_S:
            break
    return [statistics.median(taken) for taken in times]


def cost_vector(
    space: Specification, architecture: Architecture, classes: int, resolution: int
) -> np.ndarray:
    """How much of each of ``COSTS`` one image needs, counted and not run, (costs,)."""
    layers, dense, depthwise, spilled = 1, space.features * classes, 0, 0
    weights, activations = (space.features + 1) * classes, space.features + classes
    side = resolution
    for convolution in space.convolutions(architecture):
        before = 1 if convolution.pooled else side
        side = math.ceil(before / convolution.stride)
        operations = convolution.flops_per_position * side**2
        dense += 0 if convolution.depthwise else operations
        depthwise += operations if convolution.depthwise else 0
        layers += 1
        weights += convolution.params
        moved = convolution.in_channels * before**2 + convolution.out_channels * side**2
        activations += moved
        spilled += max(0, moved - CACHED)
    for convolution in space.squeeze_excites(architecture):
        layers += 1
        dense += convolution.flops_per_position
        weights += convolution.params
        activations += convolution.in_channels + convolution.out_channels
    millions = np.array([dense, depthwise, weights, activations, spilled]) / 1e6
    return np.concatenate([[1.0, layers], millions])


def _milliseconds(network: Network, image: torch.Tensor) -> float:
    began = time.perf_counter()
    network(image)
    return (time.perf_counter() - began) * 1e3


def _revive(fields: dict[str, Any]) -> LatencyModel:
    """The model from its stored fields.

    Raises:
        ValueError: they are not charges.
    """
    charges = tuple(float(charge) for charge in fields["charges"])
    if len(charges) != len(COSTS) or not all(c >= 0 and math.isfinite(c) for c in charges):
        raise ValueError(f"charges {charges}")
    measured = tuple((str(a), float(t)) for a, t in fields["measured"])
    error = float(fields["error"])
    return LatencyModel(fields["space"], fields["resolution"], charges, error, measured)
