"""What a card does, measured in little on the processor."""

from __future__ import annotations

from pathlib import Path

import pytest

from tans.networks.families.elastic.specification import LITE0, ref_of
from tans_bench.runs.bench import Bench
from tans_bench.runs.experiment import Fixed
from tans_bench.runs.results import Results
from tans_bench.runs.runner import run_experiment
from tans_bench.studies import gpu

TINY = gpu.Sizes(
    networks=(ref_of(LITE0.smallest, 32),),
    batches=(4,),
    seconds=0.01,
    images=60,
    epochs=1,
    looks=2,
    supernets=1,
    features=(20, 30),
    meta_steps=3,
)


def test_nothing_is_drawn_where_no_card_was_measured(tmp_path: Path) -> None:
    assert gpu.EXPERIMENT.draw(Results(tmp_path)) == []


def test_the_task_has_three_kinds_of_bars() -> None:
    task = gpu.drawn(30)
    assert task.classes == ("across", "down", "both")
    images, labels = task.split("train", 64)
    assert images.shape[1:] == (3, 64, 64)
    assert set(labels.tolist()) == {0, 1, 2}


@pytest.mark.slow
def test_all_of_it_is_measured_once_and_drawn(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TANS_DEVICE", "cpu")
    plan = Fixed((gpu.Measure(TINY),))
    experiment = gpu.Experiment("gpu", "", "", plan, gpu.draw)
    assert run_experiment(experiment, bench) == 1
    assert run_experiment(experiment, bench) == 0
    (line,) = bench.results.lines("gpu")
    assert line["name"] == "cpu"
    assert [each["way"] for each in line["speed"]] == list(gpu.WAYS[:2])
    assert line["looks"]["same"]
    assert line["tuning"]["same_twice"]
    assert line["tuning"]["accuracy"] == line["tuning"]["on_the_processor"]
    assert line["tuning"]["waits"] is None
    speed, together = experiment.draw(bench.results)
    assert len(speed.rows) == 2
    assert together.columns == ("measured", "cpu")
