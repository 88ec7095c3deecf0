"""Families are left out, and choices for their tasks are judged."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from bench.tests.conftest import SHORT

from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Plot, Table
from tans_bench.runs.results import Result, Results
from tans_bench.runs.runner import run_experiment
from tans_bench.studies import leave_one_family_out
from tans_bench.studies.leave_one_family_out import (
    EXPERIMENT,
    LEARNED,
    RUNS,
    UNLEARNED,
    VARIANTS,
    LeaveOuts,
)


@dataclass(frozen=True)
class Judged:
    targets: tuple[str, ...] = ("red", "blue")
    choices: dict[str, Result] = field(default_factory=dict)


def choice(regret: float) -> Result:
    return {"spearman": 0.5, "regret": regret, "regret_of_five": 0.0, "top1": 0.25}


def line(variant: str, seed: int, regret: float) -> Result:
    choices = {method: choice(regret) for method in (*LEARNED, "random", "oracle")}
    judged = {"targets": 3, "choices": choices}
    return {"settings": variant, "seed": seed, "transfers": judged, "probes": judged}


def test_the_last_line_of_a_variant_and_seed_is_drawn(tmp_path: Path) -> None:
    results = Results(tmp_path)
    for regret in (0.9, 0.1):
        results.write(f"{RUNS}.jsonl/x", line("default", 777, regret))
    results.write(f"{RUNS}.jsonl/x", line("default", 778, 0.3))
    one, two = (replace(EXPERIMENT, plan=LeaveOuts(seeds=s)) for s in ((777,), (777, 778)))
    transfers, probes, figure = one.draw(results)
    assert isinstance(transfers, Table)
    assert isinstance(probes, Table)
    assert isinstance(figure, Plot)
    assert transfers.rows[0] == ["default", "similarity", "0.50", "10.0", "0.0", "25%"]
    assert [row[:2] for row in transfers.rows[2:]] == [[UNLEARNED, "random"], [UNLEARNED, "oracle"]]
    table = two.draw(results)[0]
    assert isinstance(table, Table)
    assert table.rows[0][3] == "20.0 ± 14.1"


def test_every_variant_is_run_with_every_seed() -> None:
    assert len(EXPERIMENT.plan.variants) == len(VARIANTS)
    assert len(EXPERIMENT.scaled("gpu").plan.seeds) == 3


def test_nothing_is_drawn_of_nothing(tmp_path: Path) -> None:
    assert not EXPERIMENT.draw(Results(tmp_path))


def test_a_run_is_found_again_until_its_settings_change(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the small zoo is too small to leave a family out
    monkeypatch.setattr(leave_one_family_out, "train_without_families", lambda *_: {})
    monkeypatch.setattr(leave_one_family_out, "judge_left_out", lambda *_: Judged())
    plan = LeaveOuts(("default",), (1,))
    assert run_experiment(replace(EXPERIMENT, plan=plan), bench) == 1
    assert run_experiment(replace(EXPERIMENT, plan=plan), bench) == 0
    (run,) = bench.results.lines(RUNS)
    assert (run["settings"], run["seed"], run["probes"]["targets"]) == ("default", 1, 2)
    monkeypatch.setitem(VARIANTS, "default", SHORT)
    assert not plan.jobs(bench)[0].done(bench)
