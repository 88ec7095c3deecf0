"""The page of rivals is what their modules tell."""

from __future__ import annotations

from pathlib import Path

from tans_bench.experiments.deviations import page
from tans_bench.methods.registry import BASELINES, RIVALS

PAGE = Path(__file__).parents[2] / "docs" / "rivals.md"


def test_the_page_is_drawn_of_the_methods() -> None:
    assert PAGE.read_text() == page(), "draw it again: make docs"


def test_the_page_has_a_row_for_each_deviation() -> None:
    lines = page().splitlines()
    for name in RIVALS:
        entrant = BASELINES[name]
        rows = [line for line in lines if line.startswith(f"| {entrant.title} | ")]
        assert len(rows) == 1 + len(entrant.deviations)
