"""The record of looks at sealed tasks, which are run once for a release."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable

from tans_bench.runs.results import Results, environment
from tans_bench.runs.roles import SEALED

FILE = "sealed_looks.jsonl"
"""In the folder of the results; a line for each time that sealed tasks are run."""


def log_look(results: Results, tasks: Iterable[str]) -> None:
    """Add a line if any of the tasks is sealed."""
    sealed = sorted(set(tasks) & set(SEALED))
    if sealed:
        line = {"when": datetime.date.today().isoformat(), "tasks": sealed, **environment()}
        results.folder.mkdir(parents=True, exist_ok=True)
        with (results.folder / FILE).open("a") as file:
            file.write(json.dumps(line) + "\n")
