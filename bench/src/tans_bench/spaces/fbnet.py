"""The space of FBNet: 22 layers of fixed widths, each one of nine blocks; and FBNet-A.

The blocks of FBNet-A are those of the model definition ``fbnet_a`` that its authors publish in
facebookresearch/mobile-vision. They state 4.3 M parameters and 249.4 M multiply-adds at 224 pixels
for 1000 classes; this network has 4.32 M and 249.9 M. Their later release states 244.5 M, which is
what is left here without the first convolution of blocks of ratio 1.

Reference: Wu et al., FBNet: Hardware-Aware Efficient ConvNet Design via Differentiable Neural
Architecture Search, CVPR 2019 (section 3.1, tables 1 and 2, figures 3 and 4).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn

from tans.errors import InputError
from tans.types import Architecture, Layer

SPACE = "fbnet"
SKIP: Layer = (0, 0)
GROUPED = 2
"""Stands in place of an expand ratio for ratio 1 with pointwise convolutions in two groups."""
BLOCKS: tuple[Layer, ...] = (*((k, e) for k in (3, 5) for e in (1, GROUPED, 3, 6)), SKIP)
"""Kernel size and expand ratio of the candidates (table 2)."""
STEM = 16
TAIL = 1504
"""Of FBNet-A; the definitions of its larger siblings have 1984."""


@dataclass(frozen=True)
class Stage:
    """Searched layers of one width; the first has the stride (table 1)."""

    channels: int
    stride: int
    layers: int


STAGES = (
    Stage(16, 1, 1),
    Stage(24, 2, 4),
    Stage(32, 2, 4),
    Stage(64, 2, 4),
    Stage(112, 1, 4),
    Stage(184, 2, 4),
    Stage(352, 1, 1),
)

FBNET_A = Architecture.parse(
    f"{SPACE}:0x0|3x3,3x1|5x6,3x3,5x1,3x3|5x6,5x3,5x2,5x6|3x6,5x2,5x3,3x2|5x6,5x6,5x3,5x6|5x6"
)
"""Skips after a stage's first layer are left out: they are no layers."""


class ChannelShuffle(nn.Module):
    """Interleave the channels of groups, so that the next groups see all of them."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) to the same."""
        return x.unflatten(1, (self.groups, -1)).transpose(1, 2).flatten(1, 2)


class Block(nn.Module):
    """Pointwise, depthwise, pointwise; with a shortcut where the shapes allow one (figure 3).

    Every ratio has its first pointwise convolution, 1 too.
    """

    def __init__(self, width_in: int, width_out: int, stride: int, layer: Layer) -> None:
        super().__init__()
        kernel, ratio = layer
        groups = 2 if ratio == GROUPED else 1
        width = width_in * (1 if ratio == GROUPED else ratio)
        self.body = nn.Sequential(
            *_conv(width_in, width, groups=groups),
            nn.ReLU(inplace=True),
            ChannelShuffle(groups) if groups > 1 else nn.Identity(),
            *_conv(width, width, kernel, stride, groups=width),
            nn.ReLU(inplace=True),
            *_conv(width, width_out, groups=groups),
        )
        self.shortcut = stride == 1 and width_in == width_out

    def forward(self, x: Tensor) -> Tensor:
        """(n, width_in, r, r) to (n, width_out, r / stride, r / stride)."""
        return x + self.body(x) if self.shortcut else self.body(x)


class FBNet(nn.Module):
    """The body that an architecture describes, with untrained weights.

    A stage lists its layers without skips, since a skipped layer is none. Where a skip is the
    first of its stage and has to change the shape, it is a pointwise convolution, as in the
    authors' code; in the first stage it is the identity.

    Args:
        architecture: of this space.

    Raises:
        InputError: the architecture is not in the space.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        check(architecture)
        self.stem = nn.Sequential(*_conv(3, STEM, 3, stride=2), nn.ReLU(inplace=True))
        self.layers = nn.Sequential(*(_layer(*shape) for shape in _shapes(architecture)))
        self.tail = nn.Sequential(*_conv(STAGES[-1].channels, TAIL), nn.ReLU(inplace=True))
        self.width = TAIL

    def forward(self, x: Tensor) -> Tensor:
        """Pooled features, (n, 3, r, r) to (n, 1504)."""
        return self.tail(self.layers(self.stem(x))).mean((2, 3))


def check(architecture: Architecture) -> None:
    """Refuse what is not in this space.

    Raises:
        InputError: another space's name, a block that does not exist, too many layers, or a skip
            that is no layer.
    """
    fits = (
        architecture.space == SPACE
        and len(architecture.stages) == len(STAGES)
        and all(
            1 <= len(layers) <= stage.layers
            and all(layer in BLOCKS for layer in layers)
            and SKIP not in layers[1:]
            for layers, stage in zip(architecture.stages, STAGES, strict=True)
        )
    )
    if not fits:
        raise InputError(
            f"{architecture} is not in the space {SPACE!r}; expected the form of {FBNET_A}: "
            f"up to {', '.join(str(stage.layers) for stage in STAGES)} layers, each a kernel size "
            "of 3 or 5 and a ratio of 1, 2 (for 1 in two groups), 3 or 6; 0x0 only first"
        )


def _shapes(architecture: Architecture) -> Iterator[tuple[int, int, int, Layer]]:
    """(input channels, output channels, stride, layer) of every layer."""
    width = STEM
    for layers, stage in zip(architecture.stages, STAGES, strict=True):
        for index, layer in enumerate(layers):
            yield width, stage.channels, stage.stride if index == 0 else 1, layer
            width = stage.channels


def _layer(width_in: int, width_out: int, stride: int, layer: Layer) -> nn.Module:
    if layer != SKIP:
        return Block(width_in, width_out, stride, layer)
    if stride == 1 and width_in == width_out:
        return nn.Identity()
    return nn.Sequential(*_conv(width_in, width_out, stride=stride), nn.ReLU(inplace=True))


def _conv(
    width_in: int, width_out: int, kernel: int = 1, stride: int = 1, groups: int = 1
) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    conv = nn.Conv2d(
        width_in, width_out, kernel, stride, padding=kernel // 2, groups=groups, bias=False
    )
    return conv, nn.BatchNorm2d(width_out)
