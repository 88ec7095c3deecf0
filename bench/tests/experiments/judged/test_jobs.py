"""The judge's jobs, run on a small zoo."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tans.tasks.task import Task
from tans.training import ALIKE, RECIPE, Recipe
from tans_bench.experiments.judged import field, jobs
from tans_bench.experiments.judged.jobs import Cell, Frozen, Tuned, recipe_of, shortlist
from tans_bench.runs.bench import Bench

CELL = Cell("flags", 1, 20)


def test_recipes_are_those_that_are_compared() -> None:
    default, deep, common = (
        recipe_of(Tuned(CELL, "base", 64, recipe=recipe), 300)
        for recipe in ("default", "deep", "common")
    )
    assert default == replace(Recipe(), epochs=22, seed=1)
    assert deep == replace(default, clip=None)
    assert (common.deep_head, common.average, common.fit_head) == (False, False, False)
    assert common.epochs == default.epochs
    assert ALIKE <= RECIPE


@pytest.mark.long
def test_a_cell_is_looked_at_and_tuned_on(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(field, "WITHIN", {field.LITE0: (32,)})
    source = field.sources_for("", bench.zoo)[0]
    for job in (shortlist(CELL), Frozen(CELL, "within"), Tuned(CELL, source, 32, 2)):
        assert not job.done(bench)
        bench.results.write(job.name, job.run(bench))
        assert job.done(bench)
    (short,), (frozen,), (run,) = (
        bench.results.lines(name) for name in (jobs.SHORTLISTS, jobs.FROZEN, jobs.TUNED)
    )
    assert source in short["sources"]
    assert set(frozen["accuracy"]) == set(frozen["flops"])
    assert f"{field.LITE0}@32" in frozen["accuracy"]
    assert f"{source}@{bench.zoo.resolution}" in frozen["accuracy"]
    assert 0 <= run["accuracy"] <= 1
    task: Task = CELL.read(bench)
    assert run["splits"] == [int((task.splits == k).sum()) for k in range(3)]
    assert run["splits"][0] <= CELL.images
    assert not replace(Tuned(CELL, source, 32, 2), steps=3).done(bench)
