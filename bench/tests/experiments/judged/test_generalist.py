"""The trial of generalists: what is run, and what is drawn of it."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

import pytest

from tans.build.generalist import GeneralistSettings
from tans_bench.experiments.judged import field, generalist
from tans_bench.experiments.judged.jobs import Cell, Tuned
from tans_bench.runs.results import Results


def test_gains_are_paired_by_task_and_seed(tmp_path: Path) -> None:
    results = Results(tmp_path)
    gained = {"script-greek": 0.04, "icons-apps": 0.0, "emoji-google-reserved": 0.02}
    for (task, gain), seed in ((pair, seed) for pair in gained.items() for seed in (0, 1)):
        trial = generalist.Trial(task, seed, 1.0)
        results.write(trial.name, {**asdict(trial), "accuracy": 0.5 + 0.1 * seed + gain})
        rival = Tuned(Cell(task, seed), field.LITE0, 64, recipe=generalist.RECIPE)
        results.write(rival.name, {**rival.key(), "accuracy": 0.5 + 0.1 * seed})
        longer = replace(rival, steps=500)
        results.write(longer.name, {**longer.key(), "accuracy": 0.0})
    (table,) = generalist.EXPERIMENT.draw(results)
    rows = {tuple(row[:2]): row[2:] for row in table.rows}
    assert rows["siblings", "1"] == ["6", "+2.0 ± 1.2", ""]
    assert rows["siblings", "0.1"] == ["0", "", ""]
    assert rows["strangers", "1"] == ["0", "", ""]


class _Bench:
    """Without a zoo."""

    zoo = None


def test_strangers_have_no_kin_among_what_their_generalist_learns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[bool, list[str]] = {}

    def learn(
        _network: object, tasks: list[str], settings: GeneralistSettings, **_: object
    ) -> None:
        assert (settings.steps, settings.keep) == (generalist.STEPS, 1.0)
        asked[len(asked) == 1] = tasks
        raise KeyboardInterrupt

    monkeypatch.setenv("TANS_CACHE", str(tmp_path))
    monkeypatch.setattr(generalist, "train_generalist", learn)
    monkeypatch.setattr(generalist, "prepared", lambda name: name)
    monkeypatch.setattr(field, "load", lambda *_: None)
    for stranger in (False, True):
        with pytest.raises(KeyboardInterrupt):
            generalist.generalist_file(stranger, 1.0, cast(Any, _Bench()))
    assert len(asked[False]) == 50
    left = set(asked[False]) - set(asked[True])
    assert {"textile", "silhouettes", "playing-cards", "chess-pieces"} <= left
    assert not any(name.startswith("script-") for name in left)
