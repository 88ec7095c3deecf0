from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from torch import nn

from tans.costs.latency import (
    CLASSES,
    COSTS,
    cached_latency,
    calibrate,
    cost_vector,
    measure_ms,
    spread,
)
from tans.errors import InputError
from tans.networks.families.elastic.network import Network
from tans.networks.families.elastic.specification import LITE0, Specification
from tans.types import Architecture
from tests.networks.families.elastic.strategies import TOY, architectures

CHARGES = np.array([0.4, 0.05, 0.03, 0.1, 0.2, 0.3, 0.0])


class Device:
    """A synthetic device that charges exactly what the model assumes, up to some noise."""

    def __init__(self, noise: float = 0.0) -> None:
        self.noise = noise
        self.calls = 0

    def __call__(
        self, space: Specification, architectures: Sequence[Architecture], resolution: int
    ) -> list[float]:
        self.calls += 1
        rng = np.random.default_rng(0)
        factors = 1 + self.noise * rng.standard_normal(len(architectures))
        costs = [cost_vector(space, a, CLASSES, resolution) for a in architectures]
        return list(np.stack(costs) @ CHARGES * factors)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TANS_CACHE", str(tmp_path))
    return tmp_path / "latency"


def truth(architecture: Architecture, resolution: int, classes: int = CLASSES) -> float:
    return float(cost_vector(LITE0, architecture, classes, resolution) @ CHARGES)


def test_recovers_a_device_that_charges_linearly() -> None:
    model = calibrate(LITE0, 64, measure=Device())
    rng = random.Random(1)
    for architecture in (LITE0.sample(rng) for _ in range(20)):
        expected = truth(architecture, 64)
        assert model.predict(architecture, CLASSES, 64) == pytest.approx(expected, rel=0.02)
    assert model.error < 0.02


def test_error_grows_with_the_noise_of_the_device() -> None:
    exact, noisy = (calibrate(LITE0, 64, measure=Device(noise)) for noise in (0.0, 0.2))
    assert exact.error < 0.02 < 0.05 < noisy.error < 0.5


def test_error_is_that_of_networks_left_out() -> None:
    costs = np.array([5.0, 5.0, 5.0, 10.0])
    model = calibrate(LITE0, 64, networks=4, measure=lambda *_: costs)
    assert model.error > 0
    assert [ms for _, ms in model.measured] == costs.tolist()


@settings(max_examples=20, deadline=None)
@given(architectures())
def test_costlier_networks_are_never_predicted_to_be_faster(architecture: Architecture) -> None:
    model = calibrate(LITE0, 64, networks=5, measure=Device(0.1))
    low, high = (model.predict(a, CLASSES, 64) for a in (LITE0.smallest, LITE0.largest))
    assert min(model.charges) >= 0
    assert low <= model.predict(architecture, CLASSES, 64) <= high
    assert model.predict(architecture, CLASSES, 32) <= model.predict(architecture, 1000, 64)


@settings(max_examples=20, deadline=None)
@given(architectures(LITE0), architectures(TOY))
def test_cost_vector_agrees_with_the_counted_costs(lite0: Architecture, toy: Architecture) -> None:
    for space, architecture in ((LITE0, lite0), (TOY, toy)):
        named = dict(zip(COSTS, cost_vector(space, architecture, 7, 64), strict=True))
        costs = space.costs(architecture, 7, 64)
        assert named["weights"] * 1e6 == pytest.approx(costs.params)
        assert (named["dense"] + named["depthwise"]) * 1e6 == pytest.approx(costs.flops)


def test_layers_are_the_built_network_s_convolutions_and_head() -> None:
    network = Network(LITE0, LITE0.largest, 10)
    built = sum(isinstance(m, nn.Conv2d | nn.Linear) for m in network.modules())
    assert cost_vector(LITE0, LITE0.largest, 10, 64)[COSTS.index("layers")] == built


def test_spilled_activations_are_counted_for_large_images_only() -> None:
    spilled = COSTS.index("spilled")
    assert cost_vector(LITE0, LITE0.largest, 10, 64)[spilled] == 0
    assert cost_vector(LITE0, LITE0.largest, 10, 224)[spilled] > 0


def test_spread_holds_both_ends_and_is_evenly_spaced() -> None:
    chosen = spread(LITE0, 64, 8, seed=3)
    flops = [LITE0.costs(a, CLASSES, 64).flops for a in chosen]
    assert (chosen[0], chosen[-1]) == (LITE0.smallest, LITE0.largest)
    assert len(set(chosen)) == 8
    assert flops == sorted(flops)
    assert max(np.diff(flops)) < 0.5 * (flops[-1] - flops[0])
    assert chosen == spread(LITE0, 64, 8, seed=3)


def test_too_few_networks_are_refused() -> None:
    with pytest.raises(InputError, match="expected at least 3"):
        calibrate(LITE0, 64, networks=2, measure=Device())


def test_architectures_of_another_space_are_refused() -> None:
    model = calibrate(LITE0, 64, networks=3, measure=Device())
    with pytest.raises(InputError, match="other"):
        model.predict(Architecture("other", LITE0.smallest.stages), 10, 64)


def test_second_use_reads_the_cache(cache: Path) -> None:
    device = Device()
    first = cached_latency(LITE0, 64, device)
    assert cached_latency(LITE0, 64, device) == first
    assert device.calls == 1
    assert len(list(cache.iterdir())) == 1


def test_each_resolution_and_number_of_threads_has_its_own_calibration(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Device()
    cached_latency(LITE0, 64, device)
    cached_latency(LITE0, 32, device)
    monkeypatch.setattr("torch.get_num_threads", lambda: 999)
    cached_latency(LITE0, 64, device)
    assert device.calls == len(list(cache.iterdir())) == 3


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (None, "{"),
        (None, "[]"),
        (None, "\udcff"),
        ('"schema": 1', '"schema": 0'),
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
    first = cached_latency(LITE0, 64, device)
    (path,) = cache.iterdir()
    text = new if old is None else path.read_text().replace(old, new, 1)
    path.write_bytes(text.encode(errors="surrogateescape"))
    assert cached_latency(LITE0, 64, device) == first
    assert device.calls == 2
    assert cached_latency(LITE0, 64, device) == first
    assert device.calls == 2


def test_calibration_of_a_busy_machine_is_used_and_not_kept(cache: Path) -> None:
    busy, idle = Device(0.4), Device()
    assert cached_latency(LITE0, 64, busy).error > 0.15
    assert not list(cache.iterdir())
    assert cached_latency(LITE0, 64, idle) == cached_latency(LITE0, 64, busy)
    assert (busy.calls, idle.calls) == (1, 1)


def test_measuring_gives_positive_milliseconds_for_each_network() -> None:
    times = measure_ms(LITE0, [LITE0.smallest, LITE0.largest], 32)
    assert len(times) == 2
    assert min(times) > 0
