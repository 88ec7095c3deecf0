"""Tables and sentences of results that are made up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from tans.cli import console, views
from tans.licences import LicenceChain
from tans.report import Run
from tans.search import Look, SearchResult
from tans.tasks.watching import READING, tell
from tans.types import Match
from tans.workflow import FinetuneStep
from tests.report.test_page import run_of

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
    views.show_matches(result, "letters")
    return capsys.readouterr().out


def test_the_bar_of_a_fine_tune_first_tells_how_far_many_images_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    moved: list[tuple[float, float, str]] = []

    @contextmanager
    def bar(_: str) -> Iterator[console.Advance]:
        yield lambda *told: moved.append(told)

    monkeypatch.setattr(console, "progress", bar)
    with views.finetune_bars() as on_step:
        tell(READING, 1, views.MANY)  # of the search, which has no bar
        on_step(FinetuneStep("best match", None, 5))
        tell(READING, 1, views.MANY - 1)
        tell(READING, 64, views.MANY)
        tell(READING, views.MANY, views.MANY)
    tell(READING, 1, views.MANY)
    assert moved == [(64, views.MANY, READING), (0, 5, "")]


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


def parts(label: str = "Best match") -> Run:
    """No defect is found among a few parts."""
    return run_of(label, ("good", "defect"), np.array([[22, 0], [4, 0]]))


def test_runs_show_balanced_accuracy_recalls_guessing_and_warnings(
    capsys: pytest.CaptureFixture[str],
) -> None:
    long = "script-katakana-more-49f5b84c"
    other = run_of(long, ("good", "defect"), np.array([[22, 0], [3, 1]]), long)
    views.show_runs([parts(), other], "parts")
    out = capsys.readouterr().out
    first, second = (line.split() for line in out.splitlines() if "1.23 M" in line)
    assert first[-5:] == ["84.6", "%", "50.0", "%", "7"]
    assert second == [long, long, "1.23", "M", "20.9", "88.5", "%", "62.5", "%", "7"]
    table = [line.split() for line in out.splitlines()]
    assert table.index(["defect", "4", "0", "0.0", "%"]) < table.index(
        ["good", "22", "22", "100.0", "%"]
    )
    assert "Always guessing good" in out
    said = [line for line in out.splitlines() if line.startswith("Beware: ")]
    assert said == [f"Beware: {sentence}" for sentence in parts().tuned.scores.warnings()]


def test_of_many_classes_the_worst_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"[red]{k}[/red]" for k in range(14)]
    counts = 20 * np.eye(14, dtype=np.int64)
    counts[13] = np.roll(counts[13], 1)
    views.show_runs([run_of("Mine", names, counts)], "letters")
    lines = capsys.readouterr().out.splitlines()
    shown = [line.split()[0] for line in lines if line.strip().startswith("[red]")]
    assert shown == [names[13], *names[:9]]
    assert "These are the lowest; 4 more classes are in the report." in lines


def test_json_of_a_run_names_both_accuracies(capsys: pytest.CaptureFixture[str]) -> None:
    console.emit(views.describe_run(parts()))
    run = json.loads(capsys.readouterr().out)
    assert run["test_accuracy"] == pytest.approx(22 / 26)
    assert (run["balanced_accuracy"], run["commonest_class"]) == (0.5, "good")
    assert run["commonest_share"] == run["test_accuracy"]
    assert run["accuracy_interval"] == pytest.approx([0.665, 0.938], abs=1e-3)
    assert [line["recall"] for line in run["recall"]] == [1.0, 0.0]
    assert run["warnings"] == list(parts().tuned.scores.warnings())
    assert run["history"][-1]["val_balanced"] == run["val_balanced"]


def test_what_the_papers_predictor_says_is_no_promise(capsys: pytest.CaptureFixture[str]) -> None:
    match = replace(MATCH, low=None, high=None)
    out = shown(capsys, SearchResult((match,), 1.5, 0.002, method="paper"))
    assert "by the paper's predictor" in out
    assert "after a fine-tune" not in out
