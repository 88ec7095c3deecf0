"""Networks in the order of the embeddings, and their fine-tunes."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench.tests.conftest import DEV_TASK

from tans_bench.runs.bench import Bench
from tans_bench.runs.experiment import Experiment
from tans_bench.runs.jobs import proposal_of
from tans_bench.runs.ranks import DRAWN, FARTHEST, NEAREST, Ranked
from tans_bench.runs.results import Results
from tans_bench.runs.runner import run_experiment

COMMITTED = Results(Path(__file__).parents[2] / "results")


@pytest.mark.long
def test_what_was_fine_tuned_is_found_by_place(bench: Bench) -> None:
    plan = Ranked((DEV_TASK,), epochs=0, nearest=3, farthest=2, drawn=2, images=30)
    experiment = Experiment("ranks", "Ranks", "How?", plan, drawn=lambda *_: [])
    assert run_experiment(experiment, bench) > 1
    found = plan.read(bench.results)[DEV_TASK]
    assert {place: len(runs) for place, runs in found.items()} == {
        NEAREST: 3,
        FARTHEST: 2,
        DRAWN: 2,
    }
    ranked = bench.results.read(plan.ranks()[0].name)
    assert ranked is not None
    committed = next(COMMITTED.below("ranks"))
    for network in (*ranked[NEAREST], *ranked[DRAWN]):
        assert proposal_of(network).network == network["network"]
        assert set(network) == set(committed[NEAREST][0])
    cosines = [run["similarity"] for run in found[NEAREST]]
    assert cosines == sorted(cosines, reverse=True)
    assert max(run["similarity"] for run in found[FARTHEST]) <= min(cosines)
    for run in found[DRAWN]:
        assert run["network"] in {entry.id for entry in bench.zoo.entries(vectors=False)}
        assert 0 <= run["accuracy"] <= 1
