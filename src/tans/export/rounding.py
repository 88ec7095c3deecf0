"""Weights on the grid that 8 bits have, and biases that take back what rounding them shifts.

A filter that was rounded shifts the mean of its output, as its inputs have a mean, and these shifts
add up from layer to layer. What they are is seen on images.

Reference: Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction,
ICCV 2019, section 4.2; the means are those of images here, and no data-free estimate.
"""

from __future__ import annotations

import copy
from functools import partial

import torch
from torch import Tensor, nn

from tans.networks.network import Network, prepare

LARGEST = 64
"""Of a rounded weight, in steps: 7 bits and a sign. Processors without instructions for 8-bit sums
add two products of a weight and an activation of 8 bits in 16 bits, which this leaves room for."""
LOOKED_AT = 64
"""Images, at most, that shifts are seen on."""


@torch.no_grad()
def rounded(network: Network, images: Tensor) -> Network:
    """A copy in evaluation mode whose convolutions have weights of few values.

    Args:
        network: whose batch-norms are folded; it stays as it is.
        images: of the kind that it will see, uint8 (n, 3, r, r).
    """
    x = prepare(images[:: -(-len(images) // LOOKED_AT)], network.input)
    result = copy.deepcopy(network).eval()
    means: dict[str, Tensor] = {}
    hooks = [
        conv.register_forward_hook(partial(_note, means, name))
        for name, conv in _convolutions(network)
    ]
    network(x)
    for hook in hooks:
        hook.remove()
    hooks = []
    for name, conv in _convolutions(result):
        conv.weight.copy_(_on_grid(conv.weight))
        if name in means:
            hooks.append(conv.register_forward_hook(partial(_shift_back, means, name)))
    result(x)  # each layer sees what those before it give once they are corrected
    for hook in hooks:
        hook.remove()
    return result


def _convolutions(network: Network) -> list[tuple[str, nn.Conv2d]]:
    """Those whose weights are used as they are; some kinds standardise theirs first."""
    return [(name, m) for name, m in network.named_modules() if type(m) is nn.Conv2d]


def _on_grid(weight: Tensor) -> Tensor:
    """The nearest values of a filter's own grid, of weights (out, in, h, w)."""
    step = weight.abs().amax((1, 2, 3), keepdim=True) / LARGEST
    return torch.where(step > 0, (weight / step).round() * step, weight)


def _note(means: dict[str, Tensor], name: str, conv: nn.Module, _: object, out: Tensor) -> None:
    """Note the mean of each channel of an output (n, c, h, w), the first time."""
    del conv
    means.setdefault(name, out.mean((0, 2, 3)))


def _shift_back(
    means: dict[str, Tensor], name: str, conv: nn.Conv2d, _: object, out: Tensor
) -> Tensor | None:
    """Give an output (n, c, h, w) the means it should have, by the bias; the first time alone."""
    if name not in means:
        return None
    shift = means.pop(name) - out.mean((0, 2, 3))  # (c,)
    conv.bias = nn.Parameter(shift if conv.bias is None else conv.bias + shift)
    return out + shift[:, None, None]
