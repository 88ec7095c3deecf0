"""Classifiers of other libraries without their last layer, and what ends their stages."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from tans.errors import InputError
from tans.networks.network import HEAD, Weights

UNUSUAL = 1009
"""Outputs that tell a last layer from all other layers, as no other is so wide."""
BODY = "network."
"""Begins the names of a body's tensors, none of which may be named as a head's are."""
LEAST_STAGES = 2
"""Maps of different sizes, below which a network has no stages: those of patches alone."""


class Headless(nn.Module):
    """A classifier that makes pooled features (n, width) of prepared images (n, 3, r, r).

    Args:
        network: gives class scores, or an object that has them as ``logits``.
        head: name of its last layer, which is taken off.
    """

    def __init__(self, network: nn.Module, head: str) -> None:
        super().__init__()
        network.set_submodule(head, nn.Identity())
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        given = self.network(x)
        return getattr(given, "logits", given).flatten(1)


def last_layer(network: nn.Module, name: str) -> str:
    """Name of the layer that gives scores of a classifier of ``UNUSUAL`` classes.

    Args:
        name: of the network, as messages say it.

    Raises:
        InputError: it has none, or several.
    """
    found = [
        key
        for key, module in network.named_modules()
        if getattr(module, "out_features", getattr(module, "out_channels", None)) == UNUSUAL
        and isinstance(module, nn.Linear | nn.Conv2d)
    ]
    if len(found) != 1:
        raise InputError(
            f"{name} has {len(found)} layers that give class scores; expected a classifier with one"
        )
    return found[0]


def stage_ends(body: nn.Module, size: int) -> tuple[str, ...]:
    """Modules that give the last map (n, channels, height, width) of each size, largest first.

    Seen in a forward pass on the meta device; modules that run several times are no ends.

    Args:
        size: pixels a side.
    """
    runs: dict[str, int] = {}
    ends: dict[int, list[str]] = {}

    def see(name: str) -> Callable[[nn.Module, object, object], None]:
        def hook(_module: nn.Module, _input: object, output: object) -> None:
            runs[name] = runs.get(name, 0) + 1
            if isinstance(output, Tensor) and (side := _side(output)) and 1 < side < size:
                ends.setdefault(side, []).append(name)

        return hook

    handles = [m.register_forward_hook(see(name)) for name, m in body.named_modules() if name]
    try:
        with torch.no_grad():
            body(torch.empty(2, 3, size, size, device="meta"))
    finally:
        for handle in handles:
            handle.remove()
    once = [[name for name in ends[side] if runs[name] == 1] for side in sorted(ends)[::-1]]
    found = tuple(names[-1] for names in once if names)
    return found if len(found) >= LEAST_STAGES else ()


def _side(output: Tensor) -> int:
    """Pixels a side of square maps of two images, (2, channels, side, side); else 0."""
    if output.dim() != 4 or len(output) != 2 or output.shape[2] != output.shape[3]:
        return 0
    return output.shape[2]


def as_body(state: Mapping[str, Tensor], head: str) -> Weights:
    """Tensors of a whole classifier under the names that a ``Headless`` and its head have.

    Args:
        head: name of its last layer, which counts if it is linear.
    """
    own = f"{head}."
    renamed = {BODY + name: t for name, t in state.items() if not name.startswith(own)}
    weight = state.get(f"{own}weight")
    if weight is None or weight.dim() != 2:
        return renamed
    bias = state.get(f"{own}bias", torch.zeros(len(weight)))
    return {**renamed, f"{HEAD}weight": weight, f"{HEAD}bias": bias}
