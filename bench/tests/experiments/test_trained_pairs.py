"""Pairs trained one by one on the small zoo, and strategies replayed on what came of them."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest
from bench.tests.conftest import copied, of_zoo, run_and_draw

from tans.networks.family import describe
from tans.types import Architecture
from tans_bench.experiments import trained_pairs
from tans_bench.experiments.trained_pairs import (
    EXPERIMENT,
    NETWORKS,
    RUNS,
    STRATEGIES,
    TASKS,
    Pair,
    ReplayTrained,
    TrainedPairs,
    architectures,
    known_pairs,
    stored,
)
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Table
from tans_bench.spaces.families import ref_of

PLAN = TrainedPairs(("red", "blue"), 3, seeds=(0,))
QUICK = (32, 30, 1)
"""Pixels, images and epochs of a pair."""


@pytest.fixture(scope="module")
def once(run_once: Bench, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """All of it run and drawn, in pairs of one epoch."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Pair.__init__, "__defaults__", QUICK)
        bench = replace(run_once, tasks=of_zoo)
        run_and_draw(replace(EXPERIMENT, plan=PLAN), bench, tmp_path_factory.mktemp("drawn"))
        return bench


@pytest.fixture
def ran(once: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(Pair.__init__, "__defaults__", QUICK)
    return copied(once, tmp_path / "results")


def pairs_of(bench: Bench) -> list[Pair]:
    return [job for job in PLAN.jobs(bench) if isinstance(job, Pair)]


@pytest.mark.long
def test_a_line_says_what_a_pair_costs_and_became(ran: Bench) -> None:
    pairs = pairs_of(ran)
    lines = stored(ran.results, pairs)
    assert len(lines) == len(pairs) == 6
    for pair, line in zip(pairs, lines, strict=True):
        assert asdict(pair).items() <= line.items()
        body = describe(ref_of(Architecture.parse(pair.architecture), 32)).costs(0)
        assert (line["params"], line["flops"]) == (body.params, body.flops)
        assert 0 <= line["accuracy"] <= 1
        assert 0 <= line["val_accuracy"] <= 1
        assert line["seconds"] > 0


@pytest.mark.long
def test_pairs_come_first_and_each_is_run_once(ran: Bench) -> None:
    jobs = PLAN.jobs(ran)
    assert all(job.done(ran) for job in jobs)
    assert len(jobs) == 6 + len(STRATEGIES)
    path = ran.results.folder / f"{RUNS}.jsonl"
    *others, last = path.read_text().splitlines()
    path.write_text("\n".join(others) + "\n")
    left = PLAN.jobs(ran)
    assert [job.done(ran) for job in left].count(False) == 1
    assert all(isinstance(job, Pair) for job in left)
    path.write_text("\n".join([*others, last]) + "\n")
    assert all(job.done(ran) for job in PLAN.jobs(ran))


@pytest.mark.long
def test_strategies_begin_alike_and_end_with_all_pairs(ran: Bench) -> None:
    pairs = tuple(pairs_of(ran))
    runs = [ran.results.read(ReplayTrained(name, 0, pairs).name) for name in STRATEGIES]
    for run in runs:
        assert run is not None
        assert run["pairs"] == 6
        assert run["volume"] == sorted(run["volume"])
        assert run["volume"][-1] == 1.0
    assert len({tuple(run["volume"][:4]) for run in runs if run}) == 1  # two of each task


@pytest.mark.long
def test_a_pair_that_was_trained_again_is_replayed_again(ran: Bench) -> None:
    pair, *_ = pairs = pairs_of(ran)
    job = ReplayTrained("random", 0, tuple(pairs))
    (line,) = stored(ran.results, [pair])
    changed = {**line, "accuracy": 0.123}
    ran.results.write(pair.name, changed)
    assert not job.done(ran)
    assert known_pairs(ran, pairs).test_accuracies[0] == 0.123


@pytest.mark.long
def test_what_is_drawn_has_a_row_for_each_strategy(ran: Bench) -> None:
    needed, given, _ = replace(EXPERIMENT, plan=PLAN).draw(ran.results)
    assert isinstance(needed, Table)
    assert isinstance(given, Table)
    assert len(needed.rows) == len(given.rows) == len(STRATEGIES)
    assert "6 pairs" in needed.caption


def test_the_plan_is_of_ten_tasks_and_of_networks_from_smallest_to_largest(bench: Bench) -> None:
    drawn = architectures(bench.zoo, NETWORKS)
    assert len(set(drawn)) == NETWORKS
    assert drawn[:3] == architectures(bench.zoo, 3)
    assert len(set(TASKS)) == 10
    assert len(EXPERIMENT.plan.jobs(bench)) == 200
    assert trained_pairs.draw(PLAN, bench.results) == []
