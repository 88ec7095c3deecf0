"""MetaD2A on the small zoo, and what is drawn of results."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from bench.tests.conftest import DEV_TASK, of_zoo, run_and_draw
from bench.tests.methods.metad2a.test_learning import TINY

from tans.training import Recipe
from tans_bench.experiments.generation import EXPERIMENT, Generations
from tans_bench.experiments.rivals import Rivals
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Table
from tans_bench.runs.generated import CHOSEN, ELASTIC, GENERATED
from tans_bench.runs.results import Result, Results

PLAN = Generations(
    measured_on=("red",),
    searches=Rivals(tasks=(DEV_TASK, "solar-cells"), seeds=(0,)),
    settings=TINY,
    cell_settings=TINY,
    folds=2,
    graphs=20,
    count=2,
    cells=2,
    recipe=Recipe(epochs=1, fit_head=False),
)
SMALL = replace(EXPERIMENT, plan=PLAN)


def own(**numbers: float) -> Result:
    ranks = {"spearman": 0.5, "spearman_of_size": 0.1, "spearman_of_splits": 0.3}
    return {"valid": 0.8, "unique": 0.5, "novel": 1.0, "seconds": 0.25, **ranks, **numbers}


def unseen(**tasks: Result) -> Result:
    about = {"space": ELASTIC, "graphs": 500, "learnt_from": 90, "learning_s": 60.0}
    return {**about, "tasks": tasks}


def network(accuracy: float, flops: int) -> Result:
    return {"architecture": "", "accuracy": accuracy, "flops": flops}


@pytest.fixture
def stored(tmp_path: Path) -> Results:
    """Two folds, one measured task, and the choices of both methods on one task and a half."""
    results = Results(tmp_path / "results")
    results.write("generation/elastic-0-of-2", unseen(one=own(valid=0.9), two=own()))
    results.write("generation/elastic-1-of-2", unseen(three=own(spearman=0.2)))
    pair = {"own": network(0.8, 10**7), "random": network(0.7, 11 * 10**6)}
    better = {"own": network(0.9, 10**7), "random": network(0.7, 11 * 10**6)}
    places = {GENERATED: [pair, pair], CHOSEN: [better, better]}
    results.write("generation/against-red", {"task": "red", "pairs": places})
    (both, alone), (other, _) = (PLAN.searches.choices(m) for m in ("metad2a", "nsganetv2"))
    results.write(both.name, {"seconds": 2.0, "once_s": 30.0})
    results.write(other.name, {"seconds": 50.0, "once_s": 30.0})
    results.write(alone.name, {"seconds": 1000.0, "once_s": 0.0})
    return results


def test_the_tables_hold_means_over_tasks(stored: Results) -> None:
    shares, differences, _, times = SMALL.draw(stored)
    assert isinstance(shares, Table)
    assert shares.rows[0][:3] == [ELASTIC, "3", "90"]
    assert shares.rows[0][3].startswith("83.3 ±")
    assert shares.rows[0][6].startswith("0.40 ±")
    assert isinstance(differences, Table)
    assert [row[:2] for row in differences.rows] == [
        [GENERATED, "red"],
        [GENERATED, "mean"],
        [CHOSEN, "red"],
        [CHOSEN, "mean"],
    ]
    points = [row[-1] for row in differences.rows]
    assert points == ["+10.0 ± 0.0", "+10.0", "+20.0 ± 0.0", "+20.0"]
    assert isinstance(times, Table)
    assert [row[1:5] for row in times.rows] == [
        ["1", "30.0", "2.00", "25.0x"],
        ["1", "30.0", "50.00", "1.0x"],
    ]
    assert times.rows[0][-1] == "5500x"


def test_times_are_left_out_where_a_method_was_not_run(stored: Results) -> None:
    plan = replace(PLAN, searches=Rivals(tasks=("solar-cells",), seeds=(0,)))
    assert len(replace(EXPERIMENT, plan=plan).draw(stored)) == 3


def test_a_gpu_learns_as_published() -> None:
    assert EXPERIMENT.scaled("gpu").plan.settings.generator_epochs == 400
    assert EXPERIMENT.scaled("cpu").plan == EXPERIMENT.plan


@pytest.mark.slow
def test_all_is_run_and_drawn_on_the_small_zoo(bench: Bench, tmp_path: Path) -> None:
    bench = replace(bench, tasks=of_zoo)
    shares, differences, figure = run_and_draw(SMALL, bench, tmp_path)
    assert isinstance(shares, Table)
    assert [row[0] for row in shares.rows] == [ELASTIC, "nas-bench-201"]
    assert [row[1] for row in shares.rows] == ["2", "2"]
    assert isinstance(differences, Table)
    assert differences.rows[0][:3] == [GENERATED, "red", "2"]
    assert (tmp_path / f"{figure.name}.png").exists()
    assert all(job.done(bench) for job in PLAN.jobs(bench))
