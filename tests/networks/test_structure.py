"""What a structure tells of a network, and that it is the same whatever builds it."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tans.errors import InputError
from tans.networks.families.elastic.family import ELASTIC
from tans.networks.families.elastic.specification import LITE0, OFA_MBV3, Specification, ref_of
from tans.networks.families.onnx import Graph
from tans.networks.family import describe
from tans.networks.structure import NUMBERS, structure, watched
from tans.types import InputSpec, NetworkRef
from tests.networks.families.elastic.strategies import architectures
from tests.networks.registry import ALL, FAST

RESNET = {
    "depths": [1, 1, 1, 1],
    "embedding_size": 8,
    "hidden_sizes": [8, 16, 24, 32],
    "layer_type": "basic",
}
USUAL = {"hidden_act": "relu", "num_channels": 3, "downsample_in_first_stage": False}
"""Settings that say what holds anyway."""
COSTS = ("params", "flops", "size", "width")


def marked(ref: NetworkRef) -> Any:
    quick = ref.family == "transformers" or ref.name in FAST.get(ref.family, ())
    name = ref.name.partition(" ")[0]
    return pytest.param(ref, id=f"{ref.family}-{name}", marks=() if quick else pytest.mark.slow)


def numbers(family: str, name: str, size: int = 64) -> dict[str, float]:
    return dict(zip(NUMBERS, structure(NetworkRef(family, name, InputSpec(size))), strict=True))


@pytest.mark.parametrize("ref", map(marked, ALL))
@pytest.mark.long
def test_any_network_has_all_numbers(ref: NetworkRef) -> None:
    found = dict(zip(NUMBERS, structure(ref), strict=True))
    assert all(map(math.isfinite, found.values()))
    assert found["layers"] > 1
    kinds = ("dense", "pointwise", "depthwise", "grouped", "linear", "attention")
    assert sum(found[kind] for kind in kinds) == pytest.approx(1)


@pytest.mark.parametrize("ref", map(marked, ALL))
def test_operators_need_the_multiply_adds_that_are_told(ref: NetworkRef) -> None:
    counted = sum(operator.flops for operator in watched(ref).operators)
    # some compute what does not depend on images once for both of the pass
    assert counted == pytest.approx(describe(ref).body_flops, rel=0.02)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("torchvision", "mobilenet_v2"), ("timm", "mobilenetv2_100")),
        (("torchvision", "resnet18"), ("timm", "resnet18")),
        (("torchvision", "mobilenet_v3_small"), ("timm", "mobilenetv3_small_100")),
        (("elastic", str(LITE0.largest)), ("timm", "tf_efficientnet_lite0")),
    ],
    ids=lambda pair: pair[0],
)
@pytest.mark.long
def test_two_libraries_build_the_same_network(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert numbers(*one) == numbers(*other)


@given(st.permutations([*RESNET, *USUAL]), st.sets(st.sampled_from(sorted(USUAL))))
@settings(max_examples=10, deadline=None)
@pytest.mark.long
def test_a_network_is_the_same_however_it_is_named(order: list[str], stated: set[str]) -> None:
    given = {key: (RESNET | USUAL)[key] for key in order if key in RESNET or key in stated}
    plain = numbers("transformers", f"resnet {json.dumps(RESNET)}")
    assert numbers("transformers", f"resnet {json.dumps(given)}") == plain


@pytest.mark.parametrize("space", [LITE0, OFA_MBV3], ids=lambda space: space.name)
@given(data=st.data(), size=st.sampled_from([32, 64, 75]))
@settings(max_examples=8, deadline=None)
@pytest.mark.long
def test_slices_are_counted_as_they_would_be_seen(
    space: Specification, data: st.DataObject, size: int
) -> None:
    ref = ref_of(data.draw(architectures(space)), size)
    seen, counted = watched(ref), ELASTIC.seen(ref)
    assert Counter(seen.operators) == Counter(counted.operators)
    assert +seen.others == +counted.others


def test_numbers_tell_what_a_network_is_made_of() -> None:
    mobile, transformer = numbers("timm", "mobilenetv2_100"), numbers("timm", "test_vit", 160)
    assert mobile["depthwise"] > 0.05
    assert mobile["act_relu6"] > 0
    assert mobile["norm_batch"] == 1
    assert mobile["attention"] == mobile["joins"] == 0
    assert transformer["attention"] > 0
    assert transformer["norm_layer"] > 0
    assert transformer["act_gelu"] > 0
    assert numbers("timm", "test_efficientnet")["gates"] > 0
    assert numbers("timm", "test_resnet")["additions"] > 0


def test_larger_images_change_costs_and_places_and_not_the_operators() -> None:
    small, large = (numbers("timm", "mobilenetv2_100", size) for size in (64, 128))
    changed = {name for name in NUMBERS if small[name] != large[name]}
    assert {"size", "flops"} <= changed
    assert not changed & {"params", "layers", "width", "kernel", "norm_batch", "additions"}


def test_a_graph_of_onnx_tells_its_costs_alone() -> None:
    graph = Graph("0" * 64, 10, "x", "y", size=64, width=32, params=1000, flops=10**6)
    found = numbers("onnx", graph.named("own"))
    assert {name for name, value in found.items() if math.isfinite(value)} == set(COSTS)
    assert [found[name] for name in COSTS] == [3, 6, 6, 5]


@pytest.mark.parametrize(
    "ref",
    [
        NetworkRef("timm", "no_such_network", InputSpec(64)),
        NetworkRef("timm", "deit_tiny_patch16_224", InputSpec(64)),
        NetworkRef("elastic", "lite0:9x9", InputSpec(64)),
        NetworkRef("nobody", "knows", InputSpec(64)),
    ],
    ids=lambda ref: ref.family,
)
def test_what_cannot_be_built_is_told(ref: NetworkRef) -> None:
    with pytest.raises(InputError):
        structure(ref)
