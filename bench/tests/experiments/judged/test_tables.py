"""What is drawn of stored runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tans_bench.experiments.judged import field, tables
from tans_bench.experiments.judged.experiment import EXPERIMENT, FEWER, LONGER, MORE, SHORTER
from tans_bench.experiments.judged.jobs import Cell, Frozen, Shortlist
from tans_bench.experiments.judged.methods import (
    BEST,
    METHODS,
    OWN,
    PLAIN,
    SAME,
    TANS,
    read_seen,
    tuned,
)
from tans_bench.runs.judge import SEEDS
from tans_bench.runs.results import Results

CELLS = EXPERIMENT.plan.cells(field.TASKS, field.IMAGES)
NAMES = [f"{name}@{size}" for name, size in field.sized(field.WITHIN)] + [
    *("base@64", "flags@64", "digits@64")
]


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """Looks at all cells, of which the elastic base is put first."""
    stored = Results(tmp_path)
    for cell in CELLS:
        own = {"task": cell.task, "seed": cell.seed, "images": cell.images}
        accuracy = {name: 0.9 if name == "base@64" else 0.5 for name in NAMES}
        accuracy["digits@64"] = 0.4
        look = {"part": "within", "accuracy": accuracy, "flops": dict.fromkeys(NAMES, 3e7)}
        stored.write(Frozen(cell, "within").name, {**own, **look})
        nearest = {"flags": {"similarity": 0.5, "predicted": 0.1}}
        nearest |= {"digits": {"similarity": 0.4, "predicted": 0.2}}
        stored.write(Shortlist(cell).name, {**own, "sources": nearest})
    return stored


def add_runs(
    results: Results,
    method: str,
    accuracy: float,
    tasks: tuple[str, ...],
    steps: int = 200,
    validated: float = 0.5,
) -> None:
    seen = read_seen(results)
    for cell in CELLS:
        if cell.task in tasks:
            job = tuned(METHODS[method], seen[cell], steps)
            run = {"splits": (300, 100, 200), "flops": 3e7, "head_width": 100, "classes": 5}
            told = {"accuracy": accuracy, "val_accuracy": validated, "seconds": 10.0, "card": "one"}
            results.write(job.name, {**job.key(), **run, **told})


def cells_of(table: tables.Table, *first: str) -> list[str]:
    (row,) = [row for row in table.rows if tuple(row[: len(first)]) == first]
    return list(row[len(first) :])


def test_all_is_declared_before_anything_is_run(results: Results) -> None:
    plan = EXPERIMENT.plan
    assert plan.scaled("cpu") == plan
    assert plan.scaled("gpu") == replace(plan, unlimited=True)
    jobs = plan.finetunes(read_seen(results))
    assert {job.cell.images for job in jobs} == {field.IMAGES}  # the others were not looked at
    assert {job.steps for job in jobs} == {SHORTER, field.STEPS, LONGER}
    main = {(job.cell, job.network, job.recipe) for job in jobs if job.steps == field.STEPS}
    assert len({cell for cell, *_ in main}) == 12 * len(SEEDS)
    assert (FEWER, MORE) == (50, 1500)


def test_points_are_paired_and_drawn_with_their_interval(results: Results) -> None:
    add_runs(results, PLAIN, 0.5, field.TASKS)
    add_runs(results, OWN, 0.75, field.SIBLINGS)
    add_runs(results, OWN, 0.625, field.STRANGERS)
    judged, compared, varied, _, _, _, proposed, retrieved, abstained, _ = EXPERIMENT.draw(results)
    assert isinstance(judged, tables.Table)
    assert isinstance(compared, tables.Table)
    assert isinstance(proposed, tables.Table)
    assert isinstance(retrieved, tables.Table)
    assert cells_of(retrieved, "siblings", "similarity") == ["1.00", "0.0"]
    assert cells_of(retrieved, "siblings", "predicted") == ["-1.00", "0.0"]
    assert isinstance(abstained, tables.Table)
    assert isinstance(varied, tables.Table)
    assert not varied.rows  # not all that is compared was run
    assert cells_of(abstained, "siblings", "related") == ["0", tables.NONE]
    assert cells_of(abstained, "siblings", "nothing related") == ["30", tables.NONE]
    place = judged.columns.index("elastic base") - 1
    assert cells_of(judged, "icons-apps")[place] == "75.0"
    assert cells_of(judged, "**strangers**")[place] == "**62.5**"
    points, *_, errors, _, seconds = cells_of(compared, "siblings", "elastic base")
    assert (points, errors, seconds) == ("+25.0 (+25.0 to +25.0)", "0.50", "1.00")
    # tans proposes the base too, after a look at four networks
    (base, tans) = (cells_of(compared, "siblings", name) for name in ("elastic base", "tans"))
    assert tans[:3] == base[:3]
    assert float(tans[-2]) > float(base[-2]) > 1
    assert cells_of(proposed, "icons-apps")[1] == f"base@64 {len(SEEDS)}"


def test_other_numbers_of_steps_are_drawn_when_all_are_run(results: Results) -> None:
    for steps, accuracy in ((50, 0.5), (200, 0.75)):
        for method in (PLAIN, BEST):
            add_runs(results, method, accuracy, field.FEW, steps)
        add_runs(results, TANS, accuracy + 0.125, field.FEW, steps)
    _, _, varied, *_ = EXPERIMENT.draw(results)
    assert isinstance(varied, tables.Table)
    assert [list(row) for row in varied.rows] == [
        ["300, 50", "50.0", "50.0", "62.5", "+12.5 (+12.5 to +12.5)"],
        ["300, 200", "75.0", "75.0", "87.5", "+12.5 (+12.5 to +12.5)"],
    ]


def test_fewer_steps_stand_beside_more_of_the_common_recipe(results: Results) -> None:
    add_runs(results, TANS, 0.75, field.FEW, 50)
    add_runs(results, PLAIN, 0.5, field.FEW[1:], 500)
    table = EXPERIMENT.draw(results)[3]
    assert isinstance(table, tables.Table)
    assert not table.rows  # not all that is compared was run
    add_runs(results, PLAIN, 0.5, field.FEW, 500)
    table = EXPERIMENT.draw(results)[3]
    assert isinstance(table, tables.Table)
    (row,) = table.rows
    assert list(row[:3]) == ["tans", "50", "+25.0 (+25.0 to +25.0)"]
    assert 0.1 < float(row[3]) < 0.3  # a tenth of the steps, and a look before


def test_a_mean_without_one_of_its_runs_is_none(results: Results) -> None:
    add_runs(results, PLAIN, 0.5, field.TASKS)
    add_runs(results, TANS, 0.5, field.SIBLINGS[1:])
    judged, *_ = EXPERIMENT.draw(results)
    assert isinstance(judged, tables.Table)
    place = judged.columns.index("tans") - 1
    assert cells_of(judged, "**siblings**")[place] == f"**{tables.NONE}**"
    assert cells_of(judged, field.SIBLINGS[1])[place] == "50.0"


def test_a_race_is_won_by_validation_images_and_told_beside_what_could_be(
    results: Results,
) -> None:
    add_runs(results, TANS, 0.5, field.TASKS, validated=0.5)  # the base, which is raced itself
    add_runs(results, SAME, 0.75, field.SIBLINGS, validated=0.25)
    add_runs(results, SAME, 0.75, field.STRANGERS, validated=0.5)  # of equals, the match is kept
    add_runs(results, SAME, 0.625, ("fashion-mnist",), validated=0.75)
    raced = EXPERIMENT.draw(results)[4]
    assert isinstance(raced, tables.Table)
    assert [row[2] for row in raced.rows] == [
        "+0.0 (+0.0 to +0.0)",
        "+25.0 (+25.0 to +25.0)",
        "+2.1 (+0.0 to +6.2)",
        "+22.9 (+18.8 to +25.0)",
    ]


def test_one_network_for_all_is_chosen_on_seeds_that_it_is_not_scored_on(
    results: Results,
) -> None:
    add_runs(results, OWN, 0.5, field.TASKS)  # which tans proposes too
    add_runs(results, SAME, 0.25, field.TASKS)
    single = EXPERIMENT.draw(results)[5]
    assert isinstance(single, tables.Table)
    assert cells_of(single, "siblings", "tans") == ["+0.0 (+0.0 to +0.0)"]
    job = tuned(METHODS[SAME], read_seen(results)[Cell("script-greek", 0)])
    line = results.find("judged_runs", job.key())
    assert line is not None
    results.write(job.name, {**line, "accuracy": 1.0})  # ahead by one of the two first seeds
    single = EXPERIMENT.draw(results)[5]
    assert isinstance(single, tables.Table)
    assert cells_of(single, "siblings", "tans")[0].startswith("+4.2")  # 25 on one task of six
    assert cells_of(single, "strangers", "tans") == ["+0.0 (+0.0 to +0.0)"]


def test_what_was_expected_stands_beside_what_came(results: Results) -> None:
    add_runs(results, TANS, 0.75, field.SIBLINGS)
    for cell in CELLS[:3]:  # three tasks, one seed of each
        line = {"task": cell.task, "seed": cell.seed, "images": cell.images}
        low = 0.7 if cell.task == field.SIBLINGS[0] else 0.76
        told = {"predicted": 0.8, "low": low, "high": 0.9}
        results.write(f"judged_predicted.jsonl/{cell}", {**line, **told})
    *_, expected = EXPERIMENT.draw(results)
    assert isinstance(expected, tables.Table)
    assert cells_of(expected, field.SIBLINGS[0]) == ["80.0", "75.0", "5.0", "20.0", "1 of 1"]
    assert cells_of(expected, field.SIBLINGS[1])[-1] == "0 of 1"
    assert cells_of(expected, "**siblings**") == cells_of(expected, "**all**")
    assert cells_of(expected, "**all**")[-1] == "1 of 3"


def test_nothing_is_drawn_of_nothing(tmp_path: Path) -> None:
    assert not EXPERIMENT.draw(Results(tmp_path))


def test_an_interval_is_over_families() -> None:
    mean, low, high = tables.interval({"script-greek": 0.0, "script-thai": 0.0, "icons-apps": 3.0})
    assert mean == pytest.approx(1.0)
    assert (low, high) == (0.0, 3.0)  # each draw of two families may be of one alone
    assert tables.interval({"script-greek": 2.0, "icons-apps": 2.0}) == (2.0, 2.0, 2.0)


def test_every_job_has_a_name_of_its_own(results: Results) -> None:
    jobs = EXPERIMENT.plan.finetunes(read_seen(results))
    assert len({job.name for job in jobs}) == len(set(jobs))
    assert Cell("a", 0) != Cell("a", 1)
