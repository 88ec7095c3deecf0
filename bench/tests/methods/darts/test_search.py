"""The bilevel search that both methods share."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from bench.tests.methods.darts import test_drnas, test_pcdarts

from tans.errors import InputError, LimitError
from tans.networks.family import describe
from tans.types import Architecture, Constraints
from tans.zoo.zoo import Zoo
from tans_bench.methods.darts.drnas import DrNas
from tans_bench.methods.darts.pcdarts import PcDarts
from tans_bench.methods.darts.settings import Stage
from tans_bench.methods.method import UNTRAINED, Method, Problem, Proposal
from tests.small_zoo import drawn_task

TASK = drawn_task("green", "three")
ONE_STAGE = (Stage(epochs=4, warm_up=2, parts=2, operations=8),)


@pytest.fixture(
    scope="module",
    params=[PcDarts(test_pcdarts.TINY), DrNas(test_drnas.TINY)],
    ids=["pc-darts", "drnas"],
)
def method(request: pytest.FixtureRequest) -> Method:
    return request.param


@pytest.fixture(scope="module")
def free(method: Method, small_zoo: Zoo) -> Proposal:
    """What it proposes where there are no limits."""
    return method(Problem(TASK), small_zoo)


@pytest.mark.long
def test_equal_problems_get_equal_networks_and_nothing_outside_is_disturbed(
    method: Method, free: Proposal, small_zoo: Zoo
):
    torch.rand(3)
    before = torch.get_rng_state()
    again = method(Problem(TASK), small_zoo)
    assert torch.equal(torch.get_rng_state(), before)
    assert again == free
    assert again.details == free.details
    other = method(Problem(TASK, seed=2), small_zoo)
    assert other.details["history"] != free.details["history"]


@pytest.mark.long
def test_the_proposal_is_untrained_and_runs(free: Proposal, small_zoo: Zoo):
    assert (free.source, free.weights, free.fit_head) == (UNTRAINED, UNTRAINED, False)
    side = free.ref.input.size
    assert free.load(small_zoo, 3)(torch.rand(2, 3, side, side)).shape == (2, 3)
    assert json.loads(json.dumps(free.details))["settings"]["cells"] == 3


@pytest.mark.slow
def test_a_limit_takes_a_smaller_network_of_the_same_cells(
    method: Method, free: Proposal, small_zoo: Zoo
):
    needed, cells = describe(free.ref).costs(3), Architecture.parse(free.ref.name).stages[:2]
    for limits in (
        Constraints(max_flops=needed.flops - 1),
        Constraints(max_params=needed.params - 1),
    ):
        held = method(Problem(TASK, limits), small_zoo)
        assert Architecture.parse(held.ref.name).stages[:2] == cells
        less = describe(held.ref).costs(3)
        assert less.flops < needed.flops
        assert less.params < needed.params


def test_limits_that_nothing_fits_are_refused_before_the_search(method: Method, small_zoo: Zoo):
    with pytest.raises(LimitError, match="max_params 1;"):
        method(Problem(TASK, Constraints(max_params=1)), small_zoo)


@pytest.mark.parametrize("name", ["max_latency_ms", "max_minutes"])
def test_limits_on_time_are_refused_by_name(method: Method, small_zoo: Zoo, name: str):
    with pytest.raises(InputError, match=f"{name} is limited, and networks of the space 'darts'"):
        method(Problem(TASK, Constraints(**{name: 1e9})), small_zoo)


@pytest.mark.long
def test_the_loss_falls_and_operations_stay_even_until_the_warm_up_is_over(small_zoo: Zoo):
    settings = replace(
        test_pcdarts.TINY, stages=ONE_STAGE, images=None, batch_size=8, architecture_rate=0.1
    )
    history = PcDarts(settings)(Problem(TASK), small_zoo).details["history"]
    assert history[-1]["loss"] < history[0]["loss"]
    even = torch.tensor(8.0).log().item()
    assert [epoch["entropy"] for epoch in history[:2]] == pytest.approx([even] * 2, abs=1e-4)
    assert history[-1]["entropy"] < history[2]["entropy"] < even - 1e-3


def test_too_few_images_are_refused(small_zoo: Zoo):
    with pytest.raises(InputError, match="3 training images; expected 4"):
        PcDarts(replace(test_pcdarts.TINY, images=3))(Problem(TASK), small_zoo)
