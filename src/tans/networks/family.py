"""Families of networks, by name: what each can say of its networks, and build.

Those of ``BUILT_IN`` come with tans; other distributions add theirs through entry points.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.metadata import EntryPoint
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tans.errors import InputError
from tans.networks.network import Network, Weights
from tans.plugins import plugins
from tans.types import Costs, NetworkRef

GROUP = "tans.families"
UNFIT = (ArithmeticError, AssertionError, LookupError, RuntimeError, TypeError, ValueError)
"""What networks raise of images that are not of their size."""
WORKLOAD = ("constant", "layers", "dense", "depthwise", "weights", "activations", "spilled")
"""What a device may charge for: per network, per layer, per million of each of the others."""
BUILT_IN = {
    name: EntryPoint(name, f"tans.networks.families.{home}", GROUP)
    for name, home in {
        "elastic": "elastic.family:ELASTIC",
        "onnx": "onnx:ONNX",
        "timm": "timm:TIMM",
        "torchvision": "torchvision:TORCHVISION",
        "transformers": "transformers:TRANSFORMERS",
    }.items()
}


@dataclass(frozen=True)
class Description:
    """What is known of a network before it is built."""

    width: int
    """Of its features."""
    body_params: int
    body_flops: int
    """Multiply-adds of convolutions and linear layers for one image."""
    head_width: int
    """Of what a deep head reads: means and maxima of all stages, and the features."""
    topology: tuple[float, ...] | None = None
    """Topology vector v_t (paper, section 3.2); None in a family that has none."""

    def costs(self, classes: int, deep: bool = False) -> Costs:
        """Under a linear head of so many outputs; of the body alone with 0.

        Args:
            deep: the head reads all stages.
        """
        width = self.head_width if deep else self.width
        return Costs(self.body_params, self.body_flops).under_head(width, classes)


class Family(Protocol):
    """Networks of a kind."""

    def build(self, ref: NetworkRef, classes: int) -> Network:
        """A network with untrained weights.

        Raises:
            InputError: the family has no such network.
        """
        ...

    def describe(self, ref: NetworkRef) -> Description:
        """What any network has.

        Raises:
            InputError: the family has no such network.
        """
        ...

    def select(self, weights: Mapping[str, Tensor], ref: NetworkRef) -> Weights:
        """A network's own tensors out of stored ones, which may name and hold them otherwise."""
        ...


@runtime_checkable
class Elastic(Family, Protocol):
    """A family whose networks are slices of larger ones, so that a few tell of all."""

    def space_of(self, ref: NetworkRef) -> str:
        """Name of the space that a network is of."""
        ...

    def largest(self, space: str, size: int) -> NetworkRef:
        """The network that all others of a space are slices of."""
        ...

    def is_largest(self, ref: NetworkRef) -> bool:
        """Whether a network is a whole one, and no slice."""
        ...

    def spread(self, space: str, size: int, count: int, seed: int = 0) -> list[NetworkRef]:
        """Smallest, largest, and random networks evenly spaced between by multiply-adds."""
        ...

    def workload(self, ref: NetworkRef, classes: int) -> NDArray[np.float64]:
        """How much of each of ``WORKLOAD`` one image needs, (costs,)."""
        ...


@runtime_checkable
class Whole(Family, Protocol):
    """A family whose networks are nothing without their weights, which they cannot run without."""

    def lend(self, ref: NetworkRef, read: Callable[[], Mapping[str, Tensor]]) -> None:
        """Say what gives the weights of a network, for when it is built to be timed."""
        ...


def get_family(name: str) -> Family:
    """The family of a name.

    Raises:
        InputError: there is none.
    """
    if name in BUILT_IN:  # what is installed is looked through only where that may help
        return _loaded(BUILT_IN[name])
    known = {**BUILT_IN, **plugins(GROUP)}
    if name not in known:
        raise InputError(f"no family of networks {name!r}; expected one of {', '.join(known)}")
    return _loaded(known[name])


def build(ref: NetworkRef, classes: int) -> Network:
    """A network with untrained weights, whatever its family.

    Raises:
        InputError: there is no such family, or it has no such network.
    """
    return get_family(ref.family).build(ref, classes)


def describe(ref: NetworkRef) -> Description:
    """What is known of a network before it is built, whatever its family.

    Raises:
        InputError: there is no such family, or it has no such network.
    """
    return get_family(ref.family).describe(ref)


def counted(family: Family, ref: NetworkRef) -> Description:
    """A description from one forward pass on the meta device, which computes nothing.

    Raises:
        InputError: the family has no such network, or it takes no images of this size.
    """
    from torch.utils.flop_counter import FlopCounterMode  # brings a compiler of kernels along

    with torch.device("meta"):
        network = family.build(ref, 1)
    params = sum(p.numel() for p in network.body.parameters() if p.requires_grad)
    size = ref.input.size
    network.requires_grad_(False)  # or the counter asks for gradients that there are none of
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            # pooling the stages on the way, as a deep head does, multiplies nothing
            parts = network.eval().blocks(torch.empty(1, 3, size, size, device="meta"))
    except UNFIT as error:
        raise InputError(
            f"{ref.name} takes no images of {size} pixels a side ({error}); choose the size that "
            "it was made for"
        ) from error
    head_width = sum(part.shape[1] for part in parts)
    # the counter counts two for a multiply-add
    return Description(network.width, params, counter.get_total_flops() // 2, head_width)


@lru_cache(maxsize=2**16)
def head_width(ref: NetworkRef) -> int:
    """Of what a deep head reads of a network; all slices of a space show as much.

    Raises:
        InputError: there is no such family, or it has no such network.
    """
    family = get_family(ref.family)
    if isinstance(family, Elastic):
        return _head_width(family.largest(family.space_of(ref), ref.input.size))
    return _head_width(ref)


@lru_cache(maxsize=4096)
def _head_width(ref: NetworkRef) -> int:
    return describe(ref).head_width


def resized(ref: NetworkRef, size: int) -> NetworkRef:
    """The same network for images of so many pixels a side."""
    return replace(ref, input=replace(ref.input, size=size))


@lru_cache(maxsize=64)
def _loaded(point: EntryPoint) -> Family:
    return point.load()
