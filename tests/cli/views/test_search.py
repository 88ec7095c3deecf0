"""Tables and sentences of searches that are made up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tans.cli import views
from tans.licences import LicenceChain
from tans.search import Look, SearchResult
from tans.types import Match

MATCH = Match(
    id="script-0badcafe",
    task="script",
    params=1_234_567,
    flops=20_900_000,
    resolution=64,
    latency_ms=None,
    minutes=None,
    predicted_accuracy=0.871,
    low=0.8,
    high=0.92,
    similarity=0.73,
    licences=LicenceChain("OFL-1.1", data="CC-BY-4.0"),
)
LOOKS = (Look("script-0badcafe", "script", 64, 0.5), Look("imagenet-1", "imagenet", 64, 0.25))


def shown(capsys: pytest.CaptureFixture[str], result: SearchResult) -> str:
    views.search.show_matches(result, "letters")
    return capsys.readouterr().out


def test_a_second_look_gives_intervals_and_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    out = shown(capsys, SearchResult((MATCH,), 1.5, 0.002, 12.34, LOOKS, related=True))
    assert "87.1 % (80-92)" in out
    assert "1.50 s, searched in 2.0 ms, looked again at 2 sources in 12.3 s." in out
    assert "in brackets the interval" in out
    assert "Nothing in this zoo" not in out
    assert "imagenet" not in out
    assert not {"pixels", "latency", "minutes"} & set(out.split())


def test_columns_are_those_with_something_to_say(capsys: pytest.CaptureFixture[str]) -> None:
    large = replace(MATCH, id="script-1", resolution=128, minutes=3.26, latency_ms=4.5)
    small = replace(MATCH, minutes=1.04, latency_ms=2.5)
    out = shown(capsys, SearchResult((large, small), 1.5, 0.002, latency_error=0.1))
    for expected in ("pixels", "128", "64", "minutes", "3.3", "1.0", "latency", "4.5 ms"):
        assert expected in out


def test_nothing_related_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    result = SearchResult((replace(MATCH, task="imagenet"),), 1.5, 0.002, 9.0, LOOKS, False)
    sentence = "Nothing in this zoo is related to your data, so an ImageNet network is proposed.\n"
    assert shown(capsys, result).endswith(sentence)


def test_without_a_look_nothing_is_claimed(capsys: pytest.CaptureFixture[str]) -> None:
    out = shown(capsys, SearchResult((replace(MATCH, low=None, high=None),), 1.5, 0.002))
    assert "87.1 %" in out
    for absent in ("(", "brackets", "looked again", "Nothing in this zoo"):
        assert absent not in out


def test_what_the_papers_predictor_says_is_no_promise(capsys: pytest.CaptureFixture[str]) -> None:
    match = replace(MATCH, low=None, high=None)
    out = shown(capsys, SearchResult((match,), 1.5, 0.002, method="paper"))
    assert "by the paper's predictor" in out
    assert "after a fine-tune" not in out
