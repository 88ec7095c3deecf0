"""What a build counts beside parameters, on devices that charge for one thing alone."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from tans.build import costing
from tans.build.costing import (
    FILE,
    Costing,
    describe_latency,
    fixed_costing,
    parse_latency,
)
from tans.build.plan.construct import Budget, construct
from tans.build.plan.growth import Array, Front, hypervolume, normalised
from tans.build.plan.strategies import Pareto, Pool, first_pairs
from tans.costs.latency import LatencyModel
from tans.errors import InputError, ZooError
from tans.networks.families.elastic.family import ELASTIC
from tans.networks.families.elastic.specification import LITE0, ref_of
from tans.networks.family import WORKLOAD, describe
from tans.types import Architecture, Costs, NetworkRef
from tests.build.plan.construction import Landscape, Oracle, charging
from tests.build.plan.test_growth import by_inclusion_and_exclusion
from tests.networks.families.elastic.strategies import architectures

DEEP = charging(constant=0.3, layers=0.1)
"""A device that charges for layers, however wide."""
WIDE = charging(dense=0.2)
"""A device that charges for arithmetic, however many layers it is in."""
NETWORKS = [ref_of(LITE0.sample(random.Random(seed)), 64) for seed in range(40)]


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> list[LatencyModel]:
    """What calibrations find, each taken once; more of them fail."""
    found = [DEEP, WIDE]
    monkeypatch.setattr(costing, "cached_latency", lambda *_: found.pop(0))
    return found


def costs_by(model: LatencyModel | None) -> Array:
    return np.array([Costing(model).of(ref, own_costs(ref)) for ref in NETWORKS])


def own_costs(ref: NetworkRef) -> Costs:
    return describe(ref).costs(0)


def test_latency_is_what_the_device_charges_for_a_network_without_a_head() -> None:
    rows = np.stack([ELASTIC.workload(ref, 0) for ref in NETWORKS])
    found = costs_by(DEEP)
    assert_allclose(found[:, 1], 0.3 + 0.1 * rows[:, WORKLOAD.index("layers")])
    assert found[:, 0].tolist() == [own_costs(ref).params for ref in NETWORKS]
    by_flops = costs_by(None)
    assert by_flops[:, 1].tolist() == [own_costs(ref).flops for ref in NETWORKS]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(architectures(), st.floats(0.1, 0.9)), min_size=1, max_size=5))
def test_growth_by_latency_is_that_of_the_union_of_boxes(
    networks: list[tuple[Architecture, float]],
) -> None:
    drawn, accuracies = zip(*networks, strict=True)
    refs = [ref_of(one, 64) for one in drawn]
    own = [Costing(DEEP).of(ref, own_costs(ref)) for ref in refs]
    costs, found = normalised(own), np.array(accuracies)
    whole = by_inclusion_and_exclusion(found, costs)
    assert_allclose(hypervolume(found, costs), whole, atol=1e-12)
    front = Front.of(found[:-1], costs[:-1])
    grown = front.expected_growth(found[-1:], [0.0], costs[-1:])
    assert_allclose(grown, whole - by_inclusion_and_exclusion(found[:-1], costs[:-1]), atol=1e-12)


def order_on(model: LatencyModel | None) -> list[int]:
    """Pairs of one task in the order that expected growth gives."""
    costs, size = normalised(costs_by(model)), len(NETWORKS)
    accuracies = np.random.default_rng(0).uniform(0.5, 0.8, size)
    features = np.arange(size, dtype=float)[:, None]
    pool = Pool(np.zeros(size, dtype=np.intp), costs, features, np.ones(size))
    made, start = Landscape(pool, accuracies), first_pairs(pool, 2, seed=0)
    steps = construct(pool, Pareto(Oracle(accuracies)), made.train, Budget(20), start=start)
    return [step.outcome.pair for step in steps]


def test_devices_that_charge_for_other_things_give_other_orders() -> None:
    assert order_on(DEEP) != order_on(WIDE)


def test_a_device_that_is_slower_all_over_gives_the_same_order() -> None:
    assert order_on(DEEP) == order_on(charging(constant=1.2, layers=0.4))


def test_what_a_build_began_with_stays(device: list[LatencyModel], tmp_path: Path) -> None:
    begun = fixed_costing(tmp_path, "lite0", 64)
    assert begun.name == "latency"
    for asked in (None, "latency"):
        assert fixed_costing(tmp_path, "lite0", 64, asked) == begun == Costing(DEEP)
    assert device == [WIDE]  # calibrated once
    text = json.loads((tmp_path / FILE).read_text())
    assert text["latency"]["charges"]["layers"] == 0.1
    assert text["latency"]["on"]["torch"]


def test_multiply_adds_need_no_calibration(device: list[LatencyModel], tmp_path: Path) -> None:
    assert fixed_costing(tmp_path, "lite0", 64, "flops") == Costing()
    assert fixed_costing(tmp_path, "lite0", 64).name == "flops"
    assert len(device) == 2


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize(("first", "then"), [("latency", "flops"), ("flops", "latency")])
def test_another_cost_than_the_build_began_with_is_refused(
    tmp_path: Path, first: str, then: str
) -> None:
    fixed_costing(tmp_path, "lite0", 64, first)
    with pytest.raises(ZooError, match=f"counts {first} .* {then} was asked for; go on with"):
        fixed_costing(tmp_path, "lite0", 64, then)


def test_a_cost_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no cost 'watts'; expected one of latency, flops"):
        fixed_costing(tmp_path, "lite0", 64, "watts")
    assert not (tmp_path / FILE).exists()


def test_a_model_is_read_as_it_was_written() -> None:
    model = LatencyModel(
        "lite0", 64, tuple(np.random.default_rng(0).random(7)), 1 / 3, (("a", 0.1),)
    )
    assert parse_latency(json.loads(json.dumps(describe_latency(model)))) == model


@pytest.mark.parametrize(
    "text",
    [
        "{half",
        "[]",
        '{"cost": "watts"}',
        '{"cost": "latency"}',
        json.dumps({"cost": "latency", "latency": {**describe_latency(DEEP), "charges": {}}}),
        json.dumps({"cost": "latency", "latency": describe_latency(charging())}),
        json.dumps({"cost": "latency", "latency": describe_latency(charging(dense=-1.0))}),
    ],
)
def test_what_is_damaged_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(ZooError, match=f"{FILE} is damaged"):
        fixed_costing(tmp_path, "lite0", 64)
