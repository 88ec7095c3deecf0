"""A budget chooses the settings of a search, and stands in the name of its result."""

from __future__ import annotations

from dataclasses import dataclass

from tans_bench.methods.budget import affordable, ending, on_record


@dataclass(frozen=True)
class Steps:
    count: int


def test_the_budget_alone_decides() -> None:
    assert affordable("full", Steps(9), Steps(1)) == Steps(9)
    assert affordable("small", Steps(9), Steps(1)) == Steps(1)


def test_only_the_small_budget_goes_without_saying() -> None:
    assert (ending("small"), ending("full")) == ("", "-full")


def test_settings_are_kept_as_json_has_them() -> None:
    assert on_record(Steps(3)) == {"settings": {"count": 3}}
