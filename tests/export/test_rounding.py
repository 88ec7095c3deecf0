"""Rounded weights give outputs of the same means as those they were rounded from."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from tans.export.rounding import LARGEST, rounded
from tans.networks.batchnorm import folded
from tans.networks.network import Network, prepare
from tests.networks.plain import PLAIN, plain_ref, with_statistics

IMAGES = torch.randint(0, 256, (20, 3, 32, 32), generator=torch.Generator().manual_seed(0)).to(
    torch.uint8
)


class Standardised(nn.Conv2d):
    """Whose weights are not used as they are."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.conv2d(x, self.weight / self.weight.std())


@pytest.fixture
def network(plain_family: None) -> Network:  # noqa: ARG001
    torch.manual_seed(0)
    return folded(with_statistics(PLAIN.build(plain_ref(16), 3).eval()))


def convolutions(network: Network) -> dict[str, nn.Conv2d]:
    return {name: m for name, m in network.named_modules() if isinstance(m, nn.Conv2d)}


@torch.no_grad()
def outputs(network: Network) -> dict[str, Tensor]:
    """Mean of each channel of each convolution."""
    means: dict[str, Tensor] = {}
    hooks = [
        conv.register_forward_hook(
            lambda _, __, out, name=name: means.update({name: out.mean((0, 2, 3))})
        )
        for name, conv in convolutions(network).items()
    ]
    network(prepare(IMAGES, network.input))
    for hook in hooks:
        hook.remove()
    return means


def test_weights_are_whole_steps_of_their_filter(network: Network) -> None:
    before = copy.deepcopy(network.state_dict())
    for conv in convolutions(rounded(network, IMAGES)).values():
        steps = conv.weight / (conv.weight.abs().amax((1, 2, 3), keepdim=True) / LARGEST)
        torch.testing.assert_close(steps, steps.round(), atol=1e-3, rtol=0)
    after = network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_means_of_outputs_stay(network: Network) -> None:
    before, found = outputs(network), rounded(network, IMAGES)
    assert len(before) > 1
    for name, mean in outputs(found).items():
        torch.testing.assert_close(mean, before[name], atol=1e-4, rtol=1e-4)
    for conv in convolutions(found).values():
        assert conv.bias is not None
        conv.bias = nn.Parameter(conv.bias + 0.1)  # whatever the hooks were for, they are gone
    assert not torch.allclose(outputs(found)[name], before[name], atol=1e-2)


def test_a_filter_of_zeros_stays(network: Network) -> None:
    name, conv = next(iter(convolutions(network).items()))
    nn.init.zeros_(conv.weight)
    assert not convolutions(rounded(network, IMAGES))[name].weight.any()


def test_weights_that_a_layer_standardises_stay(network: Network) -> None:
    name, conv = list(convolutions(network).items())[-1]
    own = Standardised(conv.in_channels, conv.out_channels, conv.kernel_size, bias=False)
    parent, _, last = name.rpartition(".")
    setattr(network.get_submodule(parent), last, own)
    assert torch.equal(convolutions(rounded(network, IMAGES))[name].weight, own.weight)


def test_one_image_is_enough(network: Network) -> None:
    found = rounded(network, IMAGES[:1])
    assert all(conv.weight.isfinite().all() for conv in convolutions(found).values())
