"""Tables and bars of fine-tunes that are made up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from tans.cli import console, views
from tans.report import Run
from tans.tasks.watching import READING, tell
from tans.workflow import FinetuneStep
from tests.report.test_page import run_of


def test_the_bar_of_a_fine_tune_first_tells_how_far_many_images_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    moved: list[tuple[float, float, str]] = []

    @contextmanager
    def bar(_: str) -> Iterator[console.Advance]:
        yield lambda *told: moved.append(told)

    monkeypatch.setattr(console, "progress", bar)
    with views.finetune.finetune_bars() as on_step:
        tell(READING, 1, views.finetune.MANY)  # of the search, which has no bar
        on_step(FinetuneStep("best match", None, 5))
        tell(READING, 1, views.finetune.MANY - 1)
        tell(READING, 64, views.finetune.MANY)
        tell(READING, views.finetune.MANY, views.finetune.MANY)
    tell(READING, 1, views.finetune.MANY)
    assert moved == [(64, views.finetune.MANY, READING), (0, 5, "")]


def parts(label: str = "Best match") -> Run:
    """No defect is found among a few parts."""
    return run_of(label, ("good", "defect"), np.array([[22, 0], [4, 0]]))


def test_runs_show_balanced_accuracy_recalls_guessing_and_warnings(
    capsys: pytest.CaptureFixture[str],
) -> None:
    long = "script-katakana-more-49f5b84c"
    other = run_of(long, ("good", "defect"), np.array([[22, 0], [3, 1]]), long)
    views.finetune.show_runs([parts(), other], "parts")
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
    views.finetune.show_runs([run_of("Mine", names, counts)], "letters")
    lines = capsys.readouterr().out.splitlines()
    shown = [line.split()[0] for line in lines if line.strip().startswith("[red]")]
    assert shown == [names[13], *names[:9]]
    assert "These are the lowest; 4 more classes are in the report." in lines


def test_json_of_a_run_names_both_accuracies(capsys: pytest.CaptureFixture[str]) -> None:
    console.emit(views.finetune.describe_run(parts()))
    run = json.loads(capsys.readouterr().out)
    assert run["test_accuracy"] == pytest.approx(22 / 26)
    assert (run["balanced_accuracy"], run["commonest_class"]) == (0.5, "good")
    assert run["commonest_share"] == run["test_accuracy"]
    assert run["accuracy_interval"] == pytest.approx([0.665, 0.938], abs=1e-3)
    assert [line["recall"] for line in run["recall"]] == [1.0, 0.0]
    assert run["warnings"] == list(parts().tuned.scores.warnings())
    assert run["history"][-1]["val_balanced"] == run["val_balanced"]
