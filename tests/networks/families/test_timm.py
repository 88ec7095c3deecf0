"""Networks of timm keep the contract of a family: built, fed, trained, costed, looked into."""

from __future__ import annotations

import math
import sys

import pytest
import timm
import torch
from torch import Tensor, nn

from tans.errors import InputError, MissingExtraError
from tans.networks.batchnorm import folded
from tans.networks.families.elastic.family import ELASTIC
from tans.networks.families.elastic.specification import LITE0, ref_of
from tans.networks.families.timm import TIMM
from tans.networks.family import resized
from tans.networks.features import image_features, reference_similarities
from tans.networks.network import Network, prepare
from tans.networks.published import PUBLISHED
from tans.types import InputSpec, NetworkRef

PARAMS = {
    "tf_efficientnet_lite0": 4_652_008,
    "tf_efficientnet_lite1": 5_416_680,
    "tf_efficientnet_lite2": 6_092_072,
    "mobilenetv2_100": 3_504_872,
}
"""With 1000 classes, as their authors say."""

each = pytest.mark.parametrize("ref", [p.ref for p in PUBLISHED], ids=lambda ref: ref.name)


def ref_to(name: str, size: int = 64) -> NetworkRef:
    return NetworkRef("timm", name, InputSpec(size))


def noise(size: int, images: int = 2) -> Tensor:
    return torch.randn(images, 3, size, size, generator=torch.Generator().manual_seed(0))


def lively(ref: NetworkRef, classes: int) -> Network:
    """With statistics that fit its activations, else random weights let them fade away."""
    torch.manual_seed(0)
    network = TIMM.build(ref, classes)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, std=0.1)
    with torch.no_grad():
        network.train()(noise(ref.input.size, images=8))
    return network.eval()


def multiply_adds(network: Network, x: Tensor) -> int:
    """Of convolutions and linear layers, counted as they run."""
    counts = []

    def count(module: nn.Module, _input: object, output: Tensor) -> None:
        assert isinstance(module, nn.Conv2d | nn.Linear)
        counts.append(output[0].numel() * module.weight[0].numel())

    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(count)
    with torch.no_grad():
        network.eval()(x)
    return sum(counts)


@each
@pytest.mark.parametrize("classes", [1, 37])
@pytest.mark.long
def test_any_number_of_classes(ref: NetworkRef, classes: int) -> None:
    network = TIMM.build(ref, classes).eval()
    with torch.no_grad():
        assert network(noise(64)).shape == (2, classes)
        assert network.features(noise(64)).shape == (2, network.width)


@each
def test_a_step_reaches_every_parameter(ref: NetworkRef) -> None:
    torch.manual_seed(0)
    network = TIMM.build(ref, 3).train()
    nn.functional.cross_entropy(network(noise(64, images=4)), torch.tensor([0, 1, 2, 0])).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@each
@torch.no_grad()
@pytest.mark.long
def test_features_are_those_that_timm_pools(ref: NetworkRef) -> None:
    network = lively(resized(ref, 64), 1000)
    theirs = timm.create_model(ref.name).eval()
    theirs.load_state_dict(network.weights())
    x = noise(64)
    expected = theirs.forward_head(theirs.forward_features(x), pre_logits=True)
    assert expected.std(0).max() > 0.1
    assert torch.allclose(network.features(x), expected, atol=1e-5)
    assert torch.allclose(network(x), theirs(x), atol=1e-5)


@each
@pytest.mark.long
def test_costs_are_those_of_a_count(ref: NetworkRef) -> None:
    network = TIMM.build(ref, 10)
    costs = TIMM.describe(ref).costs(10)
    assert costs.flops == multiply_adds(network, noise(ref.input.size, images=1))
    assert costs.params == sum(p.numel() for p in network.parameters())
    assert TIMM.describe(ref).costs(1000).params == PARAMS[ref.name]


@pytest.mark.parametrize("size", [64, 75])
def test_lite0_costs_what_it_costs_as_an_elastic_network(size: int) -> None:
    ours = ELASTIC.describe(ref_of(LITE0.largest, size))
    theirs = TIMM.describe(ref_to("tf_efficientnet_lite0", size))
    assert ours.costs(20) == theirs.costs(20)
    assert (theirs.width, theirs.topology) == (ours.width, None)


@each
@torch.no_grad()
def test_stages_halve_the_map(ref: NetworkRef) -> None:
    network = TIMM.build(ref, 2).eval()
    maps = network.stages(noise(75))
    assert [m.shape[-1] for m in maps] == [math.ceil(75 / 2**n) for n in range(1, 6)]
    assert [m.shape[1] for m in maps] == [i["num_chs"] for i in network.body.feature_info]


@each
@torch.no_grad()
@pytest.mark.long
def test_batch_norms_fold_away(ref: NetworkRef) -> None:
    network = lively(resized(ref, 64), 5)
    without = folded(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in without.modules())
    assert network(noise(64)).std(0).max() > 1e-2
    assert torch.allclose(without(noise(64)), network(noise(64)), atol=1e-4)


@each
@torch.no_grad()
@pytest.mark.long
def test_features_of_images_are_those_of_its_own_input(ref: NetworkRef) -> None:
    network = lively(resized(ref, 64), 5)
    images = (noise(64, images=3) * 60 + 128).clamp(0, 255).to(torch.uint8)
    expected = network.features(prepare(images, ref.input))
    assert torch.allclose(image_features(network, images, batch=2), expected, atol=1e-4)
    assert reference_similarities(network).isfinite().all()


@each
def test_weights_are_taken_as_they_are(ref: NetworkRef) -> None:
    weights = TIMM.build(ref, 4).weights()
    selected = TIMM.select(weights, ref)
    TIMM.build(ref, 4).load_weights(selected)
    assert all(selected[name] is tensor for name, tensor in weights.items())


@pytest.mark.parametrize(
    ("name", "size", "width", "stages"),
    [
        ("resnet18", 64, 512, 5),
        ("regnetx_002", 64, 368, 5),
        # what its head hides is wider than its last map
        ("mobilenetv3_small_050", 64, 1024, 5),
        # tokens are no maps
        ("test_vit", 160, 64, 0),
    ],
)
@torch.no_grad()
@pytest.mark.long
def test_networks_of_other_kinds(name: str, size: int, width: int, stages: int) -> None:
    network = lively(ref_to(name, size), 3)
    x = noise(size)
    assert network.features(x).shape == (2, width)
    assert [m.dim() for m in network.stages(x)] == [4] * stages
    assert TIMM.describe(network.ref).width == width
    without = folded(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in without.modules())
    assert torch.allclose(without(x), network(x), atol=1e-4)


def test_a_network_made_for_one_size_takes_no_other() -> None:
    with pytest.raises(InputError, match="images of 160 pixels a side only, not of 64; choose 160"):
        TIMM.build(ref_to("test_vit", 64), 2)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("efficientnet-lite0", "no network 'efficientnet-lite0'; .* efficientnet_lite0"),
        ("resnet_18", "resnet18"),
        ("", "no network ''; expected one such as resnet18"),
        # nothing is fetched
        ("hf-hub:owner/name", "no network 'hf-hub:owner/name'"),
        ("resnet18.nonsense", "cannot build 'resnet18.nonsense': .*tag"),
    ],
)
def test_an_unknown_name_is_refused(name: str, expected: str) -> None:
    for ask in (lambda ref: TIMM.build(ref, 2), TIMM.describe):
        with pytest.raises(InputError, match=expected):
            ask(ref_to(name))


def test_a_missing_timm_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'tans\[timm\]'"):
        TIMM.build(ref_to("resnet18"), 2)
