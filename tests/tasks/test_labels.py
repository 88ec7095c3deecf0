"""Labels that are none, or that write one class in two ways."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tans.errors import TaskError
from tans.tasks.labels import NO_LABEL, check_spelling, check_written


@pytest.mark.parametrize(
    "twins",
    [
        ("1", "1.0"),
        ("1", "01"),
        ("007", "7.000"),
        ("1", "+1"),
        (".5", "0.50"),
        ("-3", "-3.0"),
        ("cat", "Cat"),
        ("cat", "CAT "),
        ("big dog", "big_dog"),
        ("big-dog", "Big  Dog"),
        ("stra\u00dfe", "STRASSE"),
        ("\uff11", "1"),
        ("\ufb01sh", "fish"),
    ],
)
def test_one_class_in_two_ways_is_refused_unless_labels_are_taken_as_they_are(twins):
    with pytest.raises(TaskError, match="look like one class.*--labels-as-is") as raised:
        check_spelling("pets", ["other", *twins], False)
    assert all(repr(label) in str(raised.value) for label in twins)
    check_spelling("pets", ["other", *twins], True)


@pytest.mark.parametrize(
    "labels",
    [
        ("1", "10", "100"),
        ("1", "-1"),
        ("0", ".", ""),
        ("1.5", "15", "1.05"),
        ("4006381333931", "4006381333932", "400638133393100000000001", "400638133393100000000002"),
        ("cat", "cats"),
        ("C", "C++", "C#"),
        ("a", "\u00e4"),
        ("1e5", "1e6"),
    ],
)
def test_different_classes_are_let_be(labels):
    check_spelling("pets", labels, False)


def test_many_twins_are_counted():
    with pytest.raises(TaskError, match="and 3 more"):
        check_spelling("pets", [way for i in range(8) for way in (f"{i}", f"{i}.0")], False)


@settings(max_examples=100, deadline=None)
@given(number=st.integers(0, 10**30), zeros=st.integers(0, 3), places=st.integers(0, 3))
def test_a_number_is_known_however_it_is_written(number, zeros, places):
    other = "0" * zeros + str(number) + "." * (places > 0) + "0" * places
    if other == str(number):
        return
    with pytest.raises(TaskError, match="look like one class"):
        check_spelling("codes", [str(number), other], False)
    check_spelling("codes", [str(number), str(number + 1)], False)


@settings(max_examples=100, deadline=None)
@given(labels=st.lists(st.text(max_size=8), max_size=6))
def test_any_labels_pass_or_are_refused_in_words(labels):
    check_spelling("any", labels, True)
    try:
        check_spelling("any", labels, False)
    except TaskError:
        assert len(set(labels)) > 1


@pytest.mark.parametrize(
    "missing", ["nan", "NaN", "None", "NULL", "N/A", "<NA>", "#N/A", "NaT", "undefined"]
)
def test_what_programs_write_for_a_missing_label_is_refused_with_its_lines(missing):
    labels = [("line 2", "cat"), ("line 3", missing), ("line 9", missing)]
    with pytest.raises(TaskError, match=f"line 3 \\({missing}\\), line 9.*--labels-as-is"):
        check_written("t.csv", labels, False)
    check_written("t.csv", labels, True)


def test_an_empty_label_is_always_refused():
    for as_is in (False, True):
        with pytest.raises(TaskError, match="t.csv has no label in line 3;"):
            check_written("t.csv", [("line 2", "cat"), ("line 3", "")], as_is)


def test_ordinary_labels_are_none_of_these():
    assert not NO_LABEL & {"nano", "nancy", "no", "0", "-", "unknown", "other", "false"}
    check_written("t.csv", [("line 2", "0"), ("line 3", "unknown")], False)
