"""Which results depend on reader and recipe, and how their names end."""

from __future__ import annotations

import pytest

from tans_bench.runs.versions import CURRENT, FIRST, NEWER, Versions, depends, split_ending, tell


@pytest.mark.parametrize("name", ["runs/a/b", "again/runs/a/b", "choices/a/tans-n300-s0-full"])
def test_fits_and_choices_depend_on_both(name: str) -> None:
    assert depends(name)


@pytest.mark.parametrize("name", ["construction/grid-s0", "runs", "growth", "imported/a/b"])
def test_others_depend_on_neither(name: str) -> None:
    assert not depends(name)


def test_an_ending_is_read_as_it_was_written() -> None:
    versions = Versions(2, 11)
    assert split_ending(f"runs/a/b-full{versions.ending}") == ("runs/a/b-full", versions)
    assert split_ending("runs/a/b-v2") == ("runs/a/b-v2", FIRST)


def test_the_newest_versions_are_read_first() -> None:
    assert sorted(NEWER, reverse=True) == NEWER
    assert NEWER[0] == CURRENT
    assert FIRST not in NEWER


def test_a_line_tells_all_versions() -> None:
    line = tell([FIRST, CURRENT, FIRST])
    assert "2 results were made with reader 1 and recipe 1" in line
    assert f"1 results were made with {CURRENT}" in line
