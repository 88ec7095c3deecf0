from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from tans.errors import InputError, ZooError
from tans.meta.calibrator import (
    COVERAGE,
    FILE,
    Calibrator,
    Trials,
    fit_calibrator,
    predict_left_out,
)
from tans.meta.evidence import COLUMNS, share

GROUPS = 100


def _trials(families: int, noise: float, seed: int = 0, each: int = 4, rows: int = 6) -> Trials:
    """Fine-tunes whose angles follow the probe, off by a target's own luck."""
    generator = torch.Generator().manual_seed(seed)
    n = families * each * rows
    evidence = 0.2 * torch.randn(n, len(COLUMNS), dtype=torch.float64, generator=generator)
    luck = noise * torch.randn(families * each, dtype=torch.float64, generator=generator)
    angles = 0.8 + 0.8 * evidence[:, 0] - 0.4 * evidence[:, 3] + luck.repeat_interleave(rows)
    return Trials(
        evidence,
        share(angles),
        tuple(f"task {k // rows}" for k in range(n)),
        tuple(f"family {k // (rows * each)}" for k in range(n)),
        torch.full((n,), GROUPS, dtype=torch.float64),
    )


def test_a_rule_that_is_linear_in_angles_is_found() -> None:
    trials = _trials(families=6, noise=0.0)
    judge = fit_calibrator(trials)
    assert judge.trials == len(trials.accuracy)
    assert torch.allclose(judge.predict(trials.evidence), trials.accuracy, atol=0.03)
    assert judge.weights[0] == pytest.approx(0.8, abs=0.05)
    assert judge.weights[3] == pytest.approx(-0.4, abs=0.05)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_interval_holds_new_tasks_at_its_rate(seed: int) -> None:
    judge = fit_calibrator(_trials(families=10, noise=0.1, seed=seed))
    new = _trials(families=50, noise=0.1, seed=100 + seed)
    low, high = judge.interval(new.evidence, GROUPS)
    inside = ((low <= new.accuracy) & (new.accuracy <= high)).double().mean().item()
    assert COVERAGE - 0.08 < inside < 0.995
    assert (low < judge.predict(new.evidence)).all()
    assert (judge.predict(new.evidence) < high).all()


def test_a_family_is_predicted_without_its_own_trials() -> None:
    trials = _trials(families=5, noise=0.1)
    own = torch.tensor([family == "family 2" for family in trials.families])
    spoilt = Trials(
        trials.evidence,
        torch.where(own, 0.01, trials.accuracy),
        trials.targets,
        trials.families,
        trials.groups,
    )
    before, after = (predict_left_out(t, strength=1.0)[own] for t in (trials, spoilt))
    assert torch.equal(before, after)


def test_few_families_make_an_interval_wide() -> None:
    few, many = (
        [fit_calibrator(_trials(families, noise=0.1, seed=seed)).margin for seed in range(5)]
        for families in (3, 10)
    )
    assert sum(few) > 1.3 * sum(many)


def test_without_a_margin_there_is_no_bound() -> None:
    low, high = Calibrator((0.0,) * len(COLUMNS), (0.1,) * len(COLUMNS), 0.5, 1.0).interval(
        torch.zeros(1, len(COLUMNS), dtype=torch.float64), 5
    )
    assert (low.item(), high.item()) == (0.0, 1.0)


def test_all_targets_count_alike_in_the_margin() -> None:
    trials = _trials(families=6, noise=0.1)
    first = torch.tensor([target == "task 0" for target in trials.targets])
    told = torch.cat([torch.arange(len(first)), first.nonzero().flatten().repeat(9)])
    again = Trials(
        trials.evidence[told],
        trials.accuracy[told],
        tuple(trials.targets[row] for row in told.tolist()),
        tuple(trials.families[row] for row in told.tolist()),
        trials.groups[told],
    )
    margin = fit_calibrator(trials).margin
    assert fit_calibrator(again).margin == pytest.approx(margin, rel=0.1)


def test_a_target_of_few_groups_has_little_say() -> None:
    trials = _trials(families=4, noise=0.0)
    odd = torch.tensor([target == "task 0" for target in trials.targets])
    accuracy = torch.where(odd, 0.999, trials.accuracy)
    levels = []
    for groups in (2.0, 300.0):
        there = torch.where(odd, groups, trials.groups)
        judge = fit_calibrator(
            Trials(trials.evidence, accuracy, trials.targets, trials.families, there)
        )
        levels.append(judge.predict(trials.evidence[~odd]) - trials.accuracy[~odd])
    few, many = (level.mean().item() for level in levels)
    assert 0 < few < 0.2 * many


def test_few_groups_make_an_interval_wide() -> None:
    judge = fit_calibrator(_trials(families=10, noise=0.1))
    row = torch.full((1, len(COLUMNS)), 0.1, dtype=torch.float64)
    widths = [float(high - low) for low, high in (judge.interval(row, n) for n in (3, 30, 3000))]
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > 2 * widths[2]


def test_two_families_are_too_few() -> None:
    with pytest.raises(InputError, match="2 families.*at least 3"):
        fit_calibrator(_trials(families=2, noise=0.1))


def test_saving_and_loading_changes_nothing(tmp_path: Path) -> None:
    judge = fit_calibrator(_trials(families=4, noise=0.05))
    judge.save(tmp_path / "retrieval")
    assert Calibrator.load(tmp_path / "retrieval") == judge
    assert Calibrator.load(tmp_path) is None


@pytest.mark.parametrize(
    "wrong",
    ["nonsense", "{}", '{"schema": 3, "columns": []}', '{"schema": 1}', '{"schema": 99}', "[1]"],
)
def test_a_damaged_file_is_one_clear_error(tmp_path: Path, wrong: str) -> None:
    (tmp_path / FILE).write_text(wrong)
    with pytest.raises(ZooError, match="tans train"):
        Calibrator.load(tmp_path)


def test_the_file_names_its_columns(tmp_path: Path) -> None:
    fit_calibrator(_trials(families=4, noise=0.05)).save(tmp_path)
    assert tuple(json.loads((tmp_path / FILE).read_text())["columns"]) == COLUMNS


def test_a_file_of_the_schema_before_gives_the_same_intervals(tmp_path: Path) -> None:
    fields = {
        "schema": 2,
        "columns": COLUMNS,
        "mean": (1.0, 1.1, 0.0, -0.2),
        "weights": (0.1, 0.8, 0.1, 0.02),
        "bias": 1.1,
        "strength": 0.3,
        "margin": 1.5,
        "trials": 89,
    }
    (tmp_path / FILE).write_text(json.dumps(fields))
    judge = Calibrator.load(tmp_path)
    assert judge is not None
    at = torch.tensor([[1.0, 1.1, 0.0, -0.2]], dtype=torch.float64)
    low, high = judge.interval(at, 100)
    off = 1.5 * math.sqrt(0.1**2 + 1 / 100)
    assert low.item() == pytest.approx(math.sin(1.1 - off) ** 2)
    assert high.item() == pytest.approx(math.sin(1.1 + off) ** 2)
