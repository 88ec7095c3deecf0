"""A supernet: one set of weights from which every subnet of a space is a slice.

A subnet's weight is the leading corner of the supernet's along channels and the centre along
kernel positions, so that training a slice trains the supernet.

Reference: Cai et al., Once-for-All, ICLR 2020.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.func import functional_call

from tans.networks.families.elastic.network import InvertedResidual, Network
from tans.networks.families.elastic.specification import Specification, get_space
from tans.types import Architecture

State = dict[str, Tensor]


class Supernet(nn.Module):
    """The largest network of a space, from which any subnet can be run, trained or taken out."""

    def __init__(self, space: Specification, classes: int) -> None:
        super().__init__()
        self.space = space
        self.full = Network(space, space.largest, classes, elastic=True)

    def forward(self, x: Tensor, architecture: Architecture) -> Tensor:
        """Class scores of one subnet, (n, 3, r, r) to (n, classes)."""
        return self.classify(self.features(x, architecture))

    def features(self, x: Tensor, architecture: Architecture) -> Tensor:
        """Pooled features of one subnet, (n, 3, r, r) to (n, features)."""
        weights = slice_state(self.full.state_dict(keep_vars=True), self.space, architecture)
        body = _body(architecture).train(self.training)
        return functional_call(body, {f"network.{k}": v for k, v in weights.items()}, (x,))

    def classify(self, features: Tensor) -> Tensor:
        """Class scores from features, (n, features) to (n, classes)."""
        return self.full.classifier(features)

    def extract(self, architecture: Architecture) -> Network:
        """The subnet as a module of its own, holding only its own weights."""
        return extract(self.full.state_dict(), self.space, architecture)


def extract(
    state: Mapping[str, Tensor], space: Specification, architecture: Architecture
) -> Network:
    """A standalone subnet, in evaluation mode, from a supernet's state."""
    network = Network(space, architecture, classes=len(state["classifier.bias"]))
    sliced = slice_state(state, space, architecture)
    network.load_state_dict({name: tensor.detach().clone() for name, tensor in sliced.items()})
    return network.eval()


def slice_state(
    state: Mapping[str, Tensor], space: Specification, architecture: Architecture
) -> State:
    """Views of a supernet's state that are the state of one subnet.

    Names that ``state`` lacks (such as running statistics) are left out.
    """
    space.check(architecture)
    return {
        name: _slice(state, name, shape)
        for name, shape in _shapes(architecture).items()
        if name in state
    }


def sort_channels(network: Network) -> None:
    """Order the expanded channels of each layer by importance, most important first, in place.

    Importance is the summed magnitude of what the projection takes from a channel, so a slice
    keeps the channels that matter. The network computes the same function as before.
    """
    for layer in (m for m in network.modules() if isinstance(m, InvertedResidual)):
        if isinstance(layer.expand, nn.Identity):
            continue
        importance = layer.project.conv.weight.detach().abs().sum((0, 2, 3))  # (width,)
        order = importance.argsort(descending=True, stable=True)
        state = layer.state_dict()
        outputs = ("expand.", "depthwise.conv", "depthwise.norm", "excite.expand")
        for name, tensor in state.items():
            if name.startswith(outputs) and tensor.dim() > 0:
                state[name] = tensor[order]
            elif name in ("project.conv.weight", "excite.reduce.weight"):
                state[name] = tensor[:, order]
        layer.load_state_dict(state)


class _Body(nn.Module):
    """Makes ``features`` callable through ``functional_call``."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network.features(x)


@lru_cache(maxsize=256)
def _body(architecture: Architecture) -> _Body:
    with torch.device("meta"):
        return _Body(Network(get_space(architecture.space), architecture, classes=1))


@lru_cache(maxsize=4096)
def _shapes(architecture: Architecture) -> dict[str, torch.Size]:
    return {k: v.shape for k, v in _body(architecture).network.state_dict().items()}


def _slice(state: Mapping[str, Tensor], name: str, shape: torch.Size) -> Tensor:
    if name.startswith("classifier."):
        return state[name]
    tensor = state[name]
    if name.endswith("depthwise.conv.weight"):
        tensor = _shrink_kernel(state, name.removesuffix("conv.weight"), tensor, shape[-1])
    for dim, size in enumerate(shape):
        tensor = tensor.narrow(dim, 0, size)
    return tensor


def _shrink_kernel(state: Mapping[str, Tensor], prefix: str, weight: Tensor, kernel: int) -> Tensor:
    """Centre of a (c, 1, k, k) kernel, mapped at each step down where there is a transform."""
    while weight.shape[-1] > kernel:
        weight = weight[:, :, 1:-1, 1:-1]
        transform = state.get(f"{prefix}transform{weight.shape[-1]}")
        if transform is not None:
            weight = (weight.flatten(2) @ transform.T).view_as(weight)  # (c, 1, k, k)
    return weight
