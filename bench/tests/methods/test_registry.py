"""What every baseline must keep to."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from bench.tests.methods import test_fbnet, test_nsganet, test_onceforall
from bench.tests.methods.darts import test_drnas, test_pcdarts
from bench.tests.methods.metad2a import test_learning

from tans.errors import LimitError
from tans.networks.family import describe
from tans.types import Constraints
from tans.zoo.zoo import Zoo
from tans_bench.methods.darts.drnas import DrNas
from tans_bench.methods.darts.pcdarts import PcDarts
from tans_bench.methods.fbnet import FBNet
from tans_bench.methods.metad2a.method import MetaD2A
from tans_bench.methods.method import Method, Problem, Proposal
from tans_bench.methods.nsganet import NsgaNetV2
from tans_bench.methods.onceforall import OnceForAll
from tans_bench.methods.registry import BASELINES, RIVALS
from tests.small_zoo import drawn_task

QUERY = drawn_task("green", "three", seed=3)
SHORT: dict[str, Method] = {
    "ofa": OnceForAll(test_onceforall.TINY),
    "ofa-random": OnceForAll(test_onceforall.TINY, at_random=True),
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


@pytest.fixture(scope="module", params=BASELINES)
def proposed(request: pytest.FixtureRequest, measured_zoo: Zoo) -> tuple[str, Proposal]:
    """The name of a method, and what it proposes where there are no limits."""
    return request.param, method_of(request.param)(Problem(QUERY), measured_zoo)


def method_of(name: str) -> Method:
    return SHORT.get(name) or BASELINES[name].method


@pytest.mark.long
def test_a_proposal_is_within_the_limits_and_runs(
    proposed: tuple[str, Proposal], measured_zoo: Zoo
) -> None:
    name, free = proposed
    most = describe(free.ref).costs(3).flops - 1
    limited = method_of(name)(Problem(QUERY, Constraints(max_flops=most)), measured_zoo)
    assert describe(limited.ref).costs(3).flops <= most
    for proposal in (free, limited):
        network = proposal.load(measured_zoo, 3)
        side = proposal.ref.input.size
        assert network(torch.rand(2, 3, side, side)).shape == (2, 3)


@pytest.mark.slow
def test_the_same_problem_gets_the_same_proposal(
    proposed: tuple[str, Proposal], measured_zoo: Zoo
) -> None:
    name, free = proposed
    assert method_of(name)(Problem(QUERY), measured_zoo) == free


@pytest.mark.long
@pytest.mark.parametrize("name", BASELINES)
def test_limits_that_nothing_fits_are_an_error(name: str, measured_zoo: Zoo) -> None:
    with pytest.raises(LimitError, match="max_params 1;"):
        method_of(name)(Problem(QUERY, Constraints(max_params=1)), measured_zoo)


@pytest.mark.parametrize("name", RIVALS)
def test_a_rival_tells_where_it_deviates_from_its_paper(name: str) -> None:
    deviations = BASELINES[name].deviations
    assert deviations
    assert len({one.what for one in deviations}) == len(deviations)
    for one in deviations:
        assert all(vars(one).values())
        assert not any("|" in text or "\n" in text for text in vars(one).values())


def test_every_search_is_a_rival() -> None:
    assert set(SHORT) < set(RIVALS) <= set(BASELINES)
