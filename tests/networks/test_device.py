"""Which devices there are, what fits on them, and how work is shared out; no card is needed."""

from __future__ import annotations

import os
import threading

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from tans.errors import InputError, TansWarning
from tans.networks import device as devices_module
from tans.networks.device import (
    CPU,
    at_once,
    autocast,
    compiled,
    device,
    devices,
    moved,
    near,
    on,
    peak_of,
    sampled,
    scaler,
    several,
    shared_out,
    within,
)
from tans.networks.family import build
from tans.networks.network import Network
from tans.training import Recipe, finetune
from tans.training.finetuning import Program
from tans.types import InputSpec, NetworkRef
from tests.pretended import FREE, pretend
from tests.training.bars import bars

SMALL = NetworkRef("timm", "test_byobnet", InputSpec(32))


def cards(*numbers: int) -> tuple[torch.device, ...]:
    return tuple(torch.device("cuda", number) for number in numbers)


@pytest.fixture
def network() -> Network:
    torch.manual_seed(0)
    return build(SMALL, 2)


# Which


def test_without_cards_it_is_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert devices() == (CPU,)
    assert device() == CPU


def test_with_cards_it_is_all_of_them_the_first_first(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, 3)
    assert devices() == cards(0, 1, 2)
    assert device() == cards(0)[0]


def test_on_a_mac_it_is_its_graphics_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert devices() == (torch.device("mps"),)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("cpu", (CPU,)),
        ("cuda", cards(0, 1)),
        ("cuda:1", cards(1)),
        ("auto", cards(0, 1)),
        ("", cards(0, 1)),
    ],
)
def test_a_setting_names_another(
    asked: str, expected: tuple[torch.device, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, 2)
    monkeypatch.setenv("TANS_DEVICE", asked)
    assert devices() == expected


@pytest.mark.parametrize("asked", ["gpu", "cuda:", "cuda:x", "CUDA", "cpu:0", "cuda,cpu"])
def test_no_name_of_a_device_is_refused(asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TANS_DEVICE", asked)
    with pytest.raises(InputError, match=f"'{asked}'; expected auto, cpu, mps, cuda"):
        device()


@pytest.mark.parametrize("asked", ["cuda:2", "mps"])
def test_a_device_that_is_not_there_is_refused(asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, 2)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setenv("TANS_DEVICE", asked)
    with pytest.raises(InputError, match=f"'{asked}'.* there is cpu, cuda:0, cuda:1"):
        devices()


def test_cards_give_the_same_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch)
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", False)
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    devices_module._repeatable.cache_clear()
    devices()
    assert torch.backends.cudnn.deterministic
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


def test_work_of_a_thread_is_done_where_it_is_put(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, 2)
    with on(cards(1)[0]):
        assert device() == cards(1)[0]
        found: list[torch.device] = []
        other = threading.Thread(target=lambda: found.append(device()))
        other.start()
        other.join()
    assert found == [device()] == list(cards(0))


# What fits


@given(count=st.integers(1, 6), workers=st.integers(1, 20))
def test_workers_take_cards_in_turns(count: int, workers: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        pretend(patch, count)
        places = shared_out(workers)
    assert len(places) == workers
    taken = [places.count(card) for card in cards(*range(count))]
    assert max(taken) - min(taken) <= 1


@given(each=st.integers(0, 2 * FREE))
def test_so_many_are_done_at_once_as_half_of_the_free_memory_holds(each: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        pretend(patch)
        count = at_once(each, cards(0)[0])
    assert 1 <= count <= devices_module.MOST_AT_ONCE
    assert count == 1 or count * each <= FREE / 2
    assert at_once(each, CPU) == 1


def test_images_stay_where_they_are_if_they_would_fill_a_card(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images = torch.zeros(10, 3, 8, 8, dtype=torch.uint8)
    pretend(monkeypatch, free=2 * images.nbytes - 2)
    assert near(images, cards(0)[0]) is images
    assert near(images, CPU) is images


def test_on_the_processor_nothing_is_copied() -> None:
    images = torch.zeros(2, 3, 8, 8)
    assert moved(images, CPU) is images
    assert peak_of(lambda: 3, CPU) == (3, 0)


# Several at once


def test_on_the_processor_one_is_done_after_another() -> None:
    begun: list[int] = []

    def work(item: int) -> int:
        begun.append(item)
        return item * item

    found = several(work, [3, 1, 2])
    assert next(found) == (0, 9)
    assert begun == [3]
    assert list(found) == [(1, 1), (2, 4)]


@pytest.mark.parametrize("count", [1, 3])
def test_on_cards_as_many_are_done_at_once_as_fit(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, count)  # each takes a tenth of what is free: five fit into half of it
    together = threading.Barrier(5 * count, timeout=30)

    def work(item: int) -> tuple[int, torch.device]:
        if item:  # the first tells how much memory one takes
            together.wait()
        return item, device()

    found = dict(several(work, range(5 * count + 1)))
    assert [found[number][0] for number in range(5 * count + 1)] == list(range(5 * count + 1))
    where = [found[number][1] for number in range(1, 5 * count + 1)]
    assert {card: where.count(card) for card in where} == dict.fromkeys(cards(*range(count)), 5)


def test_what_is_put_on_one_card_stays_there(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, 3)
    with on(cards(2)[0]):
        found = dict(several(lambda _: device(), range(7)))
    assert set(found.values()) == set(cards(2))


def test_after_a_failure_nothing_more_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, free=1)  # one at a time
    begun: list[int] = []

    def work(item: int) -> None:
        begun.append(item)
        if item == 2:
            raise InputError("the third")

    with pytest.raises(InputError, match="the third"):
        list(several(work, range(50)))
    assert begun == [0, 1, 2]


# 16 bits


@pytest.mark.parametrize(("known", "expected"), [(True, torch.bfloat16), (False, torch.float16)])
def test_a_card_computes_in_the_16_bits_it_knows(
    known: bool, expected: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: known)
    with autocast(cards(0)[0]):
        assert torch.is_autocast_enabled("cuda")
        assert torch.get_autocast_dtype("cuda") == expected
    with autocast(CPU), autocast(torch.device("mps")):
        assert not torch.is_autocast_enabled("cpu")
    assert scaler(CPU).is_enabled() is False


@pytest.mark.parametrize("short", [torch.bfloat16, torch.float16])
@pytest.mark.long
def test_a_fine_tune_in_16_bits_learns_too(
    short: torch.dtype, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, recipe = bars(60), Recipe(epochs=3, batch_size=8)
    whole = finetune(network, task, recipe=recipe)
    monkeypatch.setattr("tans.networks.device._short", lambda _: short)
    tuned = finetune(network, task, recipe=recipe, teachers=[whole.network])
    assert tuned.test_accuracy >= whole.test_accuracy - 0.2
    assert {p.dtype for p in tuned.network.parameters()} == {torch.float32}


# What not all devices do


@given(side=st.integers(2, 9), seed=st.integers(0, 99))
def test_places_within_the_frame_show_its_border(side: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(2, 3, side, side, generator=generator)
    grid = 3 * torch.rand(2, side, side, 2, generator=generator) - 1.5
    kept = F.grid_sample(images, within(grid, side), align_corners=False)
    torch.testing.assert_close(kept, sampled(images, grid), atol=1e-4, rtol=1e-4)


def test_nothing_is_compiled_where_it_does_not_pay(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "compile", lambda *_, **__: pytest.fail("compiled"))
    assert compiled(Program(network), 10**9, torch.zeros(2, 3, 32, 32)) is None


@pytest.mark.long
@pytest.mark.parametrize("deep", [False, True])
def test_what_would_be_compiled_is_the_networks_own_pass(network: Network, deep: bool) -> None:
    network.replace_head(2, deep=deep)
    network.train()
    x = torch.rand(4, 3, 32, 32)
    program = torch.compile(Program(network).train(), backend="eager", fullgraph=True)
    for _ in range(2):
        expected, found = network(x), program(x)
        torch.testing.assert_close(found, expected)
        for scores in (expected, found):
            network.zero_grad()
            scores.square().sum().backward()
        assert all(p.grad is not None for p in network.parameters())


def test_a_compiler_that_is_missing_is_told(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    class OnCard:
        device = cards(0)[0]

    def broken(*_: object, **__: object) -> object:
        def fail(_: object) -> None:
            raise RuntimeError("no C++ compiler")

        return fail

    pretend(monkeypatch)
    monkeypatch.setattr(torch, "compile", broken)
    with pytest.warns(TansWarning, match="nothing is compiled: no C"):
        assert compiled(Program(network), 10**9, OnCard()) is None  # type: ignore[arg-type]
