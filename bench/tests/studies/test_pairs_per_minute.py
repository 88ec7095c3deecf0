"""Pairs are measured alike in both ways."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from bench.tests.conftest import of_zoo, run_and_draw

from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Table
from tans_bench.runs.experiment import Fixed
from tans_bench.studies.pairs_per_minute import EXPERIMENT, Pace


@pytest.mark.slow
def test_both_ways_measure_the_same(bench: Bench, tmp_path: Path) -> None:
    small = replace(EXPERIMENT, plan=Fixed((Pace(("red", "blue"), pairs=2),)))
    (table,) = run_and_draw(small, replace(bench, tasks=of_zoo), tmp_path)
    stored = bench.results.read("pairs_per_minute")
    assert stored is not None
    assert (stored["pairs"], stored["different_measurements"]) == (4, 0)
    assert stored["pairs_per_minute"].keys() == {"alone", "shared"}
    assert isinstance(table, Table)
    assert table.columns == ("step", "red", "blue", "mean")
    assert all(float(row[-1]) > 0 for row in table.rows)
