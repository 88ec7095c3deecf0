"""What any network is: a body of some family under a linear head."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tans.networks.families.elastic.specification import LITE0, ref_of
from tans.networks.family import build
from tans.networks.network import (
    DeepHead,
    Network,
    converted,
    images_at_once,
    prepare,
    without_head,
)
from tans.types import InputSpec, NetworkRef
from tests.networks.plain import PlainFamily, plain_ref

LITE0_SMALLEST = ref_of(LITE0.smallest, 32)


def noise(n: int, size: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, 3, size, size), dtype=torch.uint8, generator=generator)


@pytest.fixture(params=["elastic", "plain"])
def ref(request: pytest.FixtureRequest, plain: PlainFamily) -> NetworkRef:  # noqa: ARG001
    return {"elastic": LITE0_SMALLEST, "plain": plain_ref(12)}[request.param]


@pytest.fixture
def network(ref: NetworkRef) -> Network:
    torch.manual_seed(0)
    return build(ref, classes=5).eval()


# Input


@given(side=st.integers(8, 4096))
def test_a_processor_looks_at_as_few_images_as_fit_its_caches(side: int) -> None:
    anywhere, card = images_at_once(side), images_at_once(side, torch.device("cuda"))
    cached = images_at_once(side, torch.device("cpu"))
    assert 1 <= cached <= card == anywhere <= 256
    assert cached == 1 or cached * side**2 <= 512**2


def test_images_are_scaled_by_the_mean_and_deviation_of_each_channel() -> None:
    images = noise(2, 8)
    spec = InputSpec(8, (10.0, 20.0, 30.0), (1.0, 2.0, 4.0))
    found = prepare(images, spec)
    assert found.dtype == torch.float32
    for channel, (mean, std) in enumerate(zip(spec.mean, spec.std, strict=True)):
        expected = (images[:, channel].float() - mean) / std
        assert torch.equal(found[:, channel], expected)


def test_elastic_networks_take_images_from_about_minus_one_to_one() -> None:
    found = prepare(torch.tensor([0, 127, 255], dtype=torch.uint8).expand(1, 3, 1, 3), InputSpec(1))
    assert found[0, 0, 0].tolist() == [-127 / 128, 0, 1]


# What it computes


@torch.no_grad()
@pytest.mark.parametrize("size", [16, 40])
def test_what_one_network_takes_becomes_what_another_takes(size: int) -> None:
    images = torch.randint(0, 256, (3, 3, 16, 16), dtype=torch.uint8)
    given, wanted = InputSpec(16), InputSpec(size, (90.0, 100.0, 110.0), (50.0, 55.0, 60.0))
    x = converted(prepare(images, given), given, wanted)
    assert x.shape == (3, 3, size, size)
    if size == 16:
        assert torch.allclose(x, prepare(images, wanted), atol=1e-5)
    back = converted(x, wanted, given).mean((2, 3))
    assert torch.allclose(back, prepare(images, given).mean((2, 3)), atol=0.05)


def test_scores_are_those_of_the_head_on_the_features(network: Network) -> None:
    x = prepare(noise(3, 32), network.input)
    features = network.features(x)
    assert features.shape == (3, network.width)
    assert torch.equal(network(x), network.classifier(features))
    assert network(x).shape == (3, 5)


@torch.no_grad()
def test_stages_are_maps_from_input_to_output(network: Network) -> None:
    x = prepare(noise(2, 32), network.input)
    maps = network.stages(x)
    assert len(maps) == len(network.stage_names) > 1
    assert all(found.dim() == 4 and len(found) == 2 for found in maps)
    sides = [found.shape[-1] for found in maps]
    assert sides == sorted(sides, reverse=True)
    assert sides[0] <= 32


@torch.no_grad()
def test_stages_of_an_elastic_network_are_those_of_its_space() -> None:
    network = build(LITE0_SMALLEST, 5).eval()
    maps = network.stages(torch.zeros(1, 3, 64, 64))
    assert [found.shape[1] for found in maps] == [16, *(stage.channels for stage in LITE0.stages)]
    assert [found.shape[-1] for found in maps] == [32, 16, 8, 4, 4, 2, 2]


@torch.no_grad()
def test_a_stage_is_what_the_body_computes_there_and_is_the_callers_own(
    network: Network,
) -> None:
    x = prepare(noise(2, 32), network.input)
    before = network(x)
    first = network.body.get_submodule(network.stage_names[0])
    seen: list[Tensor] = []
    handle = first.register_forward_hook(lambda _m, _i, output: seen.append(output.clone()))
    maps = network.stages(x)
    handle.remove()
    assert torch.equal(maps[0], seen[0])
    for found in maps:
        found.zero_()
    assert torch.equal(network(x), before)


def test_looking_at_stages_leaves_no_hooks_even_when_it_fails(network: Network) -> None:
    with pytest.raises(RuntimeError):
        network.stages(torch.zeros(1, 5, 32, 32))
    network.stages(torch.zeros(1, 3, 32, 32))
    assert not any(module._forward_hooks for module in network.modules())


# Its head


def test_the_head_is_replaced(network: Network) -> None:
    body = {name: tensor.clone() for name, tensor in without_head(network.weights()).items()}
    network.replace_head(3)
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 3)
    kept = without_head(network.weights())
    assert kept.keys() == body.keys()
    assert all(torch.equal(kept[name], tensor) for name, tensor in body.items())


def test_a_new_head_is_seeded_and_leaves_the_global_stream_alone(network: Network) -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    network.replace_head(7, seed=1)
    assert torch.rand(1) == expected
    first = network.classifier.weight.clone()
    network.replace_head(7, seed=1)
    assert torch.equal(first, network.classifier.weight)
    network.replace_head(7, seed=2)
    assert not torch.equal(first, network.classifier.weight)


# Its weights


@torch.no_grad()
def test_weights_make_an_equal_network(ref: NetworkRef, network: Network) -> None:
    other = build(ref, classes=5).eval()
    x = prepare(noise(2, 32), network.input)
    assert not torch.equal(other(x), network(x))
    assert other.load_weights(network.weights()) == []
    assert torch.equal(other(x), network(x))


def test_weights_have_the_body_s_names_and_those_of_the_head(network: Network) -> None:
    weights = network.weights()
    head = {"classifier.weight", "classifier.bias"}
    assert weights.keys() == network.body.state_dict().keys() | head
    assert without_head(weights).keys() == weights.keys() - head
    assert any(name.endswith("running_mean") for name in weights)
    assert not any(tensor.requires_grad for tensor in weights.values())


def test_weights_can_be_those_that_gradients_flow_into(network: Network) -> None:
    weights = network.weights(keep_vars=True)
    parameters = {id(parameter) for parameter in network.parameters()}
    assert parameters <= {id(tensor) for tensor in weights.values()}


def test_weights_that_do_not_fit_are_refused(network: Network) -> None:
    weights = network.weights()
    extra = {**weights, "more": torch.zeros(1)}
    lacking = {name: t for name, t in weights.items() if name != "classifier.bias"}
    for wrong in (
        extra,
        lacking,
        without_head(weights),
        {**weights, "classifier.bias": extra["more"]},
    ):
        with pytest.raises(RuntimeError, match="Error"):
            network.load_weights(wrong)


def test_what_is_missing_is_named_where_that_is_allowed(network: Network) -> None:
    statistic = next(name for name in network.weights() if name.endswith("running_var"))
    weights = without_head(network.weights())
    del weights[statistic]
    missing = network.load_weights(weights, strict=False)
    assert missing == [statistic, "classifier.weight", "classifier.bias"]


# A head that reads all stages


@torch.no_grad()
def test_a_deep_head_reads_means_and_maxima_of_all_stages_and_the_features(
    network: Network,
) -> None:
    network.replace_head(4, deep=True)
    x = prepare(noise(3, 32), network.input)
    read = network.head_features(x)
    stages = network.stages(x)
    pooled = [part for map in stages for part in (map.mean((2, 3)), map.amax((2, 3)))]
    assert torch.allclose(read, torch.cat([*pooled, network.features(x)], 1))
    assert network.classifier.in_features == read.shape[1]
    assert network(x).shape == (3, 4)
    assert not network.body._forward_hooks


def test_a_deep_head_is_seeded_and_a_plain_one_takes_its_place(network: Network) -> None:
    heads = []
    for seed in (1, 1, 2):
        network.replace_head(4, seed, deep=True)
        heads.append(network.classifier.weight.clone())
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])
    assert network.is_deep
    network.replace_head(4)
    assert not network.is_deep


@torch.no_grad()
def test_a_deep_head_standardises_what_it_reads(network: Network) -> None:
    network.replace_head(2, deep=True)
    head, x = network.classifier, prepare(noise(3, 32), network.input)
    assert isinstance(head, DeepHead)
    head.mean.copy_(network.head_features(x)[0])
    head.scale.fill_(0.5)
    expected = (network.head_features(x) - head.mean) * 0.5 @ head.weight.T + head.bias
    assert torch.allclose(network(x), expected, atol=1e-5)
    assert torch.allclose(network(x)[0], head.bias, atol=1e-5)


def test_every_parameter_gets_a_gradient_under_a_deep_head(network: Network) -> None:
    network.replace_head(2, deep=True)
    network.train()(prepare(noise(3, 32), network.input)).square().sum().backward()
    assert all(p.grad is not None for p in network.parameters())
