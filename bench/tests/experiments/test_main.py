"""The main comparison: the paper's own method by its own recipe, all others by one."""

from __future__ import annotations

from tans.training import PUBLISHED, Recipe
from tans_bench.experiments.main import PLAN, SOME
from tans_bench.experiments.table1 import AS_PUBLISHED, LONG, SHORT
from tans_bench.methods.entrants import get_method
from tans_bench.runs.roles import FORMERLY_SEALED


def test_the_papers_method_alone_is_fine_tuned_at_the_papers_rate() -> None:
    for arm in PLAN.arms:
        published = set(arm.methods) <= set(AS_PUBLISHED)
        assert arm.learning_rate == (PUBLISHED if published else Recipe()).learning_rate


def test_the_papers_method_is_on_all_tasks_for_10_epochs_and_on_some_for_50() -> None:
    (name,) = AS_PUBLISHED
    arms = [arm for arm in PLAN.arms if name in arm.methods]
    cells = {(arm.tasks, arm.epochs, arm.seeds) for arm in arms}
    assert cells == {(FORMERLY_SEALED, (SHORT,), (0,)), (SOME, (LONG,), (0,))}
    assert get_method(name).title == "TANS as the paper has it"
