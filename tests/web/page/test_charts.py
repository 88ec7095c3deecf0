from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tans.web.page.charts import (
    HEIGHT,
    WIDTH,
    curve,
    curve_in_words,
    front_in_words,
    plane_map,
    tradeoff,
)
from tans.web.page.ranking import Cost
from tans.web.schemas import EpochAnswer, JobAnswer
from tests.web.outcomes import outcome
from tests.web.page.matches import match
from tests.web.page.test_plane import RIGHT, plane

THREE = (
    match("a", params=4_000_000, predicted_accuracy=0.95),
    match("b", params=3_000_000, predicted_accuracy=0.945),
    match("c", params=1_000_000, predicted_accuracy=0.9),
    match("d", params=2_000_000, predicted_accuracy=0.85),
)


def job(*accuracies: float | None) -> JobAnswer:
    history = tuple(
        EpochAnswer(epoch=i, train_loss=1.0, val_accuracy=a, val_balanced=a, seconds=1.0)
        for i, a in enumerate(accuracies, start=1)
    )
    return JobAnswer(id="j", state="running", dataset="letters", history=history, created=0)


def test_the_front_is_told_in_words_and_marked() -> None:
    said = front_in_words(THREE, "params")
    assert "95.0 % with 4 million parameters" in said
    assert "Within one point of it, 3 million do (94.5 %, b)" in said
    assert "3 networks are on the Pareto front" in said
    drawn = ElementTree.fromstring(tradeoff(THREE, THREE, "params", THREE[2]))
    kinds = [circle.get("class") for circle in drawn.iter("circle")]
    assert sorted(kinds, key=str) == ["chosen", "front", "front", "front"]
    assert drawn.get("aria-label") == said


def test_what_does_not_fit_is_drawn_faint() -> None:
    drawn = tradeoff(THREE, THREE[2:], "params", None)
    faint, fitting = (re.search(f'd="([^"]*)" class="{kind}"', drawn) for kind in ("faint", "dots"))
    assert faint is not None
    assert fitting is not None
    assert faint[1].count("M") == 2
    assert fitting[1].count("M") == 2


@pytest.mark.parametrize("cost", ["params", "flops", "latency_ms"])
def test_a_chart_of_one_network_or_none_is_drawn(cost: Cost) -> None:
    one = match(latency_ms=0.0)
    assert "<svg" in tradeoff([one], [one], cost, one)
    assert "<svg" in tradeoff([one], [], cost, None)
    assert "Nothing is known" in tradeoff([], [], cost, None)
    assert "No network" in front_in_words([], cost)


@given(st.floats(0, 2 * np.pi))
def test_all_of_the_map_lies_within_it(angle: float) -> None:
    query = np.array([np.cos(angle), np.sin(angle)], np.float32)
    drawn = ElementTree.fromstring(plane_map(plane(), query, "east", "words"))
    for circle in drawn.iter("circle"):
        assert 0 <= float(circle.attrib["cx"]) <= WIDTH
        assert 0 <= float(circle.attrib["cy"]) <= HEIGHT
    assert next(text.text for text in drawn.iter("text")) == "your images"


def test_names_on_the_map_are_text() -> None:
    odd = plane()
    named = type(odd)(("<b>", "<b>", "x", "x"), odd.places, odd.embeddings)
    assert "<b>" not in plane_map(named, RIGHT, None, "words")


def test_a_curve_says_how_the_network_stands_in_the_last_epoch_or_the_one_kept() -> None:
    going_on = job(0.5, 0.8, 0.7)
    assert curve_in_words(going_on) == (
        "After epoch 3, 70.0 % of the validation images are classified rightly."
    )
    assert curve_in_words(going_on) in curve(going_on)
    done = going_on.model_copy(update={"outcome": outcome(best_epoch=2)})
    assert "After epoch 2, 80.0 %" in curve_in_words(done)


def test_a_fine_tune_without_validation_images_has_no_curve() -> None:
    assert curve(job(None, None)) == ""
    assert curve(job()) == ""
    assert curve_in_words(job(None)) == "No epoch is done yet."
