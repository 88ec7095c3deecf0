"""What was seen of pictures, as a block holds it."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tans.tasks.decoding import DAMAGED, EMPTY, UnreadableError
from tans.tasks.reading import PLAIN, Evidence
from tans.tasks.seen import Seen, alike

NUMBERS = st.floats(allow_nan=False, width=32)
DEEP = st.builds(
    Evidence,
    st.sampled_from(["uint16", "float32"]),
    NUMBERS,
    NUMBERS,
    st.lists(NUMBERS, max_size=4).map(lambda values: np.array(values, np.float32)),
    st.none(),
    st.booleans(),
)
CLEAR = st.builds(
    Evidence,
    st.just("uint8"),
    st.just(0.0),
    st.just(255.0),
    st.just(np.empty(0)),
    st.tuples(NUMBERS, NUMBERS, NUMBERS) | st.just((math.nan,) * 3),
    st.just(True),
)


def plain(each):
    return (each.sample, each.low, each.high, each.some.tolist(), repr(each.contrasts), each.clear)


@given(st.lists(st.just(PLAIN) | DEEP | CLEAR | st.just(None), max_size=12), st.integers(0, 12))
def test_arrays_hold_all_that_was_seen(found, begin):
    evidence = {index: each for index, each in enumerate(found) if each is not None}
    failures = {
        index: UnreadableError(DAMAGED, "cut") if index % 2 else UnreadableError(EMPTY)
        for index, each in enumerate(found)
        if each is None
    }
    seen = Seen(evidence, failures, sorted(evidence)[:2])
    again = Seen.of(seen.arrays())
    assert {k: plain(v) for k, v in again.evidence.items()} == {
        k: plain(v) for k, v in evidence.items()
    }
    assert alike(again.failures, failures)
    assert again.pages == seen.pages
    moved = Seen()
    moved.add(again, begin)
    assert sorted(moved.evidence) == [begin + index for index in sorted(evidence)]
    assert sorted(moved.failures) == [begin + index for index in sorted(failures)]


def test_failures_are_alike_by_file_and_reason():
    one = {1: UnreadableError(DAMAGED, "cut")}
    assert alike(one, {1: UnreadableError(DAMAGED, "cut")})
    assert not alike(one, {})
    assert not alike(one, {2: UnreadableError(DAMAGED, "cut")})
    assert not alike(one, {1: UnreadableError(EMPTY)})
