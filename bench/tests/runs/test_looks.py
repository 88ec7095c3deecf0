"""Looks at sealed tasks leave a line."""

from __future__ import annotations

from pathlib import Path

from bench.tests.conftest import DEV_TASK, SEALED_TASK

from tans_bench.runs.looks import LOOKS, log_look
from tans_bench.runs.results import Results


def test_only_sealed_tasks_are_recorded(tmp_path: Path) -> None:
    results = Results(tmp_path / "results")
    log_look(results, [DEV_TASK, ""])
    assert results.lines(LOOKS) == []
    log_look(results, [SEALED_TASK, DEV_TASK, SEALED_TASK])
    (line,) = results.lines(LOOKS)
    assert line["tasks"] == [SEALED_TASK]
    assert {"when", "torch", "threads"} <= line.keys()
