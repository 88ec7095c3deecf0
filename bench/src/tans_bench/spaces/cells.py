"""Operations of spaces of cells.

All keep the pre-activation order of the published spaces: ReLU, convolution, batch-norm. Where
operations are compared in one supernet, their batch-norms learn no scale and shift of their own
(``affine=False``), which would stand in for the operation's weight.

References:
    Liu et al., DARTS: Differentiable Architecture Search, ICLR 2019 (appendix A.1).
    Dong and Yang, NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search,
    ICLR 2020 (section 2.1).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ReluConvNorm(nn.Sequential):
    """ReLU, convolution, batch-norm."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, affine: bool = True
    ) -> None:
        super().__init__(
            nn.ReLU(),
            nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(outputs, affine=affine),
        )


class DepthwiseConv(nn.Sequential):
    """ReLU, depthwise convolution with holes, pointwise convolution, batch-norm."""

    def __init__(
        self, channels: int, kernel: int, stride: int, dilation: int = 1, affine: bool = True
    ) -> None:
        padding = dilation * (kernel // 2)
        super().__init__(
            nn.ReLU(),
            nn.Conv2d(
                channels,
                channels,
                kernel,
                stride,
                padding=padding,
                dilation=dilation,
                groups=channels,
                bias=False,
            ),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels, affine=affine),
        )


class SeparableConv(nn.Sequential):
    """A depthwise-separable convolution applied twice, the first time with the stride."""

    def __init__(self, channels: int, kernel: int, stride: int, affine: bool = True) -> None:
        super().__init__(
            DepthwiseConv(channels, kernel, stride, affine=affine),
            DepthwiseConv(channels, kernel, 1, affine=affine),
        )


class FactorisedReduction(nn.Module):
    """Halve the side by two pointwise convolutions, one of them a pixel further in.

    Every second pixel is taken before they are applied, not by a stride of theirs: on processors
    without AVX-512, oneDNN's gradient of a strided pointwise convolution of fewer than eight
    channels writes beyond its memory.
    """

    def __init__(self, inputs: int, outputs: int, affine: bool = True) -> None:
        super().__init__()
        self.even = nn.Conv2d(inputs, outputs // 2, 1, bias=False)
        self.odd = nn.Conv2d(inputs, outputs - outputs // 2, 1, bias=False)
        self.norm = nn.BatchNorm2d(outputs, affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, r, r) to (n, outputs, ceil(r / 2), ceil(r / 2))."""
        x = F.relu(x)
        # an even side loses its first row and column in the second path, an odd side gains one
        further = F.pad(x, (0, x.shape[-1] % 2, 0, x.shape[-2] % 2))[:, :, 1:, 1:]
        halves = [self.even(x[:, :, ::2, ::2]), self.odd(further[:, :, ::2, ::2])]
        return self.norm(torch.cat(halves, 1))


class Zero(nn.Module):
    """No connection: zeros of the shape that the other operations give."""

    def __init__(self, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x[:, :, :: self.stride, :: self.stride])


def average_pool(stride: int = 1) -> nn.Module:
    """3 x 3, the border averaged over what is inside the image."""
    return nn.AvgPool2d(3, stride, padding=1, count_include_pad=False)


def max_pool(stride: int = 1) -> nn.Module:
    """3 x 3."""
    return nn.MaxPool2d(3, stride, padding=1)


def skip(channels: int, stride: int = 1, affine: bool = True) -> nn.Module:
    """The input itself, or factorised where the side is halved."""
    return nn.Identity() if stride == 1 else FactorisedReduction(channels, channels, affine)
