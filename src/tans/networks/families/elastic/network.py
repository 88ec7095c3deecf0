"""One subnet of an elastic space as a plain PyTorch module.

Reference: Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks, CVPR 2018.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tans.networks.families.elastic import specification as spec
from tans.networks.families.elastic.specification import Specification, Stage
from tans.networks.network import HeadedNetwork
from tans.types import Architecture, Layer

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "hswish": nn.Hardswish,
    "none": nn.Identity,
}


def normalise(images: Tensor) -> Tensor:
    """uint8 (n, 3, r, r) to the float32 input of a network, (x - 127) / 128."""
    return (images.float() - 127) / 128


class NormedConv(nn.Module):
    """Convolution, batch-norm, activation."""

    def __init__(
        self, shape: spec.Convolution, space: Specification, activation: str = "none"
    ) -> None:
        super().__init__()
        self.stride, self.kernel = shape.stride, shape.kernel
        self.same = space.same_padding and shape.stride > 1
        self.conv = nn.Conv2d(
            shape.in_channels,
            shape.out_channels,
            shape.kernel,
            shape.stride,
            padding=0 if self.same else shape.kernel // 2,
            groups=shape.in_channels if shape.depthwise else 1,
            bias=False,
        )
        self.norm = nn.BatchNorm2d(shape.out_channels, eps=space.norm_eps)
        self.activation = ACTIVATIONS[activation](**_inplace(activation))

    def forward(self, x: Tensor) -> Tensor:
        if self.same:
            x = F.pad(x, self._same_padding(x.shape[-1]) + self._same_padding(x.shape[-2]))
        return self.activation(self.norm(self.conv(x)))

    def _same_padding(self, side: int) -> tuple[int, int]:
        covered = (math.ceil(side / self.stride) - 1) * self.stride + self.kernel
        total = max(covered - side, 0)
        return total // 2, total - total // 2


class SqueezeExcite(nn.Module):
    """Channel weights from pooled features, through a bottleneck of a quarter of the width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        squeezed = spec.divisible(width // 4)
        self.reduce = nn.Conv2d(width, squeezed, 1)
        self.expand = nn.Conv2d(squeezed, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        pooled = x.mean((2, 3), keepdim=True)  # (n, width, 1, 1)
        return x * F.hardsigmoid(self.expand(F.relu(self.reduce(pooled))))


class InvertedResidual(nn.Module):
    """Expand, depthwise, squeeze-excite, project; with a shortcut where the shapes allow one."""

    def __init__(
        self,
        stage: Stage,
        width_in: int,
        stride: int,
        layer: Layer,
        space: Specification,
        elastic: bool,
    ) -> None:
        super().__init__()
        *expand, depthwise, project = spec.layer_convolutions(stage, width_in, stride, layer)
        self.expand = NormedConv(expand[0], space, stage.activation) if expand else nn.Identity()
        self.depthwise = NormedConv(depthwise, space, stage.activation)
        if elastic and space.kernel_transforms:
            for kernel in stage.kernels[:-1]:
                identity = nn.Parameter(torch.eye(kernel**2))
                self.depthwise.register_parameter(f"transform{kernel}", identity)
        width = depthwise.out_channels
        self.excite = SqueezeExcite(width) if stage.squeeze_excite else nn.Identity()
        self.project = NormedConv(project, space)
        self.shortcut = stride == 1 and width_in == stage.channels

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.excite(self.depthwise(self.expand(x))))
        return x + y if self.shortcut else y


class Network(HeadedNetwork):
    """The network that an architecture describes, with a linear head.

    Args:
        space: the search space.
        architecture: one of its subnets.
        classes: outputs of the head.
        elastic: also hold the kernel transforms that only a supernet needs.

    Raises:
        InputError: the architecture is not in the space.
    """

    def __init__(
        self, space: Specification, architecture: Architecture, classes: int, elastic: bool = False
    ) -> None:
        super().__init__()
        space.check(architecture)
        self.space, self.architecture = space, architecture
        self.stem = NormedConv(
            spec.Convolution(3, space.stem, 3, stride=2), space, space.activation
        )
        first, *rest = (
            InvertedResidual(*shape, space, elastic) for shape in space.layers(architecture)
        )
        self.first = first
        self.stages = nn.ModuleList(
            nn.ModuleList(rest.pop(0) for _ in layers) for layers in architecture.stages
        )
        tail = spec.Convolution(space.stages[-1].channels, space.tail)
        self.tail = NormedConv(tail, space, space.activation)
        self.mix = nn.Linear(space.tail, space.mix, bias=False) if space.mix else nn.Identity()
        self.mix_activation = ACTIVATIONS[space.activation if space.mix else "none"]()
        self.classifier = nn.Linear(space.features, classes)

    def features(self, x: Tensor) -> Tensor:
        """Pooled features, (n, 3, r, r) to (n, features)."""
        x = self.first(self.stem(x))
        for stage in self.stages:
            for layer in stage:  # type: ignore[attr-defined]
                x = layer(x)
        return self.mix_activation(self.mix(self.tail(x).mean((2, 3))))


def _inplace(activation: str) -> dict[str, bool]:
    return {} if activation == "none" else {"inplace": True}
