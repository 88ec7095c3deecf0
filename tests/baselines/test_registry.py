"""What every baseline must keep to."""

from __future__ import annotations

import pytest
import torch

from tans.baselines.method import Problem
from tans.baselines.registry import BASELINES
from tans.errors import LimitError
from tans.types import Constraints
from tans.zoo.store import Zoo
from tests.conftest import drawn_task

QUERY = drawn_task("green", "three", seed=3)


@pytest.mark.parametrize("name", BASELINES)
def test_a_proposal_is_within_the_limits_and_runs(name: str, measured_zoo: Zoo) -> None:
    method = BASELINES[name].method
    costs = measured_zoo.space.costs
    free = method(Problem(QUERY), measured_zoo)
    flops = costs(free.architecture, 3, free.resolution).flops
    for limits in (Constraints(), Constraints(max_flops=flops - 1)):
        proposal = method(Problem(QUERY, limits), measured_zoo)
        needs = costs(proposal.architecture, 3, proposal.resolution).flops
        assert limits.max_flops is None or needs <= limits.max_flops
        network = proposal.load(measured_zoo, 3)
        side = proposal.resolution
        assert network(torch.rand(2, 3, side, side)).shape == (2, 3)


@pytest.mark.parametrize("name", BASELINES)
def test_the_same_problem_gets_the_same_proposal(name: str, measured_zoo: Zoo) -> None:
    method = BASELINES[name].method
    assert method(Problem(QUERY), measured_zoo) == method(Problem(QUERY), measured_zoo)


@pytest.mark.parametrize("name", BASELINES)
def test_limits_that_nothing_fits_are_an_error(name: str, measured_zoo: Zoo) -> None:
    with pytest.raises(LimitError, match="max_params 1;"):
        BASELINES[name].method(Problem(QUERY, Constraints(max_params=1)), measured_zoo)
