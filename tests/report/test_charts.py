from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tans.report.charts import Line, line_chart, shorten, ticks


@settings(max_examples=50, deadline=None)
@given(st.floats(0, 1e4), st.floats(0, 1e4))
def test_ticks_enclose_and_are_few_and_even(one: float, other: float) -> None:
    low, high = min(one, other), max(one, other)
    found = ticks(low, high)
    steps = [b - a for a, b in itertools.pairwise(found)]
    assert found[0] <= low + 1e-6
    assert found[-1] >= high - 1e-6
    assert 2 <= len(found) <= 8
    assert steps == pytest.approx([steps[0]] * len(steps), rel=1e-4)


def test_epochs_have_no_fractions() -> None:
    assert ticks(0, 1, least=1.0) == [0, 1]
    assert ticks(0, 10, least=1.0) == [0, 2, 4, 6, 8, 10]


def test_curve_skips_what_was_not_measured() -> None:
    line = Line("a", ((1.0, 0.5), (2.0, math.nan), (3.0, 0.7)), marked=2)
    svg = line_chart([line], "epoch", "accuracy", whole=True)
    assert svg.count("<circle") == 2
    assert "nan" not in svg
    assert "70.0% at 3" in svg


def test_later_lines_repeat_colours_dashed() -> None:
    lines = [Line(str(i), ((1.0, 0.1 * i), (2.0, 0.5)), 0) for i in range(7)]
    svg = line_chart(lines, "epoch", "accuracy")
    assert 'class="line5"' in svg
    assert 'class="line0 dashed"' in svg


@given(st.text(max_size=60))
def test_shortened_names_keep_both_ends(name: str) -> None:
    short = shorten(name)
    assert len(short) <= 20
    assert short == name or (name.startswith(short[:10]) and name.endswith(short[-9:]))
