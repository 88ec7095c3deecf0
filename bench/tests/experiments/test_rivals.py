"""Each seed searches anew, nothing older stands for it, and the page tells what was not run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from bench.tests.conftest import DEV_TASK, STRANGER_TASK, run_and_draw

from tans_bench.experiments import rivals
from tans_bench.experiments.rivals import (
    EXPERIMENT,
    LENGTHS,
    NOT_RUN,
    SEARCHES,
    UNTRAINED,
    Rivals,
)
from tans_bench.experiments.table1 import AS_PUBLISHED, PUBLISHED
from tans_bench.methods.entrants import METHODS
from tans_bench.methods.registry import RIVALS
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Plot, Table
from tans_bench.runs.jobs import LIMITS, SHIPPED
from tans_bench.runs.results import Results
from tans_bench.runs.roles import DEV, is_sibling

LENGTHS_OF_SMALL = (("imagenet", (0, SHIPPED)), ("random", (0, 1, SHIPPED)))
SMALL = Rivals(LENGTHS_OF_SMALL, (DEV_TASK, STRANGER_TASK), (0, 1), 30)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LIMITS, rivals.LIMITS, LIMITS[""])
    monkeypatch.setattr(rivals, "YARDSTICK", ("imagenet", 0))


def test_all_rivals_run_beside_tans_on_a_sibling_and_a_stranger() -> None:
    plan = EXPERIMENT.plan
    assert {"tans", *RIVALS} <= LENGTHS.keys() <= METHODS.keys()
    assert (len(plan.tasks), len(plan.seeds)) == (2, 5)
    assert [is_sibling(task) for task in plan.tasks] == [True, False]
    assert set(plan.tasks) <= set(DEV)
    assert dict(plan.lengths)["fbnet-a"] == dict(plan.lengths)["imagenet"]


def test_what_has_weights_is_not_trained_like_what_has_none() -> None:
    assert set(PUBLISHED) <= {
        *(
            (method, epochs)
            for method in ("tans", "paper", "imagenet", *SEARCHES)
            for epochs in (10, 50)
        ),
        *((method, 100) for method in UNTRAINED),
    }


def test_each_seed_has_a_choice_of_its_own(bench: Bench) -> None:
    names = [job.name for job in SMALL.jobs(bench)]
    assert len(names) == len(set(names)) == 2 * 2 * 2
    assert all(name.startswith("rivals/choices/") for name in names)


@pytest.mark.long
def test_a_row_for_each_length_and_what_no_card_ran(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tans.training.recipe.STEPS", 1)
    small, time, _, shipped, published = run_and_draw(
        replace(EXPERIMENT, plan=SMALL), bench, tmp_path
    )
    assert isinstance(small, Table)
    assert isinstance(time, Plot)
    assert isinstance(shipped, Table)
    assert isinstance(published, Table)
    assert [row[:3] for row in small.rows] == [
        ["ImageNet", "0", "4"],
        ["random", "0", "4"],
        ["random", "1", "4"],
    ]
    assert small.rows[0][small.columns.index("speed-up")] == "1.00x"
    lines = time.figure.axes[0].get_lines()
    assert [len(line.get_xdata()) for line in lines[:-1]] == [1, 2]
    gains = [column for column, name in enumerate(small.columns) if "gain" in name]
    assert [small.rows[0][column] for column in gains] == ["+0.0 ± 0.0", "+0.0 ± 0.0", "+0.0"]
    for table in (small, shipped, published):
        assert {len(row) for row in table.rows} == {len(table.columns)}
    assert [row[:2] for row in shipped.rows] == [["ImageNet", "4"], ["random", "4"]]
    assert shipped.rows[0][-1] == "+0.0"
    assert [row[2:4] for row in published.rows] == [["0", NOT_RUN]] * 3
    full = replace(EXPERIMENT, plan=SMALL.scaled("gpu"))
    assert full.draw(bench.results) == []


def test_what_is_fitted_as_published_or_has_no_weights_is_not_trained_as_shipped() -> None:
    for method, lengths in LENGTHS.items():
        assert (SHIPPED in lengths) == (method not in (*AS_PUBLISHED, *UNTRAINED))
    assert not any(SHIPPED in lengths for _, lengths in EXPERIMENT.plan.scaled("gpu").lengths)


def test_results_of_the_main_comparison_stand_for_nothing_here(bench: Bench) -> None:
    for own in SMALL.choices("random"):
        bench.results.write(own.job.name, own.run(bench))
    assert not any(job.done(bench) for job in SMALL.jobs(bench))
    assert EXPERIMENT.draw(bench.results) == []


def test_a_choice_holds_until_the_zoo_changes(bench: Bench) -> None:
    choice = SMALL.choices("random")[0]
    bench.results.write(choice.name, choice.run(bench))
    assert choice.done(bench)
    stored = bench.results.read(choice.name)
    assert stored is not None
    bench.results.write(choice.name, {**stored, "zoo": "of another time"})
    assert not choice.done(bench)


def test_a_cards_results_stand_apart() -> None:
    full = SMALL.scaled("gpu")
    assert full.scaled("gpu") == full
    assert not {c.name for c in full.choices("random")} & {c.name for c in SMALL.choices("random")}


def test_nothing_is_drawn_of_nothing(tmp_path: Path) -> None:
    assert EXPERIMENT.draw(Results(tmp_path)) == []
