from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from tans.costs.pace import (
    BATCH,
    CLASSES,
    MIN_ROUNDS,
    ROUNDS,
    Measured,
    Pace,
    cached_pace,
    measure_pace,
    measure_s,
    paced,
)
from tans.errors import InputError, TansWarning
from tans.networks.families.elastic import specification
from tans.networks.families.elastic.specification import LITE0, ref_of
from tans.networks.family import describe, resized
from tans.types import Architecture, InputSpec, NetworkRef
from tests.networks.families.elastic.strategies import TOY
from tests.networks.plain import plain_ref

REF = ref_of(LITE0.smallest, 64)
PACE = Pace("lite0", fixed_s=1e-3, seconds_per_flop=2e-10, validation=0.25, error=0.1)


class Device:
    """A synthetic device on which time is linear in multiply-adds, up to given factors."""

    def __init__(self, *factors: float) -> None:
        self.factors = factors or (1.0, 1.0, 1.0)
        self.calls = 0
        self.setups: list[NetworkRef] = []

    def __call__(self, setups: Sequence[NetworkRef]) -> Measured:
        self.calls += 1
        self.setups = list(setups)
        flops = [describe(ref).costs(CLASSES).flops for ref in setups]
        times = [(1e-3 + 2e-10 * f) * factor for f, factor in zip(flops, self.factors, strict=True)]
        return Measured(tuple(times), times[-1] / 4)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TANS_CACHE", str(tmp_path))
    return tmp_path / "pace"


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> NetworkRef:
    monkeypatch.setitem(specification.SPACES, TOY.name, TOY)
    return ref_of(TOY.smallest, 16)


def test_recovers_a_device_whose_time_is_linear_in_multiply_adds() -> None:
    pace = measure_pace(REF, Device())
    assert (pace.fixed_s, pace.seconds_per_flop) == pytest.approx((1e-3, 2e-10), rel=1e-6)
    assert (pace.validation, pace.error) == pytest.approx((0.25, 0.0), abs=1e-6)


def test_networks_from_the_smallest_to_the_largest_are_timed() -> None:
    device = Device()
    measure_pace(REF, device)
    assert device.setups == [
        ref_of(LITE0.smallest, 64),
        ref_of(LITE0.largest, 64),
        ref_of(LITE0.largest, 128),
    ]


def test_error_grows_as_the_device_strays_from_a_line() -> None:
    slightly, badly = (measure_pace(REF, Device(1, 1, by)).error for by in (1.05, 2.0))
    assert 0 < slightly < 0.15 < badly


def test_times_are_never_negative() -> None:
    pace = measure_pace(REF, Device(0.01, 1, 4))  # a line through these would start below zero
    assert min(pace.fixed_s, pace.seconds_per_flop) >= 0


def test_minutes_count_training_and_what_is_only_looked_at() -> None:
    # 2 ms an image: 3000 images trained on, and 400 looked at for a quarter of the time
    assert PACE.minutes(5e6, 3000) == pytest.approx(6 / 60)
    assert PACE.minutes(5e6, 3000, looked_at=400) == pytest.approx(6.2 / 60)


def test_minutes_of_many_networks_are_those_of_each() -> None:
    flops = np.array([5_000_000, 30_000_000])
    many = PACE.minutes(flops, 3000, 400)
    assert many.tolist() == pytest.approx([PACE.minutes(int(f), 3000, 400) for f in flops])
    assert many[0] < many[1]


def test_measuring_takes_turns_until_the_rounds_are_done(toy: NetworkRef) -> None:
    readings = itertools.count(0, 0.01)
    measured = measure_s([resized(toy, 8), toy], lambda: next(readings))
    assert measured.training == pytest.approx((0.01 / BATCH, 0.01 / BATCH))
    assert measured.looking == pytest.approx(0.01 / BATCH)
    # start, then per round two readings for two steps and one look, and one for the budget
    # (none where it cannot end the measuring)
    assert next(readings) == pytest.approx(0.01 * (1 + 6 * ROUNDS + ROUNDS - MIN_ROUNDS + 1))


def test_measuring_stops_early_on_a_slow_device_and_leaves_the_warm_up_out(toy: NetworkRef) -> None:
    # one network: readings of start, step, look, and in the second round of the budget
    readings = iter([0.0, 0, 90, 90, 190, 190, 192, 192, 193, 193])
    measured = measure_s([toy], lambda: next(readings))
    assert measured == Measured((2 / BATCH,), 1 / BATCH)


def test_measuring_leaves_the_random_numbers_of_others_alone(toy: NetworkRef) -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    measure_s([toy], itertools.count(0, 100).__next__)
    assert torch.equal(torch.rand(3), expected)


def test_second_use_reads_the_cache(cache: Path) -> None:
    device = Device()
    first = cached_pace(REF, device)
    assert cached_pace(REF, device) == first
    assert device.calls == len(list(cache.iterdir())) == 1


def test_another_number_of_threads_is_measured_anew(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Device()
    cached_pace(REF, device)
    monkeypatch.setattr("torch.get_num_threads", lambda: 999)
    cached_pace(REF, device)
    assert device.calls == len(list(cache.iterdir())) == 2


def test_pace_of_a_busy_machine_is_used_and_not_kept(cache: Path) -> None:
    busy, idle = Device(1, 1, 3), Device()
    assert cached_pace(REF, busy).error > 0.15
    assert not list(cache.iterdir())
    assert cached_pace(REF, idle).error < 0.15
    assert cached_pace(REF, busy).error < 0.15
    assert (busy.calls, idle.calls) == (1, 1)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (None, "{"),
        (None, "[]"),
        (None, "\udcff"),
        ('"schema": 2', '"schema": 0'),
        ('"cpu": "', '"cpu": "another '),
        ('"fixed_s": ', '"fixed_s": -'),
        ('"seconds_per_flop": ', '"seconds_per_flop": NaN, "was": '),
        ('"validation": ', '"validation": null, "was": '),
        ('"error": ', '"error": 0.5, "was": '),
    ],
)
def test_damaged_or_foreign_cache_is_measured_again(cache: Path, old: str | None, new: str) -> None:
    device = Device()
    first = cached_pace(REF, device)
    (path,) = cache.iterdir()
    text = new if old is None else path.read_text().replace(old, new, 1)
    path.write_bytes(text.encode(errors="surrogateescape"))
    assert cached_pace(REF, device) == first
    assert device.calls == 2
    assert cached_pace(REF, device) == first
    assert device.calls == 2


def test_a_cache_that_cannot_be_replaced_leaves_nothing_half_written(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.warns(TansWarning, match="measured each time anew, as it cannot be kept: no"):
        cached_pace(REF, Device())
    assert not list(cache.iterdir())


def test_unknown_spaces_are_refused() -> None:
    with pytest.raises(InputError, match="no search space 'other'"):
        cached_pace(ref_of(Architecture("other", LITE0.smallest.stages), 64), Device())


# Networks that are no slices


@pytest.mark.usefixtures("plain")
def test_another_network_is_timed_at_two_sizes() -> None:
    device = Device()
    pace = measure_pace(plain_ref(12, 64), device)
    assert device.setups == [plain_ref(12, 32), plain_ref(12, 64), plain_ref(12, 64)]
    assert pace.space == str(plain_ref(12, 64))
    flops = describe(plain_ref(12, 64)).costs(CLASSES).flops
    expected = (1e-3 + 2e-10 * flops) * 300 / 60
    assert pace.minutes(flops, 300) == pytest.approx(expected, rel=1e-3)
    assert pace.validation == pytest.approx(0.25)


def test_a_network_of_one_size_is_timed_at_that_size_alone() -> None:
    device = Device()
    ref = NetworkRef("timm", "vit_tiny_patch16_224", InputSpec(224))
    pace = measure_pace(ref, device)
    assert device.setups == [ref] * 3
    flops = describe(ref).costs(CLASSES).flops
    assert pace.minutes(flops, 300) == pytest.approx((1e-3 + 2e-10 * flops) * 5, rel=1e-3)


@pytest.mark.usefixtures("plain")
def test_elastic_networks_share_the_pace_of_their_space_and_others_have_their_own(
    cache: Path,
) -> None:
    assert paced(REF) == paced(ref_of(LITE0.largest, 128)) == "lite0"
    assert len({paced(plain_ref(12)), paced(plain_ref(13)), paced(plain_ref(12, 64))}) == 3
    device = Device()
    first = cached_pace(plain_ref(12), device)
    assert cached_pace(plain_ref(12), device) == first
    cached_pace(plain_ref(13), device)
    assert device.calls == len(list(cache.iterdir())) == 2


@pytest.mark.usefixtures("plain")
def test_real_steps_of_another_network_are_timed() -> None:
    readings = itertools.count(0, 100)
    measured = measure_s([plain_ref(12, 8)], lambda: next(readings))
    assert measured == Measured((100 / BATCH,), 100 / BATCH)


@pytest.mark.usefixtures("plain")
def test_a_network_that_a_family_lacks_has_no_pace() -> None:
    with pytest.raises(InputError, match="no plain network 'wide'"):
        measure_pace(NetworkRef("plain", "wide", InputSpec(32)), Device())
