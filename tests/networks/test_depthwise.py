"""Gradients of kernels that are larger than their map."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor, nn

from tans.networks import depthwise
from tans.networks.depthwise import fast_depthwise
from tans.networks.device import CPU

SIDES = st.tuples(st.integers(1, 6), st.integers(1, 6))
KERNELS = st.tuples(st.integers(1, 7), st.integers(1, 7))


def gradients(output: Tensor, *inputs: Tensor) -> list[Tensor]:
    """Of a sum with weights that differ from place to place."""
    places = torch.linspace(-1, 1, output.numel()).view_as(output)
    return [output, *torch.autograd.grad(output, inputs, places)]


@given(SIDES, KERNELS, st.tuples(st.integers(1, 3), st.integers(1, 3)), st.booleans())
def test_they_are_those_of_pytorch(
    sides: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int], biased: bool
) -> None:
    padding = tuple(k // 2 for k in kernel)
    assume(all(side + 2 * p >= k for side, p, k in zip(sides, padding, kernel, strict=True)))
    torch.manual_seed(0)
    x = torch.randn(2, 4, *sides, requires_grad=True)
    conv = nn.Conv2d(4, 4, kernel, stride, padding, groups=4, bias=biased)
    inputs = (x, *conv.parameters())
    expected = gradients(conv(x), *inputs)
    with fast_depthwise(CPU):
        output = conv(x)
    for own, other in zip(gradients(output, *inputs), expected, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_images_may_need_no_gradient_and_lie_in_any_order(
    memory_format: torch.memory_format,
) -> None:
    x, weight = torch.randn(3, 4, 2, 2), torch.randn(4, 1, 5, 5, requires_grad=True)
    x = x.to(memory_format=memory_format)
    with fast_depthwise(CPU):
        output = F.conv2d(x, weight, padding=2, groups=4)
    expected = gradients(F.conv2d(x, weight, padding=2, groups=4), weight)
    for own, other in zip(gradients(output, weight), expected, strict=True):
        torch.testing.assert_close(own, other)


@pytest.mark.parametrize(
    ("kernel", "given"),
    [
        ((4, 1, 2, 2), {"groups": 4}),  # smaller than the map
        ((4, 4, 5, 5), {"padding": 2}),  # of all channels
        ((8, 1, 5, 5), {"padding": 2, "groups": 4}),  # two of each
        ((4, 1, 3, 3), {"padding": 2, "groups": 4, "dilation": 2}),
        ((4, 1, 5, 5), {"padding": "same", "groups": 4}),
    ],
)
def test_all_other_convolutions_are_left_as_they_are(
    kernel: tuple[int, ...], given: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(depthwise, "_Depthwise", None)
    x, weight = torch.randn(2, 4, 2, 2), torch.randn(kernel, requires_grad=True)
    with fast_depthwise(CPU):
        output = torch.conv2d(x, weight, **given)
    assert torch.equal(output, torch.conv2d(x, weight, **given))


def test_weights_that_do_not_learn_are_left_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(depthwise, "_Depthwise", None)
    x = torch.randn(2, 4, 2, 2, requires_grad=True)
    with fast_depthwise(CPU):
        output = F.conv2d(x, torch.randn(4, 1, 5, 5), padding=2, groups=4)
    assert output.requires_grad


def test_other_devices_are_left_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(depthwise, "_Depthwise", None)
    x, weight = torch.randn(2, 4, 2, 2), torch.randn(4, 1, 5, 5, requires_grad=True)
    with fast_depthwise(torch.device("cuda")):
        assert F.conv2d(x, weight, padding=2, groups=4).requires_grad
