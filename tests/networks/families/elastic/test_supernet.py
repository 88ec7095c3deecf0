import random

import pytest
import torch
from hypothesis import given, settings
from torch.nn.functional import cross_entropy

from tans.networks.families.elastic import specification
from tans.networks.families.elastic.specification import LITE0, Specification, ref_of
from tans.networks.families.elastic.supernet import Supernet, slice_weights, sort_channels
from tans.networks.family import build
from tans.types import Architecture
from tests.networks.families.elastic.strategies import TOY, architectures

few = settings(max_examples=10, deadline=None)
X = torch.randn(2, 3, 40, 40, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def toy_space(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(specification.SPACES, TOY.name, TOY)


def make_supernet(space: Specification) -> Supernet:
    torch.manual_seed(0)
    supernet = Supernet(space, classes=4, size=40)
    with torch.no_grad():
        for name, tensor in supernet.named_parameters():
            if "norm" in name or "transform" in name:
                tensor.add_(0.1 * torch.randn_like(tensor))
    return supernet.eval()


@pytest.mark.parametrize("space", [LITE0, TOY], ids=lambda s: s.name)
def test_an_extracted_subnet_equals_the_slice(space: Specification) -> None:
    supernet = make_supernet(space)
    rng = random.Random(0)
    for architecture in [space.sample(rng) for _ in range(5)] + [space.smallest, space.largest]:
        subnet = supernet.extract(architecture)
        with torch.no_grad():
            assert torch.allclose(subnet(X), supernet(X, architecture), atol=1e-5)


@few
@given(architectures())
@pytest.mark.long
def test_an_extracted_subnet_holds_only_its_own_weights(architecture: Architecture) -> None:
    supernet = Supernet(LITE0, classes=4, size=40)
    subnet = supernet.extract(architecture)
    held = sum(p.untyped_storage().nbytes() for p in subnet.parameters())
    assert held == 4 * LITE0.costs(architecture, 4, 64).params
    before = supernet.full.body.stem.conv.weight.clone()
    with torch.no_grad():
        subnet.body.stem.conv.weight.zero_()
    assert torch.equal(supernet.full.body.stem.conv.weight, before)


def test_training_a_slice_trains_the_supernet() -> None:
    supernet = make_supernet(LITE0).train()
    weight = supernet.full.body.stages[1][0].depthwise.conv.weight  # type: ignore[index]
    mean = supernet.full.body.stem.norm.running_mean.clone()
    cross_entropy(supernet(X, LITE0.smallest), torch.tensor([0, 1])).backward()
    assert weight.grad is not None
    assert weight.grad[:72, :, 1:-1, 1:-1].abs().sum() > 0  # 24 channels in, ratio 3, kernel 3
    assert weight.grad[72:].abs().sum() == 0
    assert weight.grad[:, :, 0].abs().sum() == 0
    assert not torch.equal(supernet.full.body.stem.norm.running_mean, mean)


def test_sorting_channels_keeps_the_function_and_orders_importance() -> None:
    for space in (LITE0, TOY):
        network = make_supernet(space).full
        with torch.no_grad():
            before = network(X)
            sort_channels(network)
            assert torch.allclose(network(X), before, atol=1e-5)
        importance = network.body.stages[0][0].project.conv.weight.abs().sum((0, 2, 3))  # type: ignore[index]
        assert (importance.diff() <= 1e-6).all()


def test_kernel_transforms_are_learnt_by_the_supernet_and_not_held_by_subnets() -> None:
    supernet = make_supernet(TOY)
    names = [n for n in supernet.full.weights() if "transform" in n]
    assert len(names) == 2 * sum(s.depths[-1] for s in TOY.stages)
    assert not [n for n in supernet.extract(TOY.largest).weights() if "transform" in n]
    supernet.train()(X, TOY.smallest).sum().backward()
    grad = supernet.full.weights(keep_vars=True)["stages.0.0.depthwise.transform5"].grad
    assert grad is not None
    assert grad.abs().sum() > 0


def test_slicing_leaves_out_what_the_weights_lack() -> None:
    weights = build(ref_of(LITE0.largest, 40), 3).weights()
    del weights["stem.norm.running_mean"]
    assert "stem.norm.running_mean" not in slice_weights(weights, LITE0, LITE0.smallest)
