"""Choices and fine-tunes: named by what they depend on, and the same when done again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from bench.tests.conftest import DEV_TASK

from tans.errors import InputError
from tans.networks.families.elastic.specification import LITE0
from tans.training import Recipe, finetune
from tans.types import Architecture
from tans_bench.methods import entrants
from tans_bench.methods.entrants import METHODS
from tans_bench.methods.method import Proposal
from tans_bench.recipes import plain
from tans_bench.runs.bench import Bench
from tans_bench.runs.jobs import SHIPPED, Choose, FineTune, proposal_of, result_of
from tans_bench.runs.results import Results, environment
from tans_bench.spaces.darts import DARTS, SIZES
from tans_bench.spaces.families import ref_of
from tans_bench.spaces.fbnet import FBNET_A
from tests.small_zoo import drawn_task

CHOOSE = Choose(DEV_TASK, "largest")
COMMITTED = Results(Path(__file__).parents[2] / "results")


def test_a_choice_is_done_until_the_zoo_changes(bench: Bench) -> None:
    assert not CHOOSE.done(bench)
    chosen = CHOOSE.run(bench)
    bench.results.write(CHOOSE.name, chosen)
    assert CHOOSE.done(bench)
    assert chosen["seconds"] > 0
    assert chosen["params"] == bench.zoo.entry(chosen["network"]).body_params + 1281 * 3
    bench.results.write(CHOOSE.name, {**chosen, "zoo": "of another time"})
    assert not CHOOSE.done(bench)


def test_a_stored_choice_gives_its_proposal_back(bench: Bench) -> None:
    bench.results.write(CHOOSE.name, CHOOSE.run(bench))
    stored = bench.results.read(CHOOSE.name)
    assert stored is not None
    assert proposal_of(stored).network == stored["network"]


@pytest.mark.parametrize("architecture", [LITE0.smallest, FBNET_A, DARTS.lightest(SIZES[0])])
def test_a_proposal_of_any_space_is_read_back(architecture: Architecture) -> None:
    proposal = Proposal("digits", "0" * 64, ref_of(architecture, 48), False, {"look": 5}, 1.5)
    again = proposal_of(result_of(proposal))
    assert (again, again.details) == (proposal, proposal.details)


def test_committed_choices_are_of_the_networks_that_they_name() -> None:
    choices = [*COMMITTED.below("choices"), *COMMITTED.below("rivals/choices")]
    assert {proposal_of(choice).ref.family for choice in choices} == {"elastic", "darts"}
    for choice in choices:
        assert proposal_of(choice).network == choice["network"]


def test_a_choice_has_the_fields_of_committed_ones(bench: Bench) -> None:
    committed = next(COMMITTED.below("choices"))
    assert set(CHOOSE.run(bench)) == {*committed, "budget"} - environment().keys()


@pytest.mark.long
def test_a_fine_tune_is_that_of_the_recipe(bench: Bench) -> None:
    chosen = proposal_of(CHOOSE.run(bench))
    run = FineTune(DEV_TASK, chosen, epochs=1, seed=2, images=30).run(bench)
    task = drawn_task(DEV_TASK, "three", seed=3).limited(30)
    tuned = finetune(chosen.load(bench.zoo, 3, 2), task, 32, plain(1, seed=2))
    assert run["accuracy"] == tuned.test_accuracy
    assert [line["epoch"] for line in run["history"]] == [e.epoch for e in tuned.history]


def test_the_shipped_recipe_says_itself_how_long(bench: Bench) -> None:
    proposal = proposal_of(CHOOSE.run(bench))
    job = FineTune(DEV_TASK, proposal, SHIPPED, seed=2)
    assert job.recipe == Recipe(seed=2)
    assert job.name.endswith("-n300-shipped-r0.03-s2")
    assert replace(job, epochs=5).recipe == plain(5, seed=2)


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
        replace(run, epochs=SHIPPED),
        replace(run, seed=1),
        replace(run, images=100),
        replace(run, learning_rate=0.1),
        replace(run, proposal=replace(proposal, fit_head=False)),
    ]
    assert len({job.name for job in (run, *others)}) == 1 + len(others)


def test_an_unknown_method_is_an_error(bench: Bench) -> None:
    with pytest.raises(InputError, match="no method 'best'"):
        Choose(DEV_TASK, "best").run(bench)


def test_a_search_of_the_full_budget_is_another_result(bench: Bench) -> None:
    small = Choose(DEV_TASK, "imagenet", images=30)
    full = replace(small, budget="full")
    bench.results.write(small.name, small.run(bench))
    assert small.done(bench)
    assert not full.done(bench)
    bench.results.write(full.name, full.run(bench))
    assert full.done(bench)
    stored = [bench.results.read(job.name) for job in (small, full)]
    assert [result and result["budget"] for result in stored] == ["small", "full"]


def test_names_without_a_budget_are_of_the_small_one() -> None:
    assert Choose("digits", "ofa", "1M").name == "choices/digits/ofa-1M-n300-s0"
    assert Choose("digits", "ofa", "1M", budget="full").name.endswith("-full")


def test_what_an_older_version_chose_is_another_result(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.results.write(CHOOSE.name, CHOOSE.run(bench))
    assert CHOOSE.done(bench)
    newer = replace(METHODS["largest"], version=2)
    monkeypatch.setattr(entrants, "METHODS", {"largest": newer})
    assert CHOOSE.name == f"choices/{DEV_TASK}/largest@2-n300-s0"
    assert not CHOOSE.done(bench)
