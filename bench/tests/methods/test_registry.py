"""What every baseline must keep to."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from bench.tests.methods import test_fbnet, test_nsganet, test_onceforall
from bench.tests.methods.darts import test_drnas, test_pcdarts
from bench.tests.methods.metad2a import test_learning

from tans.errors import LimitError
from tans.networks.building import costs
from tans.types import Constraints
from tans.zoo.zoo import Zoo
from tans_bench.methods.darts.drnas import DrNas
from tans_bench.methods.darts.pcdarts import PcDarts
from tans_bench.methods.fbnet import FBNet
from tans_bench.methods.metad2a.method import MetaD2A
from tans_bench.methods.method import Method, Problem
from tans_bench.methods.nsganet import NsgaNetV2
from tans_bench.methods.onceforall import OnceForAll
from tans_bench.methods.registry import BASELINES
from tests.small_zoo import drawn_task

QUERY = drawn_task("green", "three", seed=3)
SHORT: dict[str, Method] = {
    "ofa": OnceForAll(test_onceforall.TINY),
    "nsganetv2": NsgaNetV2(test_nsganet.TINY),
    "metad2a": MetaD2A(test_learning.TINY),
    "fbnet": FBNet(test_fbnet.TINY, measure=test_fbnet.clock),
    "pc-darts": PcDarts(test_pcdarts.TINY),
    "drnas": DrNas(test_drnas.TINY),
}
"""Searches with settings that take a second."""


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TANS_CACHE", str(tmp_path))


def method_of(name: str) -> Method:
    return SHORT.get(name) or BASELINES[name].method


@pytest.mark.parametrize("name", BASELINES)
def test_a_proposal_is_within_the_limits_and_runs(name: str, measured_zoo: Zoo) -> None:
    method = method_of(name)
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
    method = method_of(name)
    assert method(Problem(QUERY), measured_zoo) == method(Problem(QUERY), measured_zoo)


@pytest.mark.parametrize("name", BASELINES)
def test_limits_that_nothing_fits_are_an_error(name: str, measured_zoo: Zoo) -> None:
    with pytest.raises(LimitError, match="max_params 1;"):
        method_of(name)(Problem(QUERY, Constraints(max_params=1)), measured_zoo)
