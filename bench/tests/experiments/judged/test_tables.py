"""What is drawn of stored runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bench.tests.experiments.judged.stored_runs import add_runs, cells_of

from tans_bench.experiments.judged import field
from tans_bench.experiments.judged.experiment import EXPERIMENT, FEWER, LONGER, MORE, SHORTER
from tans_bench.experiments.judged.intervals import NONE
from tans_bench.experiments.judged.jobs import Cell
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
from tans_bench.runs.drawing import Table
from tans_bench.runs.judge import SEEDS
from tans_bench.runs.results import Results


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
    assert isinstance(judged, Table)
    assert isinstance(compared, Table)
    assert isinstance(proposed, Table)
    assert isinstance(retrieved, Table)
    assert cells_of(retrieved, "siblings", "similarity") == ["1.00", "0.0"]
    assert cells_of(retrieved, "siblings", "predicted") == ["-1.00", "0.0"]
    assert isinstance(abstained, Table)
    assert isinstance(varied, Table)
    assert not varied.rows  # not all that is compared was run
    assert cells_of(abstained, "siblings", "related") == ["0", NONE]
    assert cells_of(abstained, "siblings", "nothing related") == ["30", NONE]
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
    assert isinstance(varied, Table)
    assert [list(row) for row in varied.rows] == [
        ["300, 50", "50.0", "50.0", "62.5", "+12.5 (+12.5 to +12.5)"],
        ["300, 200", "75.0", "75.0", "87.5", "+12.5 (+12.5 to +12.5)"],
    ]


def test_fewer_steps_stand_beside_more_of_the_common_recipe(results: Results) -> None:
    add_runs(results, TANS, 0.75, field.FEW, 50)
    add_runs(results, PLAIN, 0.5, field.FEW[1:], 500)
    table = EXPERIMENT.draw(results)[3]
    assert isinstance(table, Table)
    assert not table.rows  # not all that is compared was run
    add_runs(results, PLAIN, 0.5, field.FEW, 500)
    table = EXPERIMENT.draw(results)[3]
    assert isinstance(table, Table)
    (row,) = table.rows
    assert list(row[:3]) == ["tans", "50", "+25.0 (+25.0 to +25.0)"]
    assert 0.1 < float(row[3]) < 0.3  # a tenth of the steps, and a look before


def test_a_mean_without_one_of_its_runs_is_none(results: Results) -> None:
    add_runs(results, PLAIN, 0.5, field.TASKS)
    add_runs(results, TANS, 0.5, field.SIBLINGS[1:])
    judged, *_ = EXPERIMENT.draw(results)
    assert isinstance(judged, Table)
    place = judged.columns.index("tans") - 1
    assert cells_of(judged, "**siblings**")[place] == f"**{NONE}**"
    assert cells_of(judged, field.SIBLINGS[1])[place] == "50.0"


def test_a_race_is_won_by_validation_images_and_told_beside_what_could_be(
    results: Results,
) -> None:
    add_runs(results, TANS, 0.5, field.TASKS, validated=0.5)  # the base, which is raced itself
    add_runs(results, SAME, 0.75, field.SIBLINGS, validated=0.25)
    add_runs(results, SAME, 0.75, field.STRANGERS, validated=0.5)  # of equals, the match is kept
    add_runs(results, SAME, 0.625, ("fashion-mnist",), validated=0.75)
    raced = EXPERIMENT.draw(results)[4]
    assert isinstance(raced, Table)
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
    assert isinstance(single, Table)
    assert cells_of(single, "siblings", "tans") == ["+0.0 (+0.0 to +0.0)"]
    job = tuned(METHODS[SAME], read_seen(results)[Cell("script-greek", 0)])
    line = results.find("judged_runs", job.key())
    assert line is not None
    results.write(job.name, {**line, "accuracy": 1.0})  # ahead by one of the two first seeds
    single = EXPERIMENT.draw(results)[5]
    assert isinstance(single, Table)
    assert cells_of(single, "siblings", "tans")[0].startswith("+4.2")  # 25 on one task of six
    assert cells_of(single, "strangers", "tans") == ["+0.0 (+0.0 to +0.0)"]


def test_nothing_is_drawn_of_nothing(tmp_path: Path) -> None:
    assert not EXPERIMENT.draw(Results(tmp_path))


def test_every_job_has_a_name_of_its_own(results: Results) -> None:
    jobs = EXPERIMENT.plan.finetunes(read_seen(results))
    assert len({job.name for job in jobs}) == len(set(jobs))
    assert Cell("a", 0) != Cell("a", 1)
