"""Depthwise kernels that are larger than their map learn fast on a processor.

Networks for small images end in such layers. oneDNN, which computes convolutions on a processor,
has no fast gradient of such a kernel: of one of 5 x 5 pixels over maps of 2 x 2 it takes many times
as long as all else of the layer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import product
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.grad import conv2d_input
from torch.overrides import TorchFunctionMode

Pair = tuple[int, int]
"""Of height and width."""


def fast_depthwise(where: torch.device) -> AbstractContextManager[object]:
    """What is convolved meanwhile has the same gradients, up to rounding, in less time.

    Only on a processor: other devices have fast gradients of all kernels.
    """
    return _FastDepthwise() if where.type == "cpu" else nullcontext()


class _FastDepthwise(TorchFunctionMode):
    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Called for each function of PyTorch, which convolutions are one of."""
        del types
        return (_conv2d if func is torch.conv2d else func)(*args, **(kwargs or {}))


def _conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Pair = 1,
    padding: int | Pair | str = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> Tensor:
    """As ``torch.conv2d``."""
    depthwise = x.ndim == 4 and groups == x.shape[1] == len(weight)
    slow = depthwise and any(map(int.__lt__, x.shape[2:], weight.shape[2:]))
    dilated = _pair(dilation) != (1, 1)
    if not (slow and weight.requires_grad) or dilated or isinstance(padding, str):
        return torch.conv2d(x, weight, bias, stride, padding, dilation, groups)
    found = _Depthwise.apply(x, weight, _pair(stride), _pair(padding))
    return found if bias is None else found + bias[:, None, None]


class _Depthwise(torch.autograd.Function):
    """A depthwise convolution, of images (n, c, h, w) and weights (c, 1, k, l)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: Pair, padding: Pair) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        return torch.conv2d(x, weight, None, stride, padding, 1, len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, None, None]:
        x, weight = ctx.saved_tensors
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = conv2d_input(x.shape, weight, gradient, ctx.stride, ctx.padding, 1, len(weight))
        of_weight = torch.zeros_like(weight)
        rows, columns = (
            _meetings(weight.shape[d], x.shape[d], gradient.shape[d], s, p)
            for d, s, p in zip((2, 3), ctx.stride, ctx.padding, strict=True)
        )
        for (i, from_row, to_row), (j, from_column, to_column) in product(rows, columns):
            seen = x[:, :, from_row, from_column] * gradient[:, :, to_row, to_column]
            of_weight[:, 0, i, j] = seen.sum((0, 2, 3))
        return of_x, of_weight, None, None


def _meetings(
    kernel: int, given: int, made: int, stride: int, padding: int
) -> list[tuple[int, slice, slice]]:
    """Along one side, for each place of a kernel that meets the map: which pixels of what is given
    it meets, and which of what is made they count for."""
    found = []
    for place in range(kernel):
        shift = place - padding  # of the pixel met, from stride times the one made
        first, last = max(0, -(shift // stride)), min(made - 1, (given - 1 - shift) // stride)
        if first <= last:
            met = slice(first * stride + shift, last * stride + shift + 1, stride)
            found.append((place, met, slice(first, last + 1)))
    return found


def _pair(value: int | Pair) -> Pair:
    return (value, value) if isinstance(value, int) else value
