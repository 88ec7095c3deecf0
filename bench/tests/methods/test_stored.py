"""Stored networks within limits."""

from __future__ import annotations

import pytest
from bench.tests.conftest import unseen

from tans.errors import LimitError
from tans.networks.family import head_width
from tans.types import Constraints
from tans.zoo.zoo import Zoo
from tans_bench.methods.method import Problem
from tans_bench.methods.stored import largest_of, within


def test_only_networks_within_the_limits_are_kept(small_zoo: Zoo) -> None:
    entries = small_zoo.entries(vectors=False)
    task = unseen("digits", None)
    head = head_width(entries[0].ref) * len(task.classes)
    middle = sorted(entry.body_flops + head for entry in entries)[len(entries) // 2]
    kept = within(entries, Problem(task, Constraints(max_flops=middle)))
    assert kept == [entry for entry in entries if entry.body_flops + head <= middle]
    assert 0 < len(kept) < len(entries)
    assert within(entries, Problem(task)) == entries


def test_limits_that_nothing_fits_are_an_error(small_zoo: Zoo) -> None:
    problem = Problem(unseen("digits", None), Constraints(max_params=1))
    with pytest.raises(LimitError):
        within(small_zoo.entries(vectors=False), problem)


def test_the_first_task_that_has_networks_gives_its_largest(small_zoo: Zoo) -> None:
    entries = small_zoo.entries(vectors=False)
    found = largest_of(["none", "red", "blue"], entries)
    own = [entry for entry in entries if entry.task == "red"]
    assert found.network == max(own, key=lambda e: (e.body_params, e.resolution)).id
