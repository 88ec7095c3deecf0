from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tans.errors import InputError
from tans.web.page.limits import NO_LIMIT, Scale, asked, scales, short

POSITIVE = st.floats(1e-2, 1e12)


@given(POSITIVE, st.floats(1.5, 1e4))
def test_stops_ascend_from_what_lets_the_least_through_and_end_without_a_limit(
    low: float, times: float
) -> None:
    scale = Scale.over("max_params", "Parameters", "", low, low * times)
    assert all(one < other for one, other in pairwise(scale.stops))
    assert scale.stops[0] >= low * (1 - 1e-9)
    assert scale.stops[-1] >= low * times * (1 - 1e-9)
    assert scale.value(len(scale.stops)) is None
    assert len(scale.words) == len(scale.stops) + 1
    assert scale.words[-1] == NO_LIMIT


@given(st.integers(-5, 60))
def test_a_stop_that_is_none_is_refused(stop: int) -> None:
    scale = Scale.over("max_flops", "Multiply-adds", "", 1e6, 1e9)
    if 0 <= stop <= len(scale.stops):
        assert scale.value(stop) is None or scale.value(stop) in scale.stops
    else:
        with pytest.raises(InputError, match="expected 0 to"):
            scale.value(stop)


def test_what_sliders_say_becomes_limits() -> None:
    three = scales([1e6, 2e6], [1e7, 2e7])
    found = asked(three, {"max_params": 0, "commercial": True})
    assert found.max_params == three[0].stops[0]
    assert found.max_flops is None
    assert found.max_latency_ms is None
    assert found.commercial
    assert not asked(three, {}).commercial


@pytest.mark.parametrize("stop", ["3", 2.5, None, [1]])
def test_a_stop_of_another_kind_is_refused(stop: object) -> None:
    with pytest.raises(InputError, match="expected a stop"):
        asked(scales([1e6], [1e7]), {"max_params": stop})


@pytest.mark.parametrize(
    ("value", "text"),
    [(1_366_814, "1.4 million"), (12, "12"), (950, "950"), (2e9, "2 billion"), (0.53, "0.53")],
)
def test_numbers_are_told_in_two_digits(value: float, text: str) -> None:
    assert short(value) == text
