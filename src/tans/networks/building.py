"""The network that an architecture describes, of whatever space, and what it costs."""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from tans.errors import InputError
from tans.networks.families.elastic.network import Network
from tans.networks.families.elastic.specification import SPACES
from tans.networks.network import HeadedNetwork
from tans.plugins import plugins
from tans.types import Architecture, Costs


def build(architecture: Architecture, classes: int) -> HeadedNetwork:
    """A network with untrained weights.

    Raises:
        InputError: there is no such space, or the architecture is not in it.
    """
    if architecture.space in SPACES:
        return Network(SPACES[architecture.space], architecture, classes)
    builders = plugins("tans.families")
    if architecture.space not in builders:
        known = ", ".join([*SPACES, *builders])
        raise InputError(f"no search space {architecture.space!r}; expected one of {known}")
    return builders[architecture.space].load()(architecture, classes)


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
