"""The trial of scores of strangeness: what is held out, what a score is worth, what is drawn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from bench.tests.conftest import run_and_draw
from hypothesis import given
from hypothesis import strategies as st

from tans_bench.runs.bench import Bench
from tans_bench.runs.experiment import Fixed
from tans_bench.runs.results import Results
from tans_bench.studies import novelty
from tests.small_zoo import drawn_task


def test_each_seed_holds_out_other_classes() -> None:
    task = replace(drawn_task("red", "one", n=90), classes=tuple("abc"))
    assert novelty.held_out(task, 0) == [0]
    assert novelty.held_out(task, 1) == [1]
    rest = novelty.only(task, [0, 2])
    assert rest.classes == ("a", "c")
    assert len(rest) == 60
    kept = (task.labels != 1).nonzero()[:, 0]
    assert (rest.labels == task.labels[kept] // 2).all()
    assert (rest.pixels.at(8) == task.pixels.at(8)[kept]).all()
    assert (rest.splits == task.splits[kept]).all()


@given(st.lists(st.integers(0, 9), min_size=1), st.lists(st.integers(0, 9), min_size=1))
def test_the_area_is_the_share_of_pairs_in_order(known: list[int], unknown: list[int]) -> None:
    pairs = [(u > k) + (u == k) / 2 for u in unknown for k in known]
    found = novelty.auroc(torch.tensor(known).float(), torch.tensor(unknown).float())
    assert found == pytest.approx(sum(pairs) / len(pairs))


def seen(n: int, centre: float, seed: int) -> novelty.Seen:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(n, 6, generator=generator)
    features[:, 0] += centre * (1 - 2 * (torch.arange(n) % 2))
    return novelty.Seen(features[:, :1] * torch.tensor([[1.0, -1.0]]), features)


@pytest.mark.parametrize("name", novelty.SCORES)
def test_every_score_finds_what_lies_far_off_or_between(name: str) -> None:
    known = [seen(200, 4, seed) for seed in range(3)]
    learnt = novelty.Learnt(known[0], torch.arange(200) % 2, known[1])
    far = seen(200, 0, 9)
    far.features[:, 1:] *= 5
    strange = {"val": known[1], "test": known[2], "near": seen(200, 0, 8), "far": far}
    found = novelty.judge({k: novelty.SCORES[name](each, learnt) for k, each in strange.items()})
    assert found["false_alarms"] < 0.15
    assert max(found["auroc_near"], found["auroc_far"]) > 0.8


def test_means_over_runs_are_drawn(tmp_path: Path) -> None:
    results = Results(tmp_path)
    keys = ("auroc_near", "auroc_far", "false_alarms", "found_near", "found_far")
    for seed, share in ((0, 0.5), (1, 0.7)):
        trial = novelty.Trial("script-greek", seed)
        scores = {name: dict.fromkeys(keys, share) for name in novelty.SCORES}
        line = {"accuracy": 0.9, "images": {"val": 80 + seed}, "scores": scores}
        results.write(trial.name, {**vars(trial), **line})
    overall, tasks = novelty.EXPERIMENT.draw(results)
    assert "2 runs on 1 tasks" in overall.caption
    assert "80 to 81 validation images" in overall.caption
    assert overall.rows[0][1:] == ["60.0", "60.0", "60.0", "50.0-70.0", "60.0", "60.0"]
    assert tasks.rows == [["script-greek", "90", *["60 / 60"] * len(novelty.SCORES)]]
    assert not novelty.EXPERIMENT.draw(Results(tmp_path / "none"))


@pytest.mark.slow
def test_a_trial_is_a_line_that_is_found_again(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(novelty, "STEPS", 5)
    monkeypatch.setattr(novelty, "RATE", 0.5)  # for few validation images
    monkeypatch.setattr(novelty, "TASKS", ("flags", "digits"))
    trial = novelty.Trial("flags")
    small = replace(novelty.EXPERIMENT, plan=Fixed((trial,)))
    run_and_draw(small, bench, tmp_path)
    (line,) = bench.results.lines(novelty.RUNS)
    assert line["scores"].keys() == novelty.SCORES.keys()
    assert trial.done(bench)
    assert not replace(trial, seed=1).done(bench)
