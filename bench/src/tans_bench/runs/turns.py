"""Time a script on this source of tans, and by turns on an earlier one."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import tans
from tans.errors import InputError
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Table
from tans_bench.runs.experiment import Experiment
from tans_bench.runs.jobs import Job
from tans_bench.runs.results import Result

SOURCE = Path(tans.__file__).parents[1]
NOW, BEFORE = "now", "before"
NONE = "–"  # noqa: RUF001
Seconds = Mapping[str, float]
"""Of each step."""


@dataclass(frozen=True)
class Timed:
    """Run a script several times, each in a process of its own."""

    name: str
    """Of the result."""
    script: Path
    """Knows nothing of tans-bench, takes a folder, and prints seconds of its steps as JSON."""
    draw: Callable[[Path], None]
    """Fills the folder."""
    rounds: int
    against: Path | None = None
    """The ``src`` of an earlier checkout, which takes turns with this one."""
    task: str = ""
    """None in particular."""

    def done(self, bench: Bench) -> bool:
        stored = bench.results.read(self.name)
        if stored is None or self.against is None:
            return stored is not None
        return stored.get("commits", {}).get(BEFORE) == commit(self.against)

    def run(self, bench: Bench) -> Result:
        del bench  # the script reads what it is given
        with TemporaryDirectory() as folder:
            self.draw(Path(folder))
            found = in_turns([str(self.script), folder], self.against, self.rounds)
        seconds = {version: _medians(runs) for version, runs in found.items()}
        result: dict[str, Any] = {
            "rounds": self.rounds,
            "commits": {NOW: commit(SOURCE)},
            "seconds": seconds,
        }
        if self.against is None:
            return result
        now, before = seconds[NOW], seconds[BEFORE]
        result["commits"][BEFORE] = commit(self.against)
        return {**result, "times_as_fast": {k: round(before[k] / now[k], 2) for k in now}}


@dataclass(frozen=True)
class Turns:
    """A plan of one script."""

    timed: Timed

    def jobs(self, bench: Bench) -> Sequence[Job]:
        del bench  # nothing follows from what is stored
        return [self.timed]

    def scaled(self, preset: str) -> Turns:
        del preset
        return self


def compared(experiment: Experiment[Any], against: Path) -> Experiment[Any]:
    """The same measurement, with the ``src`` of an earlier checkout in turns.

    Raises:
        InputError: there is no such source, or it is no measurement of speed.
    """
    plan = experiment.plan
    if not isinstance(plan, Turns):
        raise InputError(
            f"{experiment.name} compares no earlier source; run it without '--against'"
        )
    if not (against / "tans").is_dir():
        raise InputError(f"no package tans in {against}; expected the 'src' of a checkout")
    timed = replace(plan.timed, against=against.resolve())
    return replace(experiment, plan=Turns(timed))


def table(stored: Result, caption: str) -> Table:
    """Seconds of each step, and how many times as fast this source is where another was timed."""
    versions = [version for version in (BEFORE, NOW) if version in stored["seconds"]]
    rows = [
        [
            step,
            *(f"{stored['seconds'][version][step]:.2f}" for version in versions),
            f"{stored['times_as_fast'][step]:.2f}" if BEFORE in versions else NONE,
        ]
        for step in stored["seconds"][NOW]
    ]
    columns = (f"{version} (s)" for version in versions)
    return Table("seconds", caption, ("step", *columns, "times as fast"), rows)


def in_turns(command: Sequence[str], against: Path | None, rounds: int) -> dict[str, list[Seconds]]:
    """What each run prints in its last line, by version.

    Args:
        command: a script and its arguments.
        against: the ``src`` of an earlier checkout; None runs this one alone.
        rounds: runs of each.
    """
    sources = {NOW: SOURCE} if against is None else {BEFORE: against, NOW: SOURCE}
    found: dict[str, list[Seconds]] = {version: [] for version in sources}
    for round_ in range(rounds):
        for version, source in list(sources.items())[:: -1 if round_ % 2 else 1]:
            done = subprocess.run(
                [sys.executable, *command],
                env={**os.environ, "PYTHONPATH": str(source)},
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            found[version].append(json.loads(done.stdout.splitlines()[-1]))
    return found


def _medians(runs: Sequence[Seconds]) -> Seconds:
    return {step: round(statistics.median(run[step] for run in runs), 4) for step in runs[0]}


def commit(source: Path) -> str:
    """Of a checkout, short, with ``+`` where files differ from it; empty where it is none."""
    run = ["git", "-C", str(source), "describe", "--always", "--dirty=+", "--exclude=*"]
    return subprocess.run(run, capture_output=True, text=True, check=False).stdout.strip()
