"""Copies in tasks that were fetched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from bench.tests.conftest import run_and_draw

from tans.files import cache_dir
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Table
from tans_bench.runs.experiment import Fixed
from tans_bench.studies.copies import ALTERATIONS, EXPERIMENT, NOISE, Copies, fetched
from tests.small_zoo import drawn_task


@pytest.mark.long
def test_fetched_tasks_are_searched(bench: Bench, tmp_path: Path) -> None:
    task = drawn_task("digits", "one", seed=1)
    rows = torch.cat([torch.arange(len(task.labels)), torch.zeros(1, dtype=torch.long)])
    twice = replace(
        task,
        pixels=task.pixels.take(rows),
        labels=task.labels[rows],
        splits=task.splits[rows],
        groups=None,
        keys=None,
    )
    twice.save(cache_dir("tasks") / "digits")
    assert [task.name for task in fetched()] == ["digits"]
    small = replace(EXPERIMENT, plan=Fixed((Copies(("digits", NOISE)),)))
    shares, _, altered = run_and_draw(small, bench, tmp_path)
    stored = bench.results.read("copies")
    assert stored is not None
    assert stored["tasks"][0]["images"] == len(rows)
    assert stored["tasks"][0]["exact"] > 0
    assert isinstance(shares, Table)
    assert isinstance(altered, Table)
    assert [row[0] for row in altered.rows] == ["digits", NOISE]
    assert altered.columns == ("task", *ALTERATIONS)
    assert (tmp_path / "pairs.png").exists()
