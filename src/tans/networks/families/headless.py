"""Classifiers of other libraries without their last layer, and what ends their stages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

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


@dataclass(frozen=True)
class Shape:
    """What a classifier takes and gives."""

    head: str
    """Name of its last layer."""
    width: int
    """Of what that reads, pooled."""
    stages: tuple[str, ...]
    """Modules of the body that end a stage with maps (n, channels, height, width)."""

    @classmethod
    def seen(cls, network: nn.Module, name: str, size: int) -> Self:
        """What a forward pass of a classifier on the meta device shows, whose head is taken off.

        Args:
            network: on that device, of ``UNUSUAL`` classes, in evaluation mode.
            name: of it, as messages say it.
            size: pixels a side of images.

        Raises:
            InputError: it has no last layer, or several.
        """
        head = last_layer(network, name)
        body = Headless(network, head)
        with torch.no_grad():
            width = body(torch.empty(1, 3, size, size, device="meta")).shape[1]
        return cls(head, width, stage_ends(body, size))


@dataclass
class _Seen:
    """What a module took and gave in one forward pass."""

    runs: int = 0
    taken: int = 0
    """Pixels a side of the maps that it took; 0 where it took none."""
    given: int = 0
    output: Tensor | None = None
    version: int = 0
    """Of the output, which changes when what comes next works in place."""


def stage_ends(body: nn.Module, size: int) -> tuple[str, ...]:
    """Modules that give the last map (n, channels, height, width) of each size, largest first.

    Seen in a forward pass on the meta device. No end is a module that runs several times, whose
    output is worked on in place, or that lies within one that makes maps smaller.

    Args:
        size: pixels a side.
    """
    seen = {name: _Seen() for name, _ in body.named_modules()}
    order: list[str] = []

    def see(name: str) -> Callable[[nn.Module, tuple[object, ...], object], None]:
        def hook(_module: nn.Module, given: tuple[object, ...], output: object) -> None:
            found = seen[name]
            found.runs += 1
            found.taken, found.given = _side(given[0] if given else None), _side(output)
            if isinstance(output, Tensor):
                found.output, found.version = output, output._version
            order.append(name)

        return hook

    handles = [module.register_forward_hook(see(name)) for name, module in body.named_modules()]
    try:
        with torch.no_grad():
            body(torch.empty(2, 3, size, size, device="meta"))
    finally:
        for handle in handles:
            handle.remove()
    ends = {seen[name].given: name for name in order if name and _ends(name, seen, size)}
    found = tuple(ends[side] for side in sorted(ends, reverse=True))
    return found if len(found) >= LEAST_STAGES else ()


def _ends(name: str, seen: Mapping[str, _Seen], size: int) -> bool:
    """Whether a module may be the end of a stage."""
    own = seen[name]
    if own.output is None or own.output._version != own.version:
        return False
    parts = name.split(".")
    above = (seen[".".join(parts[:count])] for count in range(1, len(parts)))
    inside = any(own.given == each.taken and 0 < each.given < each.taken for each in above)
    return own.runs == 1 and 1 < own.given < size and not inside


def _side(output: object) -> int:
    """Pixels a side of square maps of two images, (2, channels, side, side); else 0."""
    if not isinstance(output, Tensor) or output.dim() != 4 or len(output) != 2:
        return 0
    return output.shape[2] if output.shape[2] == output.shape[3] else 0


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
