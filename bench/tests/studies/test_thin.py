from __future__ import annotations

from pathlib import Path

import pytest

from tans.networks.family import describe
from tans.zoo.zoo import Zoo
from tans_bench.runs.bench import Bench
from tans_bench.runs.results import Results
from tans_bench.studies import thin
from tests.small_zoo import drawn_task


@pytest.mark.long
def test_a_slice_costs_no_more_than_the_whole_and_nearly_as_much() -> None:
    whole = describe(thin.slice_at(thin.WHOLE)).body_flops
    for size in thin.SIZES:
        ref = thin.slice_at(size)
        assert ref.input.size == size
        assert 0.9 * whole < describe(ref).body_flops <= whole


@pytest.mark.long
def test_slices_are_looked_at_and_tuned(tmp_path: Path) -> None:
    bench = Bench(Results(tmp_path), Zoo.open(), lambda name, _: drawn_task(name, "one", n=60))
    looked = thin.Trial("red", 0, 80, tuned=False)
    assert 0 <= looked.run(bench)["accuracy"] <= 1
    plan = thin.Thin(("script-greek",), (0,))
    assert len(plan.jobs(bench)) == len(thin.SIZES) + len(thin.TUNED)
    assert thin.draw(plan, bench.results) == []
    for job in plan.jobs(bench):
        found = {**vars(job), "accuracy": job.size / 200}  # type: ignore[attr-defined]
        bench.results.write(job.name, found)
        assert job.done(bench)
    (table,) = thin.draw(plan, bench.results)
    assert table.rows[0] == ["script-greek", "32.0", "40.0", "48.0", "56.0", "32.0", "40.0", "48.0"]
    assert table.rows[1][0] == "**siblings**"
    more = thin.Thin(("script-greek", "solar-cells"), (0,))
    assert thin.draw(more, bench.results) == []
