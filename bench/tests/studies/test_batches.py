"""Looks in batches by either bound, timed on a small network."""

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
from tans_bench.studies import batches
from tans_bench.studies.batches import EXPERIMENT, RUNS, passes
from tans_bench.studies.ways import Timed


def test_each_network_is_timed_by_either_bound(bench: Bench, tmp_path: Path) -> None:
    ref = ref_of(LITE0.smallest, 256)
    small = replace(EXPERIMENT, plan=Fixed((Timed(RUNS, ref, partial(passes, rounds=2)),)))
    (table,) = run_and_draw(small, bench, tmp_path)
    (line,) = bench.results.lines(RUNS)
    assert line["images"] == {"memory": 36, "caches": 4}
    assert all(seconds > 0 for seconds in line["seconds"].values())
    assert isinstance(table, Table)
    assert table.rows[0][:4] == [ref.name, "256", "36", "4"]


def test_all_networks_are_looked_at_in_fewer_images() -> None:
    for ref in batches.NETWORKS:
        assert batches.images_at_once(ref.input.size, batches.CPU) < batches.images_at_once(
            ref.input.size
        )


def test_without_runs_there_is_no_table(tmp_path: Path) -> None:
    assert EXPERIMENT.draw(Results(tmp_path)) == []
