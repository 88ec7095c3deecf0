"""The record of looks at sealed tasks, which are run once for a release."""

from __future__ import annotations

import datetime
from collections.abc import Iterable

from tans_bench.runs.results import LINES, Results
from tans_bench.runs.roles import SEALED

LOOKS = "sealed_looks"
"""Of its file among the results; a line for each time that sealed tasks are run."""


def log_look(results: Results, tasks: Iterable[str]) -> None:
    """Add a line if any of the tasks is sealed."""
    sealed = sorted(set(tasks) & set(SEALED))
    if sealed:
        today = datetime.date.today().isoformat()
        results.write(f"{LOOKS}{LINES}/{today}", {"when": today, "tasks": sealed})
