"""Batch-norm layers: their running statistics, and doing without them."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval

from tans.networks.families.elastic.network import NormedConv, normalise
from tans.networks.network import HeadedNetwork


@torch.no_grad()
def recalibrate(network: nn.Module, images: Tensor) -> None:
    """Set all running statistics to those of one batch of images, uint8 (n, 3, r, r).

    A slice of a supernet sees other activations than the supernet did, so the supernet's
    statistics do not fit it. Leaves the network in evaluation mode.
    """
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    network.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a cumulative average: one batch sets it
        norm.train()
    where = next(network.parameters()).device
    network(normalise(images).to(where, memory_format=torch.channels_last))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()


def folded(network: HeadedNetwork) -> HeadedNetwork:
    """A copy in evaluation mode whose inverted residuals have taken their batch-norms in.

    It computes the same in two thirds of the time; only for looking, not for training on.
    """
    copied = copy.deepcopy(network).eval()
    for module in [m for m in copied.modules() if isinstance(m, NormedConv)]:
        module.conv = fuse_conv_bn_eval(module.conv, module.norm)
        module.norm = nn.Identity()  # type: ignore[assignment]
    return copied
