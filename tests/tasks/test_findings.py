"""What was understood of a dataset, kept and told."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tans.errors import TansError
from tans.files import Manifest
from tans.tasks.findings import Findings, Overrides, some, spare
from tans.tasks.reading import BLACK, Reading

KEYS = st.lists(st.text(max_size=6), max_size=4).map(tuple)
FINDINGS = st.builds(
    Findings,
    st.text(max_size=9),
    st.dictionaries(st.text(max_size=6), KEYS, max_size=3),
    st.builds(Reading, st.just({"uint16": (0.0, 4095.0)}), st.just(BLACK)),
    st.lists(KEYS, max_size=3).map(tuple),
    KEYS,
)


class Stored(Manifest):
    found: Findings


@settings(max_examples=50, deadline=None)
@given(found=FINDINGS)
def test_findings_survive_json(found):
    assert Stored.parse(Stored(found=found).to_bytes(), "it").found == found


@settings(max_examples=50, deadline=None)
@given(found=FINDINGS)
def test_a_summary_counts_everything_and_names_some(found):
    summary = json.loads(json.dumps(found.summary()))
    assert {why: part["count"] for why, part in summary["left_out"].items()} == {
        why: len(keys) for why, keys in found.left_out.items()
    }
    assert all(len(part["some"]) <= 5 for part in summary["left_out"].values())
    assert summary["copies"]["count"] == spare(found.copies)


@pytest.mark.parametrize("fields", [None, {"layout": 5}, {"reading": {"ground": [0, 0]}}])
def test_what_are_no_findings_is_refused(fields):
    with pytest.raises(TansError, match="found"):
        Stored.parse(json.dumps({"schema": 1, "found": fields}).encode(), "it")


def test_nothing_odd_is_nothing_to_tell():
    assert Findings("one folder for each class").words() == []


def test_everything_odd_is_told_in_a_sentence_each():
    found = Findings(
        "",
        {"empty": tuple("abcdefg")},
        Reading({"uint16": (0, 4095)}, BLACK),
        tuple((f"{index}", f"{index}'", f"{index}''") for index in range(7)),
        ("val is empty, so it is no split",),
    )
    assert found.words() == [
        "7 left out: empty (a, b, c, d, e and 2 more)",
        "uint16 samples are read from 0 (dark) to 4095 (bright)",
        "transparent parts are put on black, where the contents show",
        "14 copies of other images, or nearly so (0 = 0' = 0''; 1 = 1' = 1''; 2 = 2' = 2''; "
        "3 = 3' = 3''; 4 = 4' = 4''; ...); copies stay on one side of each split",
        "val is empty, so it is no split",
    ]


@settings(max_examples=50, deadline=None)
@given(names=st.lists(st.sampled_from("abc"), max_size=9), count=st.integers(1, 9))
def test_some_names_stand_for_all(names, count):
    text = some(names, count)
    assert text.count(", ") == max(0, min(len(names), count) - 1)
    assert (" more" in text) == (len(names) > count)


def test_nothing_is_overridden_unless_it_is_said():
    assert Overrides() == Overrides(None, {}, {}, None, False)
