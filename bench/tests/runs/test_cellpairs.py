"""Networks of random cells on a zoo's tasks, as pairs to learn from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from bench.tests.conftest import copied, of_zoo

from tans.training import Recipe
from tans.types import Architecture
from tans_bench.runs.bench import Bench
from tans_bench.runs.cellpairs import Cells, cell_pairs, cells_of
from tans_bench.spaces.nasbench201 import NAS_BENCH_201

RECIPE = Recipe(epochs=1, fit_head=False)


@pytest.fixture(scope="module")
def once(run_once: Bench) -> Bench:
    """Two cells on each task of the small zoo."""
    bench = replace(run_once, tasks=of_zoo)
    for job in cells_of(bench, 2, RECIPE):
        assert not job.done(bench)
        bench.results.write(job.name, job.run(bench))
        assert job.done(bench)
    return bench


@pytest.fixture
def ran(once: Bench, tmp_path: Path) -> Bench:
    return copied(once, tmp_path / "results")


@pytest.mark.long
def test_each_task_has_its_own_cells_measured(ran: Bench) -> None:
    jobs = cells_of(ran, 2, RECIPE)
    assert [job.task for job in jobs] == ["blue", "red"]
    assert jobs[0].architectures() != jobs[1].architectures()
    pairs = cell_pairs(ran, jobs)
    assert list(pairs.datasets) == ["blue", "red"]
    for job in jobs:
        own = pairs.of(job.task)
        assert [pair.architecture for pair in own] == job.architectures()
        assert all(0 <= pair.accuracy <= 1 and pair.flops > 0 for pair in own)
        stored = ran.results.read(job.name)
        assert stored is not None
        for network in stored["networks"]:
            NAS_BENCH_201.check(Architecture.parse(network["architecture"]))


@pytest.mark.long
def test_another_recipe_is_not_done(ran: Bench) -> None:
    assert not Cells("red", 2, Recipe(epochs=2, fit_head=False)).done(ran)
    assert not Cells("red", 3, RECIPE).done(ran)


@pytest.mark.long
def test_a_recipe_of_before_a_setting_is_still_done(ran: Bench) -> None:
    job = Cells("red", 2, RECIPE)
    stored = ran.results.read(job.name)
    assert stored is not None
    older = {name: value for name, value in stored["recipe"].items() if name != "flip"}
    ran.results.write(job.name, {**stored, "recipe": older})
    assert job.done(ran)
    ran.results.write(job.name, {**stored, "recipe": {**older, "seed": 9}})
    assert not job.done(ran)


@pytest.mark.long
def test_the_same_cells_come_out_the_same(ran: Bench) -> None:
    job = Cells("red", 2, RECIPE)
    stored, again = ran.results.read(job.name), job.run(ran)
    assert stored is not None
    untimed = [
        [{k: v for k, v in network.items() if k != "seconds"} for network in result["networks"]]
        for result in (stored, again)
    ]
    assert untimed[0] == untimed[1]
