from __future__ import annotations

import itertools
import json
import random
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings

from tans.costs.latency import (
    CLASSES,
    LatencyModel,
    cached_latency,
    cached_time,
    latencies,
    measure_ms,
    time_network,
)
from tans.costs.latency import calibrate as calibrate_family
from tans.errors import InputError
from tans.networks.families.elastic.family import ELASTIC
from tans.networks.families.elastic.specification import LITE0, ref_of
from tans.types import Architecture, NetworkRef
from tests.networks.families.elastic.strategies import architectures
from tests.networks.plain import plain_ref

CHARGES = np.array([0.4, 0.05, 0.03, 0.1, 0.2, 0.3, 0.0])


class Device:
    """A synthetic device that charges exactly what the model assumes, up to some noise."""

    def __init__(self, noise: float = 0.0) -> None:
        self.noise = noise
        self.calls = 0

    def __call__(self, refs: Sequence[NetworkRef]) -> list[float]:
        self.calls += 1
        rng = np.random.default_rng(0)
        factors = 1 + self.noise * rng.standard_normal(len(refs))
        costs = [ELASTIC.workload(ref, CLASSES) for ref in refs]
        return list(np.stack(costs) @ CHARGES * factors)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TANS_CACHE", str(tmp_path))
    return tmp_path / "latency"


def truth(architecture: Architecture, resolution: int, classes: int = CLASSES) -> float:
    return float(ELASTIC.workload(ref_of(architecture, resolution), classes) @ CHARGES)


def calibrate(measure: Device, networks: int = 10) -> LatencyModel:
    return calibrate_family(ELASTIC, "lite0", 64, networks, measure=measure)


def test_recovers_a_device_that_charges_linearly() -> None:
    model = calibrate(Device())
    rng = random.Random(1)
    for architecture in (LITE0.sample(rng) for _ in range(20)):
        expected = truth(architecture, 64)
        assert model.predict(ref_of(architecture, 64), CLASSES) == pytest.approx(expected, rel=0.02)
    assert model.error < 0.02


def test_error_grows_with_the_noise_of_the_device() -> None:
    exact, noisy = (calibrate(Device(noise)) for noise in (0.0, 0.2))
    assert exact.error < 0.02 < 0.05 < noisy.error < 0.5


def test_error_is_that_of_networks_left_out() -> None:
    costs = np.array([5.0, 5.0, 5.0, 10.0])
    model = calibrate_family(ELASTIC, "lite0", 64, networks=4, measure=lambda _: costs.tolist())
    assert model.error > 0
    assert [ms for _, ms in model.measured] == costs.tolist()


@settings(max_examples=20, deadline=None)
@given(architectures())
def test_costlier_networks_are_never_predicted_to_be_faster(architecture: Architecture) -> None:
    model = calibrate(Device(0.1), networks=5)
    low, high = (model.predict(ref_of(a, 64), CLASSES) for a in (LITE0.smallest, LITE0.largest))
    assert min(model.charges) >= 0
    ref, smaller = ref_of(architecture, 64), ref_of(architecture, 32)
    assert low <= model.predict(ref, CLASSES) <= high
    assert model.predict(smaller, CLASSES) <= model.predict(ref, 1000)


def test_too_few_networks_are_refused() -> None:
    with pytest.raises(InputError, match="expected at least 3"):
        calibrate(Device(), networks=2)


def test_architectures_of_another_space_are_refused() -> None:
    model = calibrate(Device(), networks=3)
    with pytest.raises(InputError, match="other"):
        model.predict(ref_of(Architecture("other", LITE0.smallest.stages), 64), 10)


@pytest.mark.usefixtures("cache", "plain")
def test_a_family_without_slices_has_no_calibration() -> None:
    model = calibrate(Device(), networks=3)
    with pytest.raises(InputError, match="'plain' are no slices of a larger one"):
        model.predict(plain_ref(12), 10)
    with pytest.raises(InputError, match="'plain' are no slices of a larger one"):
        cached_latency("plain", "lite0", 64, Device())


def test_second_use_reads_the_cache(cache: Path) -> None:
    device = Device()
    first = cached_latency("elastic", "lite0", 64, device)
    assert cached_latency("elastic", "lite0", 64, device) == first
    assert device.calls == 1
    assert len(list(cache.iterdir())) == 1


def test_each_resolution_and_number_of_threads_has_its_own_calibration(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Device()
    cached_latency("elastic", "lite0", 64, device)
    cached_latency("elastic", "lite0", 32, device)
    monkeypatch.setattr("torch.get_num_threads", lambda: 999)
    cached_latency("elastic", "lite0", 64, device)
    assert device.calls == len(list(cache.iterdir())) == 3


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (None, "{"),
        (None, "[]"),
        (None, "\udcff"),
        ('"schema": 2', '"schema": 1'),
        ('"charges": [', '"charges": [-1,'),
        ('"error": ', '"error": null, "was": '),
        ('"error": ', '"error": 0.5, "was": '),
        ('"cpu": "', '"cpu": "another '),
    ],
)
def test_damaged_or_foreign_cache_is_calibrated_again(
    cache: Path, old: str | None, new: str
) -> None:
    device = Device()
    first = cached_latency("elastic", "lite0", 64, device)
    (path,) = cache.iterdir()
    text = new if old is None else path.read_text().replace(old, new, 1)
    path.write_bytes(text.encode(errors="surrogateescape"))
    assert cached_latency("elastic", "lite0", 64, device) == first
    assert device.calls == 2
    assert cached_latency("elastic", "lite0", 64, device) == first
    assert device.calls == 2


def test_calibration_of_a_busy_machine_is_used_and_not_kept(cache: Path) -> None:
    busy, idle = Device(0.4), Device()
    assert cached_latency("elastic", "lite0", 64, busy).error > 0.15
    assert not list(cache.iterdir())
    assert cached_latency("elastic", "lite0", 64, idle) == cached_latency(
        "elastic", "lite0", 64, busy
    )
    assert (busy.calls, idle.calls) == (1, 1)


@pytest.mark.usefixtures("plain")
def test_measuring_gives_positive_milliseconds_for_each_network() -> None:
    times = measure_ms([ref_of(LITE0.smallest, 32), plain_ref(12)])
    assert len(times) == 2
    assert min(times) > 0


# Networks that are no slices: each is timed itself


class Clock:
    """Says so many milliseconds, one after the other, for each network that it is asked about."""

    def __init__(self, *milliseconds: float) -> None:
        self.milliseconds = list(milliseconds)
        self.asked: list[NetworkRef] = []

    def __call__(self, refs: Sequence[NetworkRef]) -> list[float]:
        self.asked += refs
        return [self.milliseconds.pop(0) for _ in refs]


def test_a_network_is_timed_twice_to_know_the_error() -> None:
    clock = Clock(9.0, 10.0)
    timed = time_network(plain_ref(12), clock)
    assert (timed.milliseconds, timed.error) == (9.5, pytest.approx(0.1))
    assert clock.asked == [plain_ref(12)] * 2


def test_second_use_of_a_timed_network_reads_the_cache(cache: Path) -> None:
    first = cached_time(plain_ref(12), Clock(2.0, 2.0))
    assert cached_time(plain_ref(12), Clock()) == first
    other = cached_time(plain_ref(13), Clock(3.0, 3.0))
    larger = cached_time(plain_ref(12, 64), Clock(4.0, 4.0))
    assert [other.milliseconds, larger.milliseconds] == [3.0, 4.0]
    assert len(list(cache.iterdir())) == 3


def test_a_time_of_a_busy_machine_is_used_and_not_kept(cache: Path) -> None:
    assert cached_time(plain_ref(12), Clock(1.0, 2.0)).milliseconds == 1.5
    assert not list(cache.iterdir())
    assert cached_time(plain_ref(12), Clock(1.0, 1.0)).milliseconds == 1.0


@pytest.mark.parametrize(
    "damage",
    [
        {"milliseconds": -2.0},
        {"milliseconds": float("nan")},
        {"milliseconds": float("inf")},
        {"milliseconds": None},
        {"milliseconds": "soon"},
        {"error": -0.1},
        {"error": float("nan")},
        {"error": 0.5},
    ],
)
def test_a_damaged_time_is_measured_again(cache: Path, damage: dict[str, object]) -> None:
    first = cached_time(plain_ref(12), Clock(2.0, 2.0))
    (path,) = cache.iterdir()
    kept = json.loads(path.read_text())
    path.write_text(json.dumps(kept | {"model": kept["model"] | damage}))
    assert cached_time(plain_ref(12), Clock(2.0, 2.0)) == first
    assert json.loads(path.read_text()) == kept


@pytest.mark.usefixtures("plain")
def test_latencies_are_in_the_order_of_networks_and_each_is_measured_once(cache: Path) -> None:
    device = Device()

    def measure(refs: Sequence[NetworkRef]) -> list[float]:
        asked.extend(refs)
        return [7.0] if refs[0].family == "plain" else device(refs)

    asked: list[NetworkRef] = []
    small, large = ref_of(LITE0.smallest, 64), ref_of(LITE0.largest, 64)
    found, error = latencies([large, plain_ref(12), small, plain_ref(12)], CLASSES, measure)
    expected = [truth(LITE0.largest, 64), 7.0, truth(LITE0.smallest, 64), 7.0]
    assert found.tolist() == pytest.approx(expected, rel=0.02)
    assert 0 <= error < 0.02
    assert device.calls == 1
    assert asked.count(plain_ref(12)) == 2
    assert len(list(cache.iterdir())) == 2


@pytest.mark.usefixtures("cache", "plain")
def test_the_error_of_latencies_is_the_largest() -> None:
    refs = [plain_ref(12), plain_ref(13)]
    found, error = latencies(refs, CLASSES, Clock(1.0, 1.0, 9.0, 10.0))
    assert (found.tolist(), error) == ([1.0, 9.5], pytest.approx(0.1))


@pytest.mark.usefixtures("plain")
def test_other_work_that_slows_most_passes_moves_no_latency(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken = itertools.cycle([0.002, 0.02, 0.05, 0.03])  # seconds between two looks at the clock
    clock = SimpleNamespace(perf_counter=itertools.accumulate(taken).__next__)
    monkeypatch.setattr("tans.costs.latency.time", clock)
    assert measure_ms([plain_ref(12)]) == pytest.approx([2.0])
