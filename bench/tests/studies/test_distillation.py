"""Slices of the published weights and of the base, on the small zoo."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from bench.tests.conftest import DEV_TASK, run_and_draw

from tans.networks.family import describe
from tans.zoo.zoo import IMAGENET, Zoo
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Table
from tans_bench.spaces.families import ref_of
from tans_bench.studies import distillation
from tans_bench.studies.distillation import EXPERIMENT, RUNS, WEIGHTS, Slices, five_sizes


def test_sizes_go_from_the_smallest_to_the_largest(measured_zoo: Zoo) -> None:
    sizes = five_sizes(measured_zoo)
    params = [describe(ref_of(each, 32)).costs(0).params for each in sizes]
    assert params == sorted(params)
    own = [
        e.body_params for e in measured_zoo.entries(vectors=False) if e.weights == measured_zoo.base
    ]
    assert (params[0], params[-1]) == (min(own), max(own))


@pytest.mark.long
def test_both_weights_stand_side_by_side(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = five_sizes(bench.zoo)
    monkeypatch.setattr(distillation, "five_sizes", lambda _: sizes[:1])
    monkeypatch.setattr(distillation, "RESOLUTION", bench.zoo.resolution)
    monkeypatch.setattr(distillation, "EPOCHS", 1)
    # the published weights are not at hand
    ref = ref_of(sizes[0], bench.zoo.resolution)
    base = bench.zoo.load_network(ref, distillation.base_of(bench.zoo), IMAGENET)
    monkeypatch.setattr(distillation, "published_slice", lambda *_: base)
    small = replace(EXPERIMENT, plan=Slices((DEV_TASK,), seeds=(0,)))
    (table,) = run_and_draw(small, bench, tmp_path)
    assert [line["weights"] for line in bench.results.lines(RUNS)] == list(WEIGHTS)
    assert isinstance(table, Table)
    (row,) = table.rows
    assert row[0] == DEV_TASK
    assert row[2] == row[3]
