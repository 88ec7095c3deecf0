"""The published settings, for two steps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from bench.tests.conftest import run_and_draw

from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Table
from tans_bench.runs.experiment import Fixed
from tans_bench.studies import paper_preset
from tans_bench.studies.paper_preset import EXPERIMENT, Published, synthetic


def test_both_loops_are_timed_and_the_zoo_is_searched(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("TASKS", 12), ("NETWORKS", 3), ("IMAGES", 10), ("FEATURES", 16)):
        monkeypatch.setattr(paper_preset, name, value)
    small = replace(EXPERIMENT, plan=Fixed((Published(steps=2, loop_steps=1),)))
    speed, ranks = run_and_draw(small, bench, tmp_path)
    assert isinstance(speed, Table)
    assert speed.rows[0][0] == "this library"
    assert all(float(row[1]) >= 0 for row in speed.rows)
    assert isinstance(ranks, Table)
    assert {"entries", "tasks"} <= {row[0] for row in ranks.rows}


@pytest.mark.long
def test_synthetic_tasks_are_as_large_as_the_papers() -> None:
    data = synthetic()
    assert (len(data.tasks), len(data.entries)) == (140, 14_000)
    assert data.parts["functional"].shape == (14_000, 1536)
