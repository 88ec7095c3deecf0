"""What is expected of a proposal, learnt without kin of the task."""

from __future__ import annotations

import torch
from bench.tests.experiments.judged.test_methods import make_seen

from tans.meta.calibrator import Trials
from tans.meta.evidence import COLUMNS, angle
from tans_bench.experiments.judged.predict import evidence_of, without


def test_the_evidence_is_that_of_the_proposal() -> None:
    row = dict(zip(COLUMNS, evidence_of(make_seen(c=0.7, g=0.8))[0].tolist(), strict=True))
    assert row["probe"] == row["best probe"] == angle(0.7)  # g is not on the shortlist
    assert row["resolution"] == row["size"] == 0


def test_trials_of_kin_are_left_out() -> None:
    families = ("script", "textile", "icons", "textile")
    trials = Trials(
        torch.arange(16, dtype=torch.float64).view(4, 4),
        torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64),
        ("a", "b", "c", "d"),
        families,
        torch.ones(4, dtype=torch.float64),
    )
    kept = without(trials, frozenset({"textile", "textures"}))
    assert kept.families == ("script", "icons")
    assert kept.accuracy.tolist() == [0.1, 0.3]
    assert without(trials, frozenset()).targets == trials.targets
