"""One subnet of an elastic space as a plain PyTorch module.

Reference: Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks, CVPR 2018.
"""

from __future__ import annotations

import math

import torch
import torch.fx
import torch.nn.functional as F
from torch import Tensor, nn

from tans.networks.families.elastic import specification as spec
from tans.networks.families.elastic.specification import Specification, Stage
from tans.types import Architecture, Layer

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "hswish": nn.Hardswish,
    "none": nn.Identity,
}


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
        x = pad_same(x, self.kernel, self.stride) if self.same else x
        return self.activation(self.norm(self.conv(x)))


@torch.fx.wrap
def pad_same(x: Tensor, kernel: int, stride: int) -> Tensor:
    """Pad as TensorFlow does, (n, c, h, w) to (n, c, h + ..., w + ...)."""
    left_right, top_bottom = (_padding(side, kernel, stride) for side in (x.shape[-1], x.shape[-2]))
    return F.pad(x, left_right + top_bottom)


def _padding(side: int, kernel: int, stride: int) -> tuple[int, int]:
    covered = (math.ceil(side / stride) - 1) * stride + kernel
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
                # no torch.eye, which on the meta device imports a compiler for a second and a half
                identity = nn.Parameter(torch.zeros(kernel**2, kernel**2).fill_diagonal_(1))
                self.depthwise.register_parameter(f"transform{kernel}", identity)
        width = depthwise.out_channels
        self.excite = SqueezeExcite(width) if stage.squeeze_excite else nn.Identity()
        self.project = NormedConv(project, space)
        self.shortcut = stride == 1 and width_in == stage.channels

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.excite(self.depthwise(self.expand(x))))
        return x + y if self.shortcut else y


class Body(nn.Module):
    """What an architecture describes, up to its pooled features.

    Args:
        space: the search space.
        architecture: one of its subnets.
        elastic: also hold the kernel transforms that only a supernet needs.

    Raises:
        InputError: the architecture is not in the space.
    """

    def __init__(
        self, space: Specification, architecture: Architecture, elastic: bool = False
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

    def forward(self, x: Tensor) -> Tensor:
        """Pooled features, (n, 3, r, r) to (n, features)."""
        x = self.first(self.stem(x))
        for stage in self.stages:
            for layer in stage:  # type: ignore[attr-defined]
                x = layer(x)
        return self.pool(self.tail(x))

    def pool(self, x: Tensor) -> Tensor:
        """Features (n, features) from what the tail gives, (n, channels, h, w)."""
        return self.mix_activation(self.mix(x.mean((2, 3))))

    @property
    def stage_names(self) -> list[str]:
        """Of the last layer of each stage."""
        lengths = enumerate(map(len, self.architecture.stages))
        return ["first", *(f"stages.{stage}.{length - 1}" for stage, length in lengths)]


def _inplace(activation: str) -> dict[str, bool]:
    return {} if activation == "none" else {"inplace": True}
