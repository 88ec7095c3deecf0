"""Works with threads that wait each way, timed on few images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from bench.tests.conftest import run_and_draw

from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Table
from tans_bench.runs.experiment import Fixed
from tans_bench.runs.results import Results
from tans_bench.studies import waiting
from tans_bench.studies.waiting import EXPERIMENT, RUNS, SPINNING, Waited


@pytest.mark.long
def test_both_works_are_timed_each_way_beside_others(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "TURNS", 1)
    one = {"OMP_NUM_THREADS": "1"}  # of which none waits: any would take minutes beside others
    monkeypatch.setattr(waiting, "WAYS", {SPINNING: one, "otherwise": one})
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    small = replace(EXPERIMENT, plan=Fixed((Waited(1, images=4, steps=1, rounds=2),)))
    (table,) = run_and_draw(small, bench, tmp_path)
    (line,) = bench.results.lines(RUNS)
    for work in ("look", "steps"):
        assert min(line[work].values()) > 0
    assert isinstance(table, Table)
    spinning, otherwise = line["look"][SPINNING], line["look"]["otherwise"]
    assert [row[:3] for row in table.rows] == [["1", "otherwise", f"{spinning / otherwise:.2f}"]]


def test_without_runs_there_is_no_table(tmp_path: Path) -> None:
    assert EXPERIMENT.draw(Results(tmp_path)) == []
