"""Choices and fine-tunes: named by what they depend on, and the same when done again."""

from __future__ import annotations

from dataclasses import replace

import pytest
from bench.tests.conftest import DEV_TASK

from tans.errors import InputError
from tans.training import Recipe, finetune
from tans_bench.runs.bench import Bench
from tans_bench.runs.jobs import Choose, FineTune, proposal_of
from tests.small_zoo import drawn_task

CHOOSE = Choose(DEV_TASK, "largest")


def test_a_choice_is_done_until_the_zoo_changes(bench: Bench) -> None:
    assert not CHOOSE.done(bench)
    chosen = CHOOSE.run(bench)
    bench.results.write(CHOOSE.name, chosen)
    assert CHOOSE.done(bench)
    assert chosen["seconds"] > 0
    assert chosen["params"] == bench.zoo.entry(chosen["network"]).params + 1281 * 3
    bench.results.write(CHOOSE.name, {**chosen, "zoo": "of another time"})
    assert not CHOOSE.done(bench)


def test_a_stored_choice_gives_its_proposal_back(bench: Bench) -> None:
    bench.results.write(CHOOSE.name, CHOOSE.run(bench))
    stored = bench.results.read(CHOOSE.name)
    assert stored is not None
    assert proposal_of(stored).network == stored["network"]


def test_a_fine_tune_is_that_of_the_recipe(bench: Bench) -> None:
    chosen = proposal_of(CHOOSE.run(bench))
    run = FineTune(DEV_TASK, chosen, epochs=1, seed=2, images=30).run(bench)
    task = drawn_task(DEV_TASK, "three", seed=3).limited(30)
    tuned = finetune(chosen.load(bench.zoo, 3, 2), task, 32, Recipe(epochs=1, seed=2))
    assert run["accuracy"] == tuned.test_accuracy
    assert [line["epoch"] for line in run["history"]] == [e.epoch for e in tuned.history]


def test_a_head_alone_is_fitted_without_epochs(bench: Bench) -> None:
    run = FineTune(DEV_TASK, proposal_of(CHOOSE.run(bench)), epochs=0).run(bench)
    assert run["history"] == []
    assert 0 <= run["accuracy"] <= 1


def test_names_tell_all_runs_apart(bench: Bench) -> None:
    proposal = proposal_of(CHOOSE.run(bench))
    run = FineTune(DEV_TASK, proposal, 5)
    others = [
        replace(run, task="script-tamil"),
        replace(run, epochs=1),
        replace(run, seed=1),
        replace(run, images=100),
        replace(run, learning_rate=0.1),
        replace(run, proposal=replace(proposal, fit_head=False)),
    ]
    assert len({job.name for job in (run, *others)}) == 1 + len(others)


def test_an_unknown_method_is_an_error(bench: Bench) -> None:
    with pytest.raises(InputError, match="no method 'best'"):
        Choose(DEV_TASK, "best").run(bench)
