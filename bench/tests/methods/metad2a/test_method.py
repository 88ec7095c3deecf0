"""MetaD2A proposes a subnet of the elastic base within the limits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from bench.tests.methods.metad2a.test_learning import TINY

from tans.errors import LimitError
from tans.networks.families.elastic.specification import ref_of
from tans.networks.family import describe
from tans.types import Constraints
from tans.zoo.zoo import IMAGENET, Zoo
from tans_bench.methods.metad2a import method as module
from tans_bench.methods.metad2a.method import MetaD2A
from tans_bench.methods.method import Problem, space_of
from tests.small_zoo import drawn_task

QUERY = drawn_task("green", "three", seed=3)
LEARNT = replace(TINY, generator_epochs=120, learning_rate=1e-2, generator_width=24)


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Kept for all tests here, since learning takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TANS_CACHE", str(tmp_path_factory.mktemp("cache")))
        module.learnt_on.cache_clear()
        yield
    module.learnt_on.cache_clear()


@pytest.mark.long
def test_a_proposal_is_within_the_limits_and_runs(measured_zoo: Zoo) -> None:
    method = MetaD2A(LEARNT)
    free = method(Problem(QUERY), measured_zoo)
    assert (free.source, free.weights) == (IMAGENET, measured_zoo.base)
    assert free.details["generated"] > 0
    assert [epoch["epoch"] for epoch in free.details["curve"]][:1] == [1]
    flops = describe(free.ref).costs(3).flops
    limited = method(Problem(QUERY, Constraints(max_flops=flops - 1)), measured_zoo)
    assert describe(limited.ref).costs(3).flops < flops
    images = torch.rand(2, 3, limited.ref.input.size, limited.ref.input.size)
    assert limited.load(measured_zoo, 3)(images).shape == (2, 3)


@pytest.mark.long
def test_the_same_problem_gets_the_same_proposal(measured_zoo: Zoo) -> None:
    first = MetaD2A(LEARNT)(Problem(QUERY), measured_zoo)
    module.learnt_on.cache_clear()
    again = MetaD2A(LEARNT)(Problem(QUERY), measured_zoo)
    assert (first, first.details) == (again, again.details)


def test_where_nothing_that_fits_is_generated_something_random_is_taken(measured_zoo: Zoo) -> None:
    smallest = ref_of(space_of(measured_zoo).smallest, measured_zoo.resolution)
    least = describe(smallest).costs(3, deep=True).params
    proposal = MetaD2A(TINY)(Problem(QUERY, Constraints(max_params=least)), measured_zoo)
    assert proposal.ref == smallest
    assert (proposal.details["generated"], proposal.details["candidates"]) == (0, 1)


def test_limits_that_nothing_fits_are_an_error(measured_zoo: Zoo) -> None:
    with pytest.raises(LimitError, match="max_params 1;"):
        MetaD2A(TINY)(Problem(QUERY, Constraints(max_params=1)), measured_zoo)
