"""Tables of made-up runs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from bench.tests.experiments.first_answers.conftest import made

from tans_bench.experiments.first_answers import tables
from tans_bench.experiments.first_answers.measured import (
    ELASTIC_BASE,
    IMAGENET,
    TANS,
    Contender,
    Measured,
)
from tans_bench.experiments.first_answers.tables import NONE

GREEK = made({TANS: [(0.9, 10)], TANS.at(1): [(0.5, 5)], IMAGENET: [(0.8, 20)]})
TERRAIN = made({TANS: [(0.4, 10)], Contender("tans", "1M"): [(0.5, 9)]}, "0ad-terrain")


def with_match(task: Measured, **match: float | None) -> Measured:
    cell = task.cells[TANS]
    choice = {**cell.choice, "details": {"match": match, "related": None}}
    return replace(task, cells={**task.cells, TANS: replace(cell, choice=choice)})


def test_lengths_stand_side_by_side_and_a_missing_one_is_a_dash() -> None:
    ours, peer, missing = tables.comparison("t", "siblings", [GREEK, TERRAIN]).rows
    facts = ["red", "64", "3.40"]
    accuracies = [NONE, "50.0", "90.0", NONE]
    assert ours == ["**script-greek**, 20 classes", "tans", *facts, *accuracies, "0.50", "0.50"]
    assert peer[-2:] == ["1.00", "1.00"]
    assert missing == ["", "elastic base", *[NONE] * 9]


def test_without_the_peer_seconds_have_no_measure() -> None:
    (row,) = tables.at_its_best("t", [TERRAIN]).rows
    assert row == ["**0ad-terrain**", f"40.0 ({NONE})", *[NONE] * 6]


def test_a_limit_without_its_slice_has_no_gain() -> None:
    first, *others = tables.within_limits("t", [TERRAIN]).rows
    assert first[:2] == ["**0ad-terrain**, stranger", "1M"]
    assert first[5] == "50.0"
    assert first[6:] == [NONE] * 5
    assert [row[2:] for row in others] == [[NONE] * 9] * 2


def test_methods_are_ordered_by_regret_and_the_missing_are_counted() -> None:
    rows = tables.regrets("t", "all", [GREEK, TERRAIN]).rows
    assert rows[0][:4] == ["*oracle at 64 px*", "2", "0", "70.0"]
    assert [row[0] for row in rows[2:]] == ["**tans**", "ImageNet", "tans 1M"]
    assert rows[2][1:] == ["2", "0", "65.0", "5.0", "5.0", "1 of 2", "1 of 2"]
    assert rows[3][1:] == ["1", "1", "80.0", "10.0", "10.0", "0 of 1", "0 of 1"]


def test_an_interval_holds_or_does_not_and_the_missing_are_counted() -> None:
    held = with_match(GREEK, predicted_accuracy=0.8, low=0.6, high=0.95)
    missed = with_match(TERRAIN, predicted_accuracy=0.6, low=0.5, high=0.7)
    unsure = with_match(TERRAIN, predicted_accuracy=0.6, low=None, high=None)
    tasks = [held, missed, unsure, made({ELASTIC_BASE: [(0.5, 1)]})]
    rows = tables.predictions("t", tasks).rows
    assert [row[-1] for row in rows] == ["yes", "**no**"]
    assert rows[0][3:8] == [NONE, "80.0", "60.0", "95.0", "90.0"]
    siblings, strangers, every = tables.held("t", tasks).rows
    assert siblings == ["siblings", "1 of 1", "100", "35.0", "10.0", "1"]
    assert strangers == ["strangers", "0 of 1", "0", "20.0", "20.0", "1"]
    assert every == ["all", "1 of 2", "50", "27.5", "15.0", "2"]


@pytest.mark.parametrize(("epochs", "words"), [(0, "head alone"), (1, "1 epoch"), (5, "5 epochs")])
def test_a_length_in_words(epochs: int, words: str) -> None:
    assert tables.length(epochs) == words
