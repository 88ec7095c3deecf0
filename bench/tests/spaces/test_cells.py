"""Operations of spaces of cells, against values worked out by hand."""

import pytest
import torch
from torch import nn

from tans_bench.spaces.cells import (
    DepthwiseConv,
    FactorisedReduction,
    ReluConvNorm,
    SeparableConv,
    Zero,
    average_pool,
    max_pool,
    skip,
)


def test_a_factorised_reduction_sees_even_pixels_in_one_half_and_odd_ones_in_the_other():
    module = FactorisedReduction(1, 2).eval()
    module.norm = nn.Identity()
    for half in (module.even, module.odd):
        nn.init.ones_(half.weight)
    x = torch.arange(16.0).view(1, 1, 4, 4) - 1  # the ReLU takes the first one to 0
    expected = torch.tensor([[[0.0, 1], [7, 9]], [[4, 6], [12, 14]]])
    assert torch.equal(module(x)[0], expected)


@pytest.mark.parametrize("side", [4, 5, 7])
@pytest.mark.parametrize(
    "module",
    [
        skip(6, 2),
        FactorisedReduction(6, 5),
        Zero(2),
        average_pool(2),
        max_pool(2),
        ReluConvNorm(6, 6, 3, stride=2),
        SeparableConv(6, 5, 2),
        DepthwiseConv(6, 5, 2, dilation=2),
    ],
    ids=lambda module: type(module).__name__,
)
def test_every_operation_halves_the_side_alike(module, side):
    assert module(torch.rand(2, 6, side, side)).shape[2:] == (-(-side // 2),) * 2


def test_an_average_at_the_border_is_of_what_is_inside():
    assert torch.equal(average_pool()(torch.ones(1, 1, 3, 3)), torch.ones(1, 1, 3, 3))


def test_zero_is_zero_even_where_the_input_is_not_a_number():
    assert torch.equal(Zero()(torch.full((1, 1, 2, 2), float("nan"))), torch.zeros(1, 1, 2, 2))


def test_without_affine_no_norm_has_weights():
    for module in (SeparableConv(4, 3, 1, affine=False), skip(4, 2, affine=False)):
        assert not any(isinstance(m, nn.BatchNorm2d) and m.affine for m in module.modules())
