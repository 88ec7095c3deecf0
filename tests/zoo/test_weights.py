"""Packing of weights."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tans.errors import ZooError
from tans.networks.batchnorm import recalibrate
from tans.networks.network import without_head
from tans.zoo.weights import (
    SCALE,
    STEPS,
    assemble,
    calibrated,
    from_bytes,
    has_head,
    has_statistics,
    pack_difference,
    pack_whole,
    to_bytes,
    unpack_difference,
    unpack_whole,
)
from tests.networks.plain import PlainFamily, plain_ref, with_statistics
from tests.zoo.conftest import LARGEST, SMALLEST, random_state

shapes = st.lists(st.integers(1, 5), min_size=2, max_size=4).map(tuple)
sizes = st.sampled_from([1e-9, 1e-5, 1e-2, 1.0, 300.0])


def draw(shape: tuple[int, ...], seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=50, deadline=None)
@given(shape=shapes, size=sizes, seed=st.integers(0, 999))
def test_no_weight_is_off_by_more_than_half_a_step(
    shape: tuple[int, ...], size: float, seed: int
) -> None:
    base = {"w": draw(shape, seed)}
    state = {"w": base["w"] + size * draw(shape, seed + 1)}
    packed = pack_difference(state, base)
    restored = unpack_difference(packed, base)["w"]
    assert restored.shape == shape
    step = packed["w" + SCALE].double().view(-1, *[1] * (len(shape) - 1))
    rounding = 4e-7 * (state["w"].abs() + base["w"].abs())  # of float32 sums
    assert ((restored - state["w"]).abs() <= step / 2 + rounding).all()


@settings(max_examples=20, deadline=None)
@given(shape=shapes, seed=st.integers(0, 999))
def test_no_difference_is_stored_exactly(shape: tuple[int, ...], seed: int) -> None:
    base = {"w": draw(shape, seed)}
    assert torch.equal(unpack_difference(pack_difference(base, base), base)["w"], base["w"])


@settings(max_examples=20, deadline=None)
@given(shape=shapes)
def test_two_weights_take_a_byte_and_a_channel_two_more(shape: tuple[int, ...]) -> None:
    packed = pack_difference({"w": draw(shape, 1)}, {"w": draw(shape, 2)})
    count = torch.Size(shape).numel()
    assert sum(tensor.nbytes for tensor in packed.values()) == (count + 1) // 2 + 2 * shape[0]


def test_scale_beats_the_widest_one() -> None:
    state, base = {"w": draw((64, 500), 1)}, {"w": torch.zeros(64, 500)}
    restored = unpack_difference(pack_difference(state, base), base)["w"]
    plain = state["w"].abs().amax(1, keepdim=True) / 7
    error = ((state["w"] / plain).round() * plain - state["w"]).square().sum()
    assert (restored - state["w"]).square().sum() < 0.9 * error


def test_channels_have_scales_of_their_own() -> None:
    difference = torch.tensor([[1e-4, -1e-4], [10.0, -10.0]])
    restored = unpack_difference(
        pack_difference({"w": difference}, {"w": torch.zeros(2, 2)}), {"w": torch.zeros(2, 2)}
    )["w"]
    assert torch.allclose(restored, difference, rtol=0.08)


def test_difference_keeps_vectors_and_the_classifier_and_leaves_statistics_out() -> None:
    state = random_state(1, classes=5)
    base = random_state(0, classes=1000)
    packed = pack_difference(state, base)
    restored = unpack_difference(packed, base)
    assert not has_statistics(packed)
    assert {n for n in state if not has_statistics([n])} == set(restored)
    for name in ("classifier.weight", "classifier.bias", "stem.norm.weight"):
        assert packed[name].dtype == torch.float16
        assert torch.equal(restored[name], state[name].half().float())
    assert packed["stem.conv.weight" + STEPS].dtype == torch.uint8


def test_base_may_lack_the_classifier() -> None:
    state = random_state(1)
    base = {n: t for n, t in random_state(0).items() if not n.startswith("classifier.")}
    assert unpack_difference(pack_difference(state, base), base)["classifier.weight"].shape[0] == 3


def test_whole_keeps_everything_in_sixteen_bits() -> None:
    state = random_state(0)
    restored = unpack_whole(pack_whole(state))
    assert list(restored) == list(state)
    for name, tensor in state.items():
        assert torch.equal(restored[name], tensor.half().to(tensor.dtype))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e9])
@pytest.mark.parametrize("shape", [(3,), (2, 3)])
def test_values_that_cannot_be_stored_are_refused(value: float, shape: tuple[int, ...]) -> None:
    base = {"w": torch.zeros(shape)}
    state = {"w": torch.full(shape, value)}
    with pytest.raises(ZooError, match="not finite"):
        pack_whole(state)
    with pytest.raises(ZooError, match="not finite"):
        pack_difference(state, base)


@pytest.mark.parametrize("base", [{}, {"w": torch.zeros(2, 4)}])
def test_a_base_that_does_not_match_is_refused(base: dict[str, Tensor]) -> None:
    with pytest.raises(ZooError, match=r"w is \(2, 3\)"):
        pack_difference({"w": torch.zeros(2, 3)}, base)
    packed = pack_difference({"w": torch.ones(2, 3)}, {"w": torch.zeros(2, 3)})
    with pytest.raises(ZooError, match="does not fit its base"):
        unpack_difference(packed, base)


def test_bytes_come_back_with_their_base() -> None:
    tensors = {"b": torch.ones(3, dtype=torch.float16), "a": torch.arange(5, dtype=torch.uint8)}
    for base in (None, "5" * 64):
        restored, found = from_bytes(to_bytes(tensors, base))
        assert found == base
        assert all(torch.equal(restored[name], tensors[name]) for name in tensors)


def test_the_same_tensors_give_the_same_bytes() -> None:
    tensors = {"b": torch.ones(3), "a": torch.ones(2, 2)}
    assert len({to_bytes(tensors, "5" * 64) for _ in range(20)}) == 1


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff" * 64])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ZooError, match="safetensors"):
        from_bytes(data)


def test_weights_of_another_network_are_refused() -> None:
    state = random_state(0)
    with pytest.raises(ZooError, match=r"lack stem\.conv\.weight"):
        assemble({n: t for n, t in state.items() if n != "stem.conv.weight"}, LARGEST)
    with pytest.raises(ZooError, match="do not fit"):
        assemble({**state, "stem.conv.weight": torch.zeros(8, 3, 3, 3)}, LARGEST)
    with pytest.raises(ZooError, match="classifier.weight"):  # half a head is none
        assemble({n: t for n, t in state.items() if n != "classifier.weight"}, LARGEST)


def test_a_network_without_a_head_gets_one_of_a_single_output() -> None:
    state = random_state(0)
    body = {name: t for name, t in state.items() if not name.startswith("classifier.")}
    assert has_head(state)
    assert not has_head(body)
    images = torch.linspace(-1, 1, 2 * 3 * 32 * 32).view(2, 3, 32, 32)
    whole, headless = (assemble(s, SMALLEST) for s in (state, body))
    with torch.no_grad():
        assert headless(images).shape == (2, 1)
        assert torch.isfinite(headless(images)).all()
        for network in (whole, headless):  # statistics of the smallest are not in the state
            assert all(p.isfinite().all() for p in network.parameters())
        assert torch.equal(whole.body.stem.conv.weight, headless.body.stem.conv.weight)


def test_networks_of_any_family_are_assembled(plain: PlainFamily) -> None:
    stored = with_statistics(plain.build(plain_ref(12), 3))
    network = assemble(stored.weights(), plain_ref(12))
    assert (network.ref, network.width, network.training) == (plain_ref(12), 12, False)
    assert all(torch.equal(t, stored.weights()[name]) for name, t in network.weights().items())
    with pytest.raises(ZooError, match="do not fit 13"):
        assemble(stored.weights(), plain_ref(13))
    with pytest.raises(ZooError, match=r"lack first\.\w+"):
        assemble(without_head(stored.weights()), SMALLEST)


def test_a_network_that_is_no_slice_keeps_the_statistics_that_it_has(plain: PlainFamily) -> None:
    def refuse() -> Tensor:
        raise AssertionError("no images are needed")

    stored = with_statistics(plain.build(plain_ref(12), 3)).weights()
    assert torch.equal(
        calibrated(stored, plain_ref(12), refuse).weights()["last.1.running_mean"],
        stored["last.1.running_mean"],
    )
    lacking = {name: t for name, t in stored.items() if not has_statistics([name])}
    images = torch.full((4, 3, 32, 32), 9, dtype=torch.uint8)
    found = calibrated(lacking, plain_ref(12), lambda: images)
    expected = assemble(lacking, plain_ref(12))
    recalibrate(expected, images)
    for name, tensor in found.weights().items():
        assert torch.equal(tensor, expected.weights()[name]), name


def test_assembling_leaves_the_random_numbers_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    assemble(random_state(0), SMALLEST)
    assert torch.equal(torch.rand(3), expected)
