"""What the judge is declared to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tans_bench.experiments.judged.experiment import EXPERIMENT
from tans_bench.experiments.judged.jobs import Frozen
from tans_bench.runs.bench import Bench
from tans_bench.runs.experiment import PRESETS


@pytest.mark.parametrize("preset", PRESETS)
def test_larger_images_are_looked_at_on_a_card_alone(preset: str, tmp_path: Path) -> None:
    jobs = EXPERIMENT.scaled(preset).plan.jobs(Bench.open(tmp_path))
    looks = [job for job in jobs if isinstance(job, Frozen)]
    assert {look.part for look in looks} == {"within"} | (set() if preset == "cpu" else {"beyond"})
    assert len({(look.cell, look.part) for look in looks}) == len(looks)
