"""The trial of ensembles: which networks teach, what is run, and what is drawn of it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from tans.zoo.zoo import Zoo
from tans_bench.experiments.judged import ensembles, field
from tans_bench.experiments.judged.jobs import Cell, Frozen, shortlist
from tans_bench.experiments.judged.methods import read_seen
from tans_bench.runs.bench import Bench
from tans_bench.runs.results import Results
from tests.small_zoo import drawn_task

CELL = Cell("script-greek", 0)
LOOKED = {"base@64": 0.5, f"{field.LITE0}@64": 0.9, "flags@64": 0.8, "digits@64": 0.6}


@pytest.fixture
def results(tmp_path: Path) -> Results:
    stored, own = Results(tmp_path), asdict(CELL)
    look = {"part": "within", "accuracy": LOOKED, "flops": dict.fromkeys(LOOKED, 3e7)}
    stored.write(Frozen(CELL, "within").name, {**own, **look})
    near = {"similarity": 0.5, "predicted": 0.1}
    stored.write(shortlist(CELL).name, {**own, "sources": {"flags": near, "digits": near}})
    return stored


def test_the_best_three_teach_the_best(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    tuned: list[tuple[str, int]] = []

    def remember(network: str, *_: object, teachers: tuple[str, ...] = (), **__: object) -> object:
        tuned.append((network, len(teachers)))
        return SimpleNamespace(network=network, test_accuracy=len(tuned) / 10)

    monkeypatch.setattr(ensembles, "finetune", remember)
    monkeypatch.setattr(ensembles.field, "load", lambda name, *_: name)
    monkeypatch.setattr(ensembles, "together", lambda *_: 0.9)
    bench = Bench(results, Zoo.open(), lambda name, _: drawn_task(name, "one", n=60))
    trial = ensembles.trial(CELL)
    found = trial.run(bench)
    assert tuned == [(field.LITE0, 0), ("flags", 0), ("digits", 0), (field.LITE0, 3)]
    assert found["accuracy"] == {"match": 0.1, "ensemble": 0.9, "taught by it": 0.4}
    assert found["networks"] == ensembles.starts(read_seen(results)[CELL])
    results.write(trial.name, found)
    assert trial.done(bench)


def test_an_ensemble_says_the_mean_of_what_its_networks_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task = drawn_task("red", "one", n=60)
    labels = task.split("test", 64)[1]
    right, wrong = torch.eye(3)[labels] * 4, torch.eye(3)[(labels + 1) % 3] * 2
    said = {"right": right, "wrong": wrong}
    monkeypatch.setattr(ensembles, "predict", lambda network, _: said[network])
    teachers = [SimpleNamespace(network=name) for name in said]
    assert ensembles.together(teachers, task) == 1.0  # type: ignore[arg-type]
    assert ensembles.together(teachers[1:], task) == 0.0  # type: ignore[arg-type]


def test_points_are_paired_by_task_and_seed(tmp_path: Path) -> None:
    results = Results(tmp_path)
    for task, seed in (("script-greek", 0), ("script-greek", 1), ("icons-apps", 0)):
        trial = ensembles.trial(Cell(task, seed))
        own = {"match": 0.5 + 0.1 * seed, "ensemble": 0.52 + 0.1 * seed, "taught by it": 0.5}
        results.write(trial.name, {**asdict(trial.cell), "accuracy": own})
    (table,) = ensembles.EXPERIMENT.draw(results)
    assert table.rows == [  # type: ignore[attr-defined]
        ["script-greek", "2", "55.0", "57.0", "50.0", "+2.0", "-5.0"],
        ["icons-apps", "1", "50.0", "52.0", "50.0", "+2.0", "+0.0"],
        ["**all**", "3", "53.3", "55.3", "50.0", "+2.0 (+2.0 to +2.0)", "-2.5 (-5.0 to +0.0)"],
    ]
