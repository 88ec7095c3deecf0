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

from tans.networks.families.elastic.body import Body, InvertedResidual
from tans.networks.families.elastic.specification import Specification, get_space, ref_of
from tans.networks.network import HEAD, Network, Weights
from tans.types import Architecture, InputSpec


class Supernet(nn.Module):
    """The largest network of a space, from which any subnet can be run, trained or taken out.

    Args:
        space: of its subnets.
        classes: outputs of the head.
        size: pixels a side of the images it takes.
    """

    def __init__(self, space: Specification, classes: int, size: int) -> None:
        super().__init__()
        self.space = space
        body = Body(space, space.largest, elastic=True)
        ref = ref_of(space.largest, size)
        self.full = Network(ref, body, space.features, classes, body.stage_names)

    @property
    def input(self) -> InputSpec:
        """What images it takes."""
        return self.full.input

    def forward(self, x: Tensor, architecture: Architecture) -> Tensor:
        """Class scores of one subnet, (n, 3, r, r) to (n, classes)."""
        return self.classify(self.features(x, architecture))

    def features(self, x: Tensor, architecture: Architecture) -> Tensor:
        """Pooled features of one subnet, (n, 3, r, r) to (n, features)."""
        weights = slice_weights(self.full.weights(keep_vars=True), self.space, architecture)
        own = {name: tensor for name, tensor in weights.items() if not name.startswith(HEAD)}
        return functional_call(_body(architecture).train(self.training), own, (x,))

    def classify(self, features: Tensor) -> Tensor:
        """Class scores from features, (n, features) to (n, classes)."""
        return self.full.classifier(features)

    def extract(self, architecture: Architecture) -> Network:
        """The subnet as a network of its own, holding only its own weights, in evaluation mode."""
        return extract(self.full.weights(), self.space, architecture, self.input.size)


def extract(
    weights: Mapping[str, Tensor], space: Specification, architecture: Architecture, size: int
) -> Network:
    """A standalone subnet, in evaluation mode, from a supernet's weights."""
    body = Body(space, architecture)
    classes = len(weights[f"{HEAD}bias"])
    network = Network(ref_of(architecture, size), body, space.features, classes, body.stage_names)
    sliced = slice_weights(weights, space, architecture)
    network.load_weights({name: tensor.detach().clone() for name, tensor in sliced.items()})
    return network.eval()


def slice_weights(
    weights: Mapping[str, Tensor], space: Specification, architecture: Architecture
) -> Weights:
    """Views of a supernet's weights that are those of one subnet, its head included.

    Names that ``weights`` lack (such as running statistics) are left out.
    """
    space.check(architecture)
    shapes = _shapes(architecture)
    body = {name: _slice(weights, name, shape) for name, shape in shapes.items() if name in weights}
    return {**body, **{name: weights[name] for name in weights if name.startswith(HEAD)}}


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


@lru_cache(maxsize=256)
def _body(architecture: Architecture) -> Body:
    with torch.device("meta"):
        return Body(get_space(architecture.space), architecture)


@lru_cache(maxsize=4096)
def _shapes(architecture: Architecture) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in _body(architecture).state_dict().items()}


def _slice(weights: Mapping[str, Tensor], name: str, shape: torch.Size) -> Tensor:
    tensor = weights[name]
    if name.endswith("depthwise.conv.weight"):
        tensor = _shrink_kernel(weights, name.removesuffix("conv.weight"), tensor, shape[-1])
    for dim, size in enumerate(shape):
        tensor = tensor.narrow(dim, 0, size)
    return tensor


def _shrink_kernel(
    weights: Mapping[str, Tensor], prefix: str, weight: Tensor, kernel: int
) -> Tensor:
    """Centre of a (c, 1, k, k) kernel, mapped at each step down where there is a transform."""
    while weight.shape[-1] > kernel:
        weight = weight[:, :, 1:-1, 1:-1]
        transform = weights.get(f"{prefix}transform{weight.shape[-1]}")
        if transform is not None:
            weight = (weight.flatten(2) @ transform.T).view_as(weight)  # (c, 1, k, k)
    return weight
