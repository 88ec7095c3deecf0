"""How long a fine-tune will take on this device: a few real optimiser steps tell.

The time of one training image is taken to be a fixed part and so much for each multiply-add of
the forward pass; the backward pass and the optimiser are in both. Looking at an image without
training on it takes a share of that.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from tans.costs.device import fit_charges, leave_one_out, remembered
from tans.networks.families.elastic.network import Network
from tans.networks.families.elastic.specification import Specification, get_space
from tans.training import Recipe, Run, accuracy, device, sgd
from tans.types import Architecture

SCHEMA = 1
CLASSES = 10
"""Outputs of the head while measuring."""
BATCH = Recipe.batch_size
ROUNDS = 5
"""Turns of each network, the first of which only warms up."""
MIN_ROUNDS = 2
BUDGET_S = 4.0
"""Measuring stops after the round in which this is used up, but not before ``MIN_ROUNDS``."""

Setup = tuple[Architecture, int]
"""A network and the resolution, pixels a side, at which it is trained."""


@dataclass(frozen=True)
class Measured:
    """What real steps took on one device."""

    training: tuple[float, ...]
    """Seconds of training for one image, for each setup."""
    looking: float
    """Seconds for one image without training, for the last setup."""


Measure = Callable[[Specification, Sequence[Setup]], Measured]


@dataclass(frozen=True)
class Pace:
    """What one device takes to train networks of one space."""

    space: str
    fixed_s: float
    """Seconds for one training image, whatever the network."""
    seconds_per_flop: float
    """Seconds for one training image and one multiply-add of the forward pass."""
    validation: float
    """Time for an image that is only looked at, as a share of that for one trained on."""
    error: float
    """Leave-one-out mean absolute relative error on the timed networks; 0.1 is 10%."""

    @overload
    def minutes(self, flops: float, images: int, epochs: int, looked_at: int = 0) -> float: ...
    @overload
    def minutes(
        self, flops: NDArray[Any], images: int, epochs: int, looked_at: int = 0
    ) -> NDArray[np.float64]: ...
    def minutes(
        self, flops: float | NDArray[Any], images: int, epochs: int, looked_at: int = 0
    ) -> float | NDArray[np.float64]:
        """Minutes that a fine-tune takes, for one network or for each of (n,).

        Args:
            flops: multiply-adds of the forward pass for one image, at its resolution.
            images: to train on in each epoch.
            looked_at: images classified without training, over the whole run: those of the
                validation split in every epoch, and those of the test split once.
        """
        per_image = self.fixed_s + self.seconds_per_flop * flops
        return per_image * (images * epochs + self.validation * looked_at) / 60


def cached_pace(space: str, measure: Measure | None = None) -> Pace:
    """The pace of this device, measured at first need and kept if its error can be trusted.

    Raises:
        InputError: there is no such space.
    """
    specification = get_space(space)
    about: dict[str, str | int] = {"space": space, "trains_on": _trains_on()}
    return remembered("pace", SCHEMA, about, _revive, lambda: measure_pace(specification, measure))


def measure_pace(space: Specification, measure: Measure | None = None) -> Pace:
    """Time a few optimiser steps of small and large networks and fit what this device takes.

    Args:
        measure: stands in for the clock; by default networks are trained on this device.
    """
    setups = [(space.smallest, 64), (space.largest, 64), (space.largest, 128)]
    measured = (measure or measure_s)(space, setups)
    times = np.array(measured.training)  # (setups,)
    flops = np.array([space.costs(a, CLASSES, resolution).flops for a, resolution in setups])
    costs = np.stack([np.ones(len(setups)), flops], axis=1)  # (setups, 2)
    fixed_s, seconds_per_flop = fit_charges(costs, times).tolist()
    return Pace(
        space=space.name,
        fixed_s=fixed_s,
        seconds_per_flop=seconds_per_flop,
        validation=measured.looking / measured.training[-1],
        error=leave_one_out(costs, times),
    )


def measure_s(
    space: Specification,
    setups: Sequence[Setup],
    clock: Callable[[], float] = time.perf_counter,
) -> Measured:
    """Median seconds for one image, of networks that take turns at steps of fine-tuning.

    Args:
        clock: seconds since some time.
    """
    with torch.random.fork_rng():  # whoever asks for a pace keeps the random numbers they seeded
        torch.manual_seed(0)
        turns = [_Turn(space, *setup) for setup in setups]
    training: list[list[float]] = [[] for _ in turns]
    looking: list[float] = []
    began = clock()
    for round_ in range(ROUNDS):
        for turn, taken in zip(turns, training, strict=True):
            taken.append(_seconds(turn.step, clock) / BATCH)
        looking.append(_seconds(turns[-1].look, clock) / BATCH)
        if round_ + 1 >= MIN_ROUNDS and clock() - began > BUDGET_S:
            break
    medians = [statistics.median(taken[1:]) for taken in training]
    return Measured(tuple(medians), statistics.median(looking[1:]))


class _Turn:
    """One network in training on noise, step by step."""

    def __init__(self, space: Specification, architecture: Architecture, resolution: int) -> None:
        network = Network(space, architecture, CLASSES).to(device())
        self.network = network.to(memory_format=torch.channels_last)
        self.images = torch.randint(0, 256, (BATCH, 3, resolution, resolution), dtype=torch.uint8)
        self.labels = torch.arange(BATCH) % CLASSES  # (b,)
        recipe = Recipe(epochs=1, batch_size=BATCH)
        self.run = Run(self.network, sgd(self.network, recipe), recipe)

    def step(self) -> None:
        """One epoch of one batch."""
        self.run.minimise(
            lambda x, y, _: F.cross_entropy(self.network(x), y), self.images, self.labels
        )

    def look(self) -> None:
        """As validation does."""
        accuracy(self.network, self.images, self.labels)


def _seconds(act: Callable[[], None], clock: Callable[[], float]) -> float:
    began = clock()
    act()
    return clock() - began


def _trains_on() -> str:
    """The accelerator that training uses, or the processor, which the fingerprint names."""
    return torch.cuda.get_device_name() if device().type == "cuda" else "cpu"


def _revive(fields: dict[str, Any]) -> Pace:
    """The pace from its stored fields.

    Raises:
        ValueError: they are not times.
    """
    names = ("fixed_s", "seconds_per_flop", "validation", "error")
    numbers = [float(fields[name]) for name in names]
    if not all(number >= 0 and math.isfinite(number) for number in numbers):
        raise ValueError(f"{names} are {numbers}")
    return Pace(str(fields["space"]), *numbers)
