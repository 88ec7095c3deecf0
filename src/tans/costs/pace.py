"""How long a fine-tune will take on this device: a few real optimiser steps tell.

The time of one training image is taken to be a fixed part and so much for each multiply-add of
the forward pass; the backward pass and the optimiser are in both. Looking at an image without
training on it takes a share of that.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, overload

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field

from tans.costs.device import Kept, fit_charges, leave_one_out, remembered
from tans.errors import InputError
from tans.networks.device import device, name_of, place, synchronise
from tans.networks.family import Elastic, build, describe, get_family, resized
from tans.training import Loop, Recipe, accuracy, sgd
from tans.types import NetworkRef

CLASSES = 10
"""Outputs of the head while measuring."""
BATCH = Recipe.batch_size
ROUNDS = 5
"""Turns of each network, the first of which only warms up."""
MIN_ROUNDS = 2
BUDGET_S = 4.0
"""Measuring stops after the round in which this is used up, but not before ``MIN_ROUNDS``."""


@dataclass(frozen=True)
class Measured:
    """What real steps took on one device."""

    training: tuple[float, ...]
    """Seconds of training for one image, for each network."""
    looking: float
    """Seconds for one image without training, for the last network."""


Measurement = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Measure = Callable[[Sequence[NetworkRef]], Measured]


@dataclass(frozen=True)
class Pace:
    """What one device takes to train networks."""

    space: str
    """The elastic space that it holds for, or the one network."""
    fixed_s: Measurement
    """Seconds for one training image, whatever the network."""
    seconds_per_flop: Measurement
    """Seconds for one training image and one multiply-add of the forward pass."""
    validation: Measurement
    """Time for an image that is only looked at, as a share of that for one trained on."""
    error: Measurement
    """Leave-one-out mean absolute relative error on the timed networks; 0.1 is 10%."""

    @overload
    def minutes(self, flops: float, trained: int, looked_at: int = 0) -> float: ...
    @overload
    def minutes(
        self, flops: NDArray[Any], trained: int, looked_at: int = 0
    ) -> NDArray[np.float64]: ...
    def minutes(
        self, flops: float | NDArray[Any], trained: int, looked_at: int = 0
    ) -> float | NDArray[np.float64]:
        """Minutes that a fine-tune takes, for one network or for each of (n,).

        Args:
            flops: multiply-adds of the forward pass for one image, at its resolution.
            trained: images that are trained on, over the whole run.
            looked_at: images that are only looked at, likewise.
        """
        per_image = self.fixed_s + self.seconds_per_flop * flops
        return per_image * (trained + self.validation * looked_at) / 60


class KeptPace(Kept):
    """What the cache says of a pace; schema 1 was of slower gradients."""

    SCHEMA = 2

    model: Pace


def cached_pace(ref: NetworkRef, measure: Measure | None = None) -> Pace:
    """The pace of this device, measured at first need and kept if its error can be trusted.

    Of an elastic network it holds for its whole space, of another for it alone.

    Raises:
        InputError: there is no such network.
    """
    about: dict[str, str | int] = {"space": paced(ref), "trains_on": _trains_on()}
    return remembered("pace", KeptPace, about, lambda: measure_pace(ref, measure))


def paced(ref: NetworkRef) -> str:
    """What shares one pace: the space of an elastic network, another network by itself."""
    family = get_family(ref.family)
    return family.space_of(ref) if isinstance(family, Elastic) else str(ref)


def measure_pace(ref: NetworkRef, measure: Measure | None = None) -> Pace:
    """Time a few optimiser steps and fit what this device takes.

    Of an elastic space small and large networks are timed; another network at two sizes.

    Args:
        measure: stands in for the clock; by default networks are trained on this device.
    """
    family = get_family(ref.family)
    if isinstance(family, Elastic):
        smallest, *_, largest = family.spread(family.space_of(ref), 64, 3)
        setups = [smallest, largest, resized(largest, 128)]
    else:
        setups = [_half(ref), ref, ref]
    measured = (measure or measure_s)(setups)
    times = np.array(measured.training)  # (setups,)
    flops = np.array([describe(setup).costs(CLASSES).flops for setup in setups])
    costs = np.stack([np.ones(len(setups)), flops], axis=1)  # (setups, 2)
    fixed_s, seconds_per_flop = fit_charges(costs, times).tolist()
    return Pace(
        space=paced(ref),
        fixed_s=fixed_s,
        seconds_per_flop=seconds_per_flop,
        validation=measured.looking / measured.training[-1],
        error=leave_one_out(costs, times),
    )


def _half(ref: NetworkRef) -> NetworkRef:
    """The network for images of half the size; itself where it takes those of one size alone."""
    half = resized(ref, max(1, ref.input.size // 2))
    try:
        describe(half)
    except InputError:
        return ref
    return half


def measure_s(
    refs: Sequence[NetworkRef],
    clock: Callable[[], float] = time.perf_counter,
) -> Measured:
    """Median seconds for one image, of networks that take turns at steps of fine-tuning.

    Args:
        clock: seconds since some time.
    """
    # whoever asks for a pace keeps the random numbers they seeded; those of cards are not used
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        turns = [_Turn(ref) for ref in refs]
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

    def __init__(self, ref: NetworkRef) -> None:
        network = build(ref, CLASSES)
        network.replace_head(CLASSES, deep=Recipe.deep_head)
        self.where = place(network)
        self.network = network.to(memory_format=torch.channels_last)
        side = ref.input.size
        self.images = torch.randint(0, 256, (BATCH, 3, side, side), dtype=torch.uint8)
        self.labels = torch.arange(BATCH) % CLASSES  # (b,)
        recipe = Recipe(epochs=1, batch_size=BATCH)
        self.loop = Loop(self.network, ref.input, sgd(self.network, recipe), recipe)

    def step(self) -> None:
        """One epoch of one batch."""
        self.loop.minimise(
            lambda x, y, _: F.cross_entropy(self.network(x), y), self.images, self.labels
        )
        synchronise(self.where)

    def look(self) -> None:
        """As validation does."""
        accuracy(self.network, self.images, self.labels)


def _seconds(act: Callable[[], None], clock: Callable[[], float]) -> float:
    began = clock()
    act()
    return clock() - began


def _trains_on() -> str:
    """The accelerator that training uses, or the processor, which the fingerprint names."""
    return name_of(device())
