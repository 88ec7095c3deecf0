"""How long networks take on this device: of an elastic space a few are timed, others each.

The latency of a slice is taken to be a sum of costs that hardware charges for: a fixed part, each
layer's launch, arithmetic, and the traffic of weights and activations. Non-negative least squares
finds what this device charges for each, so a larger network is never predicted to be faster.
A network of another family is timed itself, once.

Reference: Cai et al., Once-for-All, ICLR 2020 (latency predicted instead of measured).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from pydantic import Field

from tans.costs.device import Kept, fit_charges, leave_one_out, remembered
from tans.errors import InputError
from tans.networks.device import CPU, device, name_of, place, synchronise
from tans.networks.family import WORKLOAD, Elastic, build, get_family
from tans.networks.network import Network
from tans.types import NetworkRef

CLASSES = 10
"""Outputs of the head while calibrating; the head's own cost is part of the model."""
ROUNDS = 25
REPEATS = 3
FAST = 0.1
"""Quantile of a network's passes that is taken for its latency."""
BUDGET_S = 8.0
"""Measuring stops after the round in which this is used up, but not before ``MIN_ROUNDS``."""
MIN_ROUNDS = 5

Measure = Callable[[Sequence[NetworkRef]], Sequence[float]]
"""Takes networks; gives milliseconds for each."""


Charge = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Charges = Annotated[tuple[Charge, ...], Field(min_length=len(WORKLOAD), max_length=len(WORKLOAD))]


@dataclass(frozen=True)
class LatencyModel:
    """What one device charges for the parts of a network of one space."""

    space: str
    resolution: int
    """Pixels a side at which it was calibrated."""
    charges: Charges
    """Milliseconds for one unit of each of ``WORKLOAD``, none negative."""
    error: Charge
    """Leave-one-out mean absolute relative error on the timed networks; 0.1 is 10%."""
    measured: tuple[tuple[str, float], ...]
    """The timed architectures, as text, and their milliseconds."""

    def predict(self, ref: NetworkRef, classes: int) -> float:
        """Milliseconds for one image; ``error`` holds at the calibrated resolution.

        Raises:
            InputError: the network is of another space.
        """
        family = elastic(ref.family)
        if family.space_of(ref) != self.space:
            raise InputError(
                f"this latency model is of space {self.space!r}, the architecture of "
                f"{family.space_of(ref)!r}; calibrate for that space"
            )
        return float(family.workload(ref, classes) @ np.array(self.charges))


@dataclass(frozen=True)
class Timed:
    """One network that was timed itself."""

    milliseconds: Charge
    """For one image, under a head of ``CLASSES`` outputs."""
    error: Charge
    """How far two timings lie apart, as a share of the longer; 0.1 is 10%."""


class KeptLatency(Kept):
    """What the cache says of a latency model; schema 1 was of medians, which other work moves."""

    SCHEMA = 2

    model: LatencyModel


class KeptTime(Kept):
    """What the cache says of one network's time; schema 1 was of medians, as of the model."""

    SCHEMA = 2

    model: Timed


def latencies(
    refs: Sequence[NetworkRef], classes: int, measure: Measure | None = None
) -> tuple[np.ndarray, float]:
    """Milliseconds (n,) of networks on this device, and their relative error.

    Measured at first need: a few networks of each elastic space, and each other network.

    Args:
        measure: stands in for the clock; by default networks run on this device.
    """
    models: dict[tuple[str, str, int], LatencyModel] = {}
    timed: dict[NetworkRef, Timed] = {}
    found = []
    for ref in refs:
        family = get_family(ref.family)
        if isinstance(family, Elastic):
            key = (ref.family, family.space_of(ref), ref.input.size)
            models[key] = models.get(key) or cached_latency(*key, measure)
            found.append(models[key].predict(ref, classes))
        else:
            timed[ref] = timed.get(ref) or cached_time(ref, measure)
            found.append(timed[ref].milliseconds)
    errors = [*(model.error for model in models.values()), *(one.error for one in timed.values())]
    return np.array(found), max(errors, default=0.0)


def elastic(family: str) -> Elastic:
    """The family of that name.

    Raises:
        InputError: there is none, or its networks are not slices of larger ones.
    """
    found = get_family(family)
    if not isinstance(found, Elastic):
        raise InputError(f"networks of the family {family!r} are no slices of a larger one")
    return found


def cached_latency(
    family: str, space: str, resolution: int, measure: Measure | None = None
) -> LatencyModel:
    """The model of this device, calibrated at first need and kept if its error can be trusted."""
    about: dict[str, str | int] = {"space": space, "resolution": resolution, **_runs_on()}
    return remembered(
        "latency",
        KeptLatency,
        about,
        lambda: calibrate(elastic(family), space, resolution, measure=measure),
    )


def cached_time(ref: NetworkRef, measure: Measure | None = None) -> Timed:
    """What one network takes on this device, timed at first need and kept if it can be trusted."""
    about: dict[str, str | int] = {"network": str(ref), **_runs_on()}
    return remembered("latency", KeptTime, about, lambda: time_network(ref, measure))


def time_network(ref: NetworkRef, measure: Measure | None = None) -> Timed:
    """Time one network, twice over, so that its error is known."""
    first, second = (float((measure or measure_ms)([ref])[0]) for _ in range(2))
    return Timed(statistics.mean((first, second)), abs(first - second) / max(first, second))


def calibrate(
    family: Elastic,
    space: str,
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
    refs = family.spread(space, resolution, networks, seed)
    times = np.asarray((measure or measure_ms)(refs))  # (networks,)
    costs = np.stack([family.workload(ref, CLASSES) for ref in refs])
    return LatencyModel(
        space=space,
        resolution=resolution,
        charges=tuple(fit_charges(costs, times).tolist()),
        error=leave_one_out(costs, times),
        measured=tuple((ref.name, float(t)) for ref, t in zip(refs, times, strict=True)),
    )


@torch.inference_mode()
def measure_ms(refs: Sequence[NetworkRef]) -> list[float]:
    """Milliseconds of each network on this device, one image at a time: their first decile.

    That is the card or processor that networks compute on here; an image is there already. The
    networks take turns, so that a machine that slows down or warms up does so for all. Other work
    on the machine only ever adds time, so of a busy one the fast passes tell what the device takes.
    """
    turns = [_turn(ref) for ref in refs]
    times: list[list[float]] = [[] for _ in turns]
    began = time.perf_counter()
    for round_ in range(ROUNDS):
        for (network, image), taken in zip(turns, times, strict=True):
            _milliseconds(network, image)  # its weights were evicted by the others' turns
            taken += (_milliseconds(network, image) for _ in range(REPEATS))
        if round_ + 1 >= MIN_ROUNDS and time.perf_counter() - began > BUDGET_S:
            break
    return [float(np.quantile(taken, FAST)) for taken in times]


def _turn(ref: NetworkRef) -> tuple[Network, torch.Tensor]:
    """A network, and an image (1, 3, r, r) that lies where it computes."""
    network = build(ref, CLASSES).eval()
    where, side = place(network), ref.input.size
    image = torch.zeros(1, 3, side, side, device=where)
    return (
        network.to(memory_format=torch.channels_last),
        image.to(memory_format=torch.channels_last),
    )


def _runs_on() -> dict[str, str | int]:
    """The card, if it is one; the fingerprint names the processor."""
    return {} if device() == CPU else {"runs_on": name_of(device())}


def _milliseconds(network: Network, image: torch.Tensor) -> float:
    began = time.perf_counter()
    network(image)
    synchronise(image.device)
    return (time.perf_counter() - began) * 1e3
