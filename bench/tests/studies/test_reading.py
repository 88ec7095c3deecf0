"""Photographs are drawn, read and timed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tans_bench.runs.drawing import Table
from tans_bench.runs.results import Results
from tans_bench.studies.reading import CLASSES, EXPERIMENT, photographs
from tans_bench.studies.scripts.read_folder import RESOLUTIONS


@pytest.mark.long
def test_the_script_times_each_step(tmp_path: Path) -> None:
    photographs(tmp_path, count=6 * CLASSES)
    script = EXPERIMENT.plan.timed.script
    done = subprocess.run(
        [sys.executable, script, tmp_path], capture_output=True, text=True, check=True
    )
    seconds = json.loads(done.stdout)
    assert list(seconds) == ["from_folder", *(f"look_{r}" for r in RESOLUTIONS), "whole"]
    assert all(value > 0 for value in seconds.values())


def test_the_table_tells_both_sources(tmp_path: Path) -> None:
    results = Results(tmp_path)
    assert not EXPERIMENT.draw(results)
    seconds = {"before": {"whole": 3.0}, "now": {"whole": 2.0}}
    results.write(
        "reading", {"rounds": 3, "seconds": seconds, "times_as_fast": {"whole": 1.5}, "commits": {}}
    )
    (table,) = EXPERIMENT.draw(results)
    assert isinstance(table, Table)
    assert table.rows == [["whole", "3.00", "2.00", "1.50"]]
