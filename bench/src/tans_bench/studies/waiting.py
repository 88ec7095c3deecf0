"""How threads should wait for each other: by spinning long, as OpenMP has it, by spinning for a few
microseconds, as tans has it, or asleep.

A look and steps of a fine-tune on all threads of the processor, with the machine to themselves and
beside a busy process for each core.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from tans import SPINS
from tans.search.look import IMAGES
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Drawing, Table
from tans_bench.runs.experiment import Experiment, Fixed
from tans_bench.runs.results import LINES, Result, Results
from tans_bench.runs.scripts import printed
from tans_bench.studies.scripts import waited

RUNS = "waiting"
TURNS = 7
STEPS = 5
SPINNING = "spin as OpenMP has it"
WAYS: Mapping[str, Mapping[str, str]] = {
    SPINNING: {},
    "spin as tans has it": {"GOMP_SPINCOUNT": SPINS},
    "sleep": {"OMP_WAIT_POLICY": "PASSIVE"},
}
"""What each is in the environment, where nothing else is said of threads."""
WORKS = {"look": f"a look at {IMAGES} images", "steps": f"{STEPS} steps of a fine-tune"}
LONGEST_S = 900


@dataclass(frozen=True)
class Waited:
    """Time both works with threads that wait each way, in turns."""

    beside: int
    """Busy processes for each core."""
    images: int = IMAGES
    """Of a look."""
    steps: int = STEPS
    """Of a fine-tune."""
    rounds: int = 3
    """In each process, the first of which warms up."""

    @property
    def name(self) -> str:
        return f"{RUNS}{LINES}/{self.beside}"

    @property
    def task(self) -> str:
        """None in particular."""
        return ""

    def key(self) -> Result:
        return {"beside": self.beside}

    def done(self, bench: Bench) -> bool:
        return bench.results.find(RUNS, self.key()) is not None

    def run(self, bench: Bench) -> Result:
        del bench  # images are drawn
        cores = os.cpu_count() or 1
        taken: dict[str, list[Result]] = {way: [] for way in WAYS}
        with ExitStack() as stack:
            for _ in range(self.beside * cores):
                stack.enter_context(_busy())
            for _ in range(TURNS):
                for way, said in WAYS.items():
                    taken[way].append(self._timed(said))
        return {
            **self.key(),
            "cores": cores,
            **{
                work: {
                    way: round(statistics.median(each[work] for each in taken[way]), 4)
                    for way in WAYS
                }
                for work in WORKS
            },
        }

    def _timed(self, said: Mapping[str, str]) -> Result:
        """Seconds of each work."""
        plain = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_", "KMP_"))}
        return printed(
            waited.__file__,
            self.images,
            self.steps,
            self.rounds,
            environment=plain | dict(said),
            longest_s=LONGEST_S,
        )


@contextmanager
def _busy() -> Iterator[None]:
    """A process that never waits."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        try:
            yield
        finally:
            process.kill()


def draw(plan: Fixed, results: Results) -> Sequence[Drawing]:
    del plan  # whatever is stored
    rows = [
        [
            str(line["beside"]),
            way,
            *(f"{line[work][SPINNING] / line[work][way]:.2f}" for work in WORKS),
        ]
        for line in results.lines(RUNS)
        for way in WAYS
        if way != SPINNING
    ]
    caption = (
        "The zoo's largest network at 64 pixels on all threads of a processor, medians of "
        f"{TURNS} processes each, in turns. Times as fast as with threads that spin as OpenMP "
        "has it."
    )
    columns = ("busy processes for each core", "threads", *WORKS.values())
    return [Table("waits", caption, columns, rows)] if rows else []


EXPERIMENT = Experiment(
    name="waiting",
    title="How threads wait",
    question="How much sooner is work done where threads that wait for each other soon sleep?",
    plan=Fixed((Waited(0), Waited(1))),
    drawn=draw,
)
