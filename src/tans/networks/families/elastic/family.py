"""The elastic spaces as a family: slices of supernets, which are built, costed and described."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tans.networks.families.elastic.body import Body
from tans.networks.families.elastic.specification import (
    Convolution,
    Specification,
    architecture_of,
    get_space,
    ref_of,
)
from tans.networks.families.elastic.supernet import slice_weights
from tans.networks.family import Description
from tans.networks.network import Network, Weights
from tans.networks.structure import Operator, Seen, kind_of
from tans.types import Architecture, NetworkRef

CACHED = 2**18
"""Activations of a layer above this many (1 MiB, a core's cache) are also counted as spilled."""
CANDIDATES = 200
ACTIVATIONS = {"relu": "relu", "relu6": "relu6", "hswish": "swish"}
"""What a structure calls them."""


class ElasticFamily:
    """All elastic spaces; the name of a network is its architecture as text."""

    def build(self, ref: NetworkRef, classes: int) -> Network:
        """A subnet with untrained weights.

        Raises:
            InputError: there is no such space, or the architecture is not in it.
        """
        architecture = architecture_of(ref)
        space = get_space(architecture.space)
        body = Body(space, architecture)
        return Network(ref, body, space.features, classes, body.stage_names)

    def describe(self, ref: NetworkRef) -> Description:
        """What is known of a subnet, in closed form.

        Raises:
            InputError: there is no such space, or the architecture is not in it.
        """
        return _described(ref)

    def select(self, weights: Mapping[str, Tensor], ref: NetworkRef) -> Weights:
        """A subnet's slice of a supernet's weights."""
        architecture = architecture_of(ref)
        return slice_weights(weights, get_space(architecture.space), architecture)

    def space(self, name: str) -> Specification:
        """The space of a name.

        Raises:
            InputError: there is none.
        """
        return get_space(name)

    def space_of(self, ref: NetworkRef) -> str:
        """Name of the space that a subnet is of."""
        return architecture_of(ref).space

    def largest(self, space: str, size: int) -> NetworkRef:
        """The whole supernet of a space.

        Raises:
            InputError: there is no such space.
        """
        return ref_of(get_space(space).largest, size)

    def is_largest(self, ref: NetworkRef) -> bool:
        """Whether a subnet is the whole supernet."""
        architecture = architecture_of(ref)
        return architecture == get_space(architecture.space).largest

    def spread(self, space: str, size: int, count: int, seed: int = 0) -> list[NetworkRef]:
        """Smallest, largest, and random networks evenly spaced between by multiply-adds."""
        return _spread(get_space(space), size, count, seed)

    def workload(self, ref: NetworkRef, classes: int) -> NDArray[np.float64]:
        """How much of each of ``WORKLOAD`` one image needs, counted and not run, (costs,)."""
        architecture = architecture_of(ref)
        return _workload(get_space(architecture.space), architecture, classes, ref.input.size)

    def seen(self, ref: NetworkRef) -> Seen:
        """What a forward pass would show of a subnet, counted and not run."""
        architecture = architecture_of(ref)
        return _seen(get_space(architecture.space), architecture, ref.input.size)


ELASTIC = ElasticFamily()


@lru_cache(maxsize=2**16)
def _described(ref: NetworkRef) -> Description:
    architecture = architecture_of(ref)
    space = get_space(architecture.space)
    costs = space.costs(architecture, 0, ref.input.size)
    stages = space.first.channels + sum(stage.channels for stage in space.stages)
    head_width = 2 * stages + space.features
    topology = space.topology(architecture)
    return Description(space.features, costs.params, costs.flops, head_width, topology)


def _spread(space: Specification, size: int, count: int, seed: int) -> list[NetworkRef]:
    rng = random.Random(seed)
    ends = {space.smallest, space.largest}
    drawn = sorted({space.sample(rng) for _ in range(CANDIDATES)} - ends, key=str)
    flops = np.array([space.costs(a, 0, size).flops for a in drawn])
    low, high = (space.costs(a, 0, size).flops for a in (space.smallest, space.largest))
    chosen: list[int] = []
    for target in np.linspace(low, high, count)[1:-1]:
        distance = np.abs(flops - target)
        distance[chosen] = np.inf
        chosen.append(int(distance.argmin()))
    chosen.sort(key=lambda i: flops[i])
    return [ref_of(a, size) for a in (space.smallest, *(drawn[i] for i in chosen), space.largest)]


def _workload(
    space: Specification, architecture: Architecture, classes: int, size: int
) -> NDArray[np.float64]:
    layers, dense, depthwise, spilled = 1, space.features * classes, 0, 0
    weights, activations = (space.features + 1) * classes, space.features + classes
    side = size
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


def _seen(space: Specification, architecture: Architecture, size: int) -> Seen:
    """As ``tans.networks.structure.watched`` sees it, in a hundredth of the time."""
    found, side = Seen(), size
    for convolution in space.convolutions(architecture):
        side = 1 if convolution.pooled else math.ceil(side / convolution.stride)
        found.operators.append(_operator(convolution, side**2))
        found.others["norm_batch"] += convolution.norm
    for convolution in space.squeeze_excites(architecture):
        found.operators.append(_operator(convolution, 1))
    activations = [space.activation] * (3 if space.mix else 2)
    side = math.ceil(size / 2)  # of what the stem gives
    for stage, width_in, stride, (_, expand) in space.layers(architecture):
        side = math.ceil(side / stride)
        activations += [stage.activation] * (2 if expand > 1 else 1)
        activations += ["relu"] * stage.squeeze_excite
        found.others["gates"] += stage.squeeze_excite and side > 1
        found.others["additions"] += stride == 1 and width_in == stage.channels
    found.others.update(f"act_{ACTIVATIONS[each]}" for each in activations)
    return found


def _operator(convolution: Convolution, places: int) -> Operator:
    taken, given, kernel = convolution.in_channels, convolution.out_channels, convolution.kernel
    kind = kind_of(kernel, taken if convolution.depthwise else 1, taken, places)
    return Operator(kind, taken, given, kernel, places, convolution.flops_per_position * places)
