"""Run what is missing of an experiment: resumable, side by side, a result file for each run."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path

from tans.build.crew import BuildProgress, Listener, side_by_side
from tans_bench.errors import ResultError
from tans_bench.runs.bench import Bench, Tasks
from tans_bench.runs.experiment import Experiment, P
from tans_bench.runs.jobs import Job

Place = tuple[Path, Path, Tasks]
"""Folders of results and zoo, and the tasks: what opens a bench in another process."""


def run_experiment(
    experiment: Experiment[P],
    bench: Bench,
    *,
    workers: int = 1,
    on_progress: Listener | None = None,
) -> int:
    """Do the jobs whose results are not stored; return how many there were.

    Args:
        bench: where results are kept, and what jobs are given.
        workers: processes side by side.
        on_progress: told after every job.

    Raises:
        ResultError: a job ended and its result does not count as done.
    """
    total = 0
    place = bench.results.folder, bench.zoo.path, bench.tasks
    while missing := _missing(experiment, bench):
        side_by_side(
            partial(_do, place), missing, workers, _counted(on_progress, total, len(missing))
        )
        total += len(missing)
        if still := [job.name for job in missing if not job.done(bench)]:
            raise ResultError(f"{still[0]} was run and is not done; delete its file and run again")
    return total


def _missing(experiment: Experiment[P], bench: Bench) -> Sequence[Job]:
    """Jobs to do now, those of a task one after another, so that it is read once."""
    found = [job for job in experiment.plan.jobs(bench) if not job.done(bench)]
    return sorted(found, key=lambda job: job.task)


def _do(place: Place, job: Job, *, on_progress: Listener | None) -> None:
    bench = _bench(*place)
    bench.results.write(job.name, job.run(bench))
    if on_progress:
        on_progress(BuildProgress(job.name, "run", 1, 1))


@lru_cache(maxsize=1)
def _bench(results: Path, zoo: Path, tasks: Tasks) -> Bench:
    """Kept between the jobs of a process, with the networks that were read."""
    return Bench.open(results, zoo, tasks)


def _counted(on_progress: Listener | None, before: int, now: int) -> Listener:
    """Counts the jobs that have ended, whichever they are."""
    ended = 0

    def listen(progress: BuildProgress) -> None:
        nonlocal ended
        ended += 1
        if on_progress:
            on_progress(BuildProgress(progress.task, "run", before + ended, before + now))

    return listen
