"""Recall of known tasks, on the small zoo."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tans.meta.presets import MetaSettings
from tans.tasks.task import Task
from tans_bench.experiments import retrieval
from tans_bench.experiments.retrieval import DRAWS, EXPERIMENT, Retrievals, Retrieve
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Table

SHORT = MetaSettings(steps=20, query_images=20, query_least=20, evaluate_every=0)


@pytest.fixture
def ran(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Two variants, one of which learns nothing."""
    monkeypatch.setattr(retrieval, "VARIANTS", {"default": SHORT, "largest": None})
    for job in Retrievals(("default", "largest"), (0,)).jobs(bench):
        assert not job.done(bench)
        bench.results.write(job.name, job.run(bench))
        assert job.done(bench)
    return bench


def test_a_run_ranks_several_queries_of_each_task(ran: Bench, small_tasks: list[Task]) -> None:
    run = ran.results.read(Retrieve("default", 0).name)
    assert run is not None
    assert run["queries"] == DRAWS * len(small_tasks)
    assert run["tasks"]["r5"] == 1.0  # there are two tasks, and ImageNet
    assert run["tasks_chance"]["r1"] == pytest.approx(1 / 3)


def test_the_same_seed_ranks_alike(ran: Bench) -> None:
    stored = ran.results.read(Retrieve("default", 0).name)
    again = Retrieve("default", 0).run(ran)
    assert stored is not None
    assert {name: stored[name] for name in again} == again


def test_the_table_has_chance_and_what_was_published(ran: Bench) -> None:
    table, _ = replace(EXPERIMENT, plan=Retrievals(("default", "largest"), (0,))).draw(ran.results)
    assert isinstance(table, Table)
    assert [row[0] for row in table.rows] == ["tans (InfoNCE)", "largest network", "random"]
    assert table.rows[1][-4:] == ["3.57", "7.14", "10", "51.85"]
