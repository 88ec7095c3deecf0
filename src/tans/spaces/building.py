"""The network that an architecture describes, of whatever space, and what it costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch.utils.flop_counter import FlopCounterMode

from tans.errors import InputError
from tans.spaces import darts, fbnet, nasbench201
from tans.spaces.headed import HeadedNetwork
from tans.spaces.network import Network
from tans.spaces.specification import SPACES
from tans.types import Architecture, Costs

BUILDERS: Mapping[str, Callable[[Architecture, int], HeadedNetwork]] = {
    fbnet.SPACE: fbnet.FBNet,
    nasbench201.NAS_BENCH_201.name: nasbench201.build_small,
    darts.DARTS.name: darts.build,
}
"""By name of a space that is not elastic: takes an architecture and a number of classes."""


def build(architecture: Architecture, classes: int) -> HeadedNetwork:
    """A network with untrained weights.

    Raises:
        InputError: there is no such space, or the architecture is not in it.
    """
    if architecture.space in SPACES:
        return Network(SPACES[architecture.space], architecture, classes)
    if architecture.space not in BUILDERS:
        known = ", ".join([*SPACES, *BUILDERS])
        raise InputError(f"no search space {architecture.space!r}; expected one of {known}")
    return BUILDERS[architecture.space](architecture, classes)


def costs(architecture: Architecture, classes: int, resolution: int) -> Costs:
    """Parameters and multiply-adds with a linear head of ``classes`` outputs.

    Raises:
        InputError: there is no such space, or the architecture is not in it.
    """
    if architecture.space in SPACES:
        return SPACES[architecture.space].costs(architecture, classes, resolution)
    with torch.device("meta"):
        return counted(build(architecture, classes), resolution)


@torch.no_grad()
def counted(network: HeadedNetwork, resolution: int) -> Costs:
    """Costs of a network on the meta device, from one forward pass that computes nothing."""
    params = sum(p.numel() for p in network.parameters() if p.requires_grad)
    with FlopCounterMode(display=False) as counter:
        network.eval()(torch.empty(1, 3, resolution, resolution, device="meta"))
    return Costs(params, counter.get_total_flops() // 2)  # it counts two for a multiply-add
