"""What is asked of a build is checked before it begins."""

from __future__ import annotations

import pytest

from tans.build.plan.construct import Budget
from tans.build.settings import BuildSettings, Choice, subnets_of
from tans.errors import InputError
from tans.networks.families.elastic.specification import LITE0, ref_of


def test_what_cannot_be_chosen_is_refused() -> None:
    with pytest.raises(InputError, match="no strategy 'best'; expected one of grid, random"):
        Choice("best", Budget(5))
    with pytest.raises(InputError, match="at least 1"):
        Choice("pareto", Budget(0))
    with pytest.raises(InputError, match="no cost 'watts'; expected one of latency, flops"):
        Choice("pareto", Budget(5), cost="watts")


def test_small_tasks_get_more_epochs() -> None:
    settings = BuildSettings(least_seen=6000)
    assert settings.epochs(1200) == settings.recipe.epochs == 6
    assert settings.epochs(100) == 60


def test_subnets_are_a_tasks_own_and_the_same_each_time() -> None:
    settings = BuildSettings(subnets=10)
    found = subnets_of("leaves", settings)
    assert len(set(found)) == 10
    assert found[:2] == [ref_of(LITE0.largest, 64), ref_of(LITE0.smallest, 64)]
    assert found == subnets_of("leaves", settings)
    assert found == subnets_of("leaves", BuildSettings(subnets=20))[:10]
    assert found != subnets_of("stars", settings)
