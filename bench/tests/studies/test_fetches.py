"""Which networks are worth fetching: what is run, and what is drawn of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bench.tests.conftest import run_and_draw

from tans.tasks.task import Task
from tans.zoo.zoo import Zoo
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Table
from tans_bench.runs.experiment import Fixed
from tans_bench.runs.results import Results
from tans_bench.studies import fetches
from tests.small_zoo import drawn_task

LOOKS = {
    "tf_efficientnet_lite2": (0.5, 0.5, 0.5, 0.50),
    "tf_efficientnet_lite1": (0.4, 0.9, 0.9, 0.90),
    "tf_efficientnet_lite0": (0.7, 0.6, 0.6, 0.60),
    "mobilenetv2_100": (0.6, 0.8, 0.8, 0.70),
}
"""Of each network three looks, and what the test then says."""


def _result(network: str) -> dict[str, Any]:
    *looks, accuracy = LOOKS[network]
    named = dict(zip(map(str, fetches.RUNGS), looks, strict=True))
    trial = {"task": "script-greek", "network": network, "size": 64, "images": 300}
    return {**trial, "looks": named, "accuracy": accuracy}


def test_halving_drops_what_the_first_look_says_least_of() -> None:
    runs = fetches.largest_first([_result(name) for name in reversed(LOOKS)])
    assert [run["network"] for run in runs] == list(LOOKS)
    assert fetches.by_size(runs, 4) == fetches.Fetched(0.5, 0)
    assert fetches.whole_looks(runs, 4) == fetches.Fetched(0.9, 4 * 300)
    assert fetches.halving(runs, 4) == fetches.Fetched(0.7, 4 * 75 + 2 * 150 + 300)
    assert fetches.halving(runs, 2) == fetches.Fetched(0.5, 2 * 75 + 150 + 300)
    assert fetches.at_best(runs, 4).accuracy == 0.9


def test_ways_are_compared_on_sets_of_all_networks(tmp_path: Path) -> None:
    results = Results(tmp_path)
    assert not fetches.EXPERIMENT.draw(results)
    for network in LOOKS:
        assert not fetches.EXPERIMENT.draw(results)
        trial = fetches.Trial("script-greek", network, 64)
        results.write(trial.name, _result(network))
    ways, networks = fetches.EXPERIMENT.draw(results)
    assert isinstance(ways, Table)
    assert isinstance(networks, Table)
    assert [row[4] for row in ways.rows] == ["50.0", "67.5", "90.0", "70.0", "90.0"]
    assert networks.rows == [["script-greek", "64", "50.0", "90.0", "60.0", "70.0", "20.0"]]


@pytest.mark.long
def test_a_trial_is_a_line_that_is_found_again(small_zoo: Zoo, tmp_path: Path) -> None:
    def drawn(name: str, images: int | None) -> Task:
        del images
        return drawn_task(name, "three", seed=3, n=300)

    bench = Bench(Results(tmp_path / "results"), small_zoo, drawn)
    trial = fetches.Trial("script-greek", "tf_efficientnet_lite0", 32)
    run_and_draw(replace(fetches.EXPERIMENT, plan=Fixed((trial,))), bench, tmp_path)
    (line,) = bench.results.lines(fetches.RUNS)
    assert set(line["looks"]) == set(map(str, fetches.RUNGS))
    assert line["accuracy"] > 0.9
    assert trial.done(bench)
