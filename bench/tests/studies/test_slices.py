"""Slices beside the same architectures alone, on the small zoo."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from bench.tests.conftest import of_zoo, run_and_draw

from tans.build.engine import BuildSettings
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Table
from tans_bench.studies.slices import EXPERIMENT, RUNS, Slices


@pytest.mark.long
def test_the_smallest_and_the_largest_slice_are_tuned_alone(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BuildSettings, "epochs", lambda *_: 1)
    small = replace(EXPERIMENT, plan=Slices(("red",), subnets=2))
    table, _ = run_and_draw(small, replace(bench, tasks=of_zoo), tmp_path)
    own = sorted(bench.zoo.entries(task="red", vectors=False), key=lambda entry: entry.body_params)
    runs = bench.results.lines(RUNS)
    assert [run["architecture"] for run in runs] == [e.ref.name for e in (own[0], own[-1])]
    assert [run["slice"] for run in runs] == [own[0].accuracy, own[-1].accuracy]
    assert isinstance(table, Table)
    assert table.rows[0][:2] == ["red", "2"]
    assert small.plan.jobs(bench)[0].done(bench)
