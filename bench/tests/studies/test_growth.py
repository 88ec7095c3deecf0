"""Seconds of choosing among few made-up pairs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bench.tests.conftest import run_and_draw

from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Table
from tans_bench.runs.experiment import Fixed
from tans_bench.studies.growth import EXPERIMENT, NETWORKS, Growth


def test_every_step_is_timed(bench: Bench, tmp_path: Path) -> None:
    small = replace(EXPERIMENT, plan=Fixed((Growth(tasks=(2,), shares=(0.05,)),)))
    (table,) = run_and_draw(small, bench, tmp_path)
    assert isinstance(table, Table)
    (row,) = table.rows
    assert row[:2] == [str(2 * NETWORKS), "10"]
    assert all(float(cell) > 0 for cell in row[2:])
