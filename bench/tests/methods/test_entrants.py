"""Every method of the comparisons has a name, a title and a line about it."""

from __future__ import annotations

import pytest

from tans.errors import InputError
from tans.training import PUBLISHED
from tans.types import Constraints
from tans.zoo.zoo import Zoo
from tans_bench.methods.entrants import METHODS, get_method
from tans_bench.methods.method import Problem
from tans_bench.methods.registry import BASELINES
from tans_bench.recipes import plain
from tests.small_zoo import drawn_task


def test_titles_tell_methods_apart() -> None:
    titles = [entrant.title for entrant in METHODS.values()]
    assert len(set(titles)) == len(titles)
    assert all(entrant.about for entrant in METHODS.values())
    assert METHODS.keys() > BASELINES.keys()


def test_a_method_is_found_by_name() -> None:
    assert get_method("tans").title == "tans"
    with pytest.raises(InputError, match="no method 'nothing'; expected one of tans, "):
        get_method("nothing")


@pytest.mark.usefixtures("short_published")
def test_the_papers_method_starts_from_a_random_head_and_counts_its_learning_apart(
    measured_zoo: Zoo,
) -> None:
    problem = Problem(drawn_task("green", "three", seed=3), Constraints(max_params=3e6))
    found = get_method("paper").method(problem, measured_zoo)
    assert not found.fit_head
    assert found.details["match"]["params"] <= 3e6
    assert found.details["looks"] == []
    assert found.once_s > 0


def test_the_papers_recipe_is_the_plain_one_from_a_random_head() -> None:
    settings = {"learning_rate": PUBLISHED.learning_rate, "fit_head": False}
    assert plain(10, **settings, weigh_classes=False) == PUBLISHED
