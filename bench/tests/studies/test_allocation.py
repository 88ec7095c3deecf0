"""Looks with memory that is kept and given back, timed on a small network."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from bench.tests.conftest import run_and_draw

from tans.networks.families.elastic.specification import LITE0, ref_of
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Table
from tans_bench.runs.experiment import Fixed
from tans_bench.runs.results import Results
from tans_bench.studies.allocation import EXPERIMENT, RUNS, looks
from tans_bench.studies.ways import Timed


def test_each_network_is_timed_both_ways(bench: Bench, tmp_path: Path) -> None:
    ref = ref_of(LITE0.smallest, 32)
    small = replace(EXPERIMENT, plan=Fixed((Timed(RUNS, ref, partial(looks, images=8, rounds=2)),)))
    (table,) = run_and_draw(small, bench, tmp_path)
    (line,) = bench.results.lines(RUNS)
    assert min(line["given back"], line["kept"]) > 0
    assert isinstance(table, Table)
    assert table.rows == [[ref.name, "32", f"{line['given back'] / line['kept']:.2f}"]]


def test_without_runs_there_is_no_table(tmp_path: Path) -> None:
    assert EXPERIMENT.draw(Results(tmp_path)) == []
