"""How long a search takes for one user of a service, and for many who ask at once.

A service runs in a process of its own, as ``tans serve`` starts it. Threads send it the query of a
task, each as soon as its last answer came, and take the time of every answer.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import numpy as np

from tans.errors import ServiceError
from tans.search import embed
from tans.search.query import Query
from tans.web.client import Client
from tans_bench.errors import ResultError
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Drawing, Table
from tans_bench.runs.experiment import Experiment, Fixed
from tans_bench.runs.results import LINES, Result, Results

RUNS, TASK = "serving", "script-greek"
CLIENTS = (1, 10, 50)
REQUESTS = 400
"""In all."""
WARM = 5
"""Searches before, that are not timed."""
MAX_PARAMS = 3e6


@dataclass(frozen=True)
class Trial:
    """Ask a service at once, so many clients, until there are so many answers."""

    clients: int
    requests: int = REQUESTS

    @property
    def name(self) -> str:
        return f"{RUNS}{LINES}/{self.clients}"

    @property
    def task(self) -> str:
        return TASK

    def done(self, bench: Bench) -> bool:
        return bench.results.find(RUNS, asdict(self)) is not None

    def run(self, bench: Bench) -> Result:
        query = embed(bench.tasks(TASK, None), bench.zoo)
        with started(str(bench.zoo.path)) as client:
            for _ in range(WARM):
                client.search(query, max_params=MAX_PARAMS)
            began = time.perf_counter()
            found = ask(client, query, self.clients, self.requests)
            seconds = time.perf_counter() - began
        taken = [each for each in found if each is not None]
        p50, p99 = np.percentile(taken, [50, 99]).tolist()
        return {
            **asdict(self),
            "networks": len(bench.zoo.columns()),
            "cores": os.cpu_count(),
            "errors": self.requests - len(taken),
            "p50_s": round(p50, 4),
            "p99_s": round(p99, 4),
            "seconds": round(seconds, 2),
        }


@contextmanager
def started(zoo: str) -> Iterator[Client]:
    """A service over a zoo, in a process of its own; yields what asks it.

    Raises:
        ResultError: it does not start.
    """
    code = "if __name__ == '__main__': from tans.cli import main; main()"
    with tempfile.TemporaryDirectory() as folder:
        own = ("serve", "--port", "0", "--folder", folder, "--zoo", zoo)
        command = [sys.executable, "-c", code, *own]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        try:
            assert process.stderr is not None
            said = (re.search(r"serves at (\S+)", line) for line in process.stderr)
            url = next((found[1] for found in said if found), None)
            if url is None:
                raise ResultError("the service did not start; run 'tans serve' to see why")
            yield Client(url)
        finally:
            process.terminate()
            process.wait()


def ask(client: Client, query: Query, clients: int, requests: int) -> list[float | None]:
    """Seconds of each answer, None where there was an error, from so many clients at once."""

    def timed(_: int) -> float | None:
        began = time.perf_counter()
        try:
            client.search(query, max_params=MAX_PARAMS)
        except ServiceError:
            return None
        return time.perf_counter() - began

    with ThreadPoolExecutor(clients) as pool:
        return list(pool.map(timed, range(requests)))


def draw(plan: Fixed, results: Results) -> Sequence[Drawing]:
    del plan  # whatever is stored
    runs = sorted(results.lines(RUNS), key=lambda run: run["clients"])
    if not runs or runs[0]["clients"] != 1:
        return []
    alone = runs[0]["p50_s"]
    rows = [
        [
            str(run["clients"]),
            str(run["requests"]),
            str(run["errors"]),
            f"{run['p50_s'] / alone:.1f}",
            f"{run['p99_s'] / alone:.1f}",
            f"{run['requests'] / run['seconds'] * alone:.2f}",
        ]
        for run in runs
    ]
    caption = (
        f"Searches by an embedding among {runs[0]['networks']:,} networks over HTTP, in multiples "
        f"of the median for one client ({1e3 * alone:.0f} ms on {runs[0]['cores']} cores, shared "
        "with the clients): the median, the 99th percentile, and answers in the time of one."
    )
    columns = ("clients at once", "searches", "errors", "median", "99th percentile", "answers")
    return [Table("latency", caption, columns, rows)]


EXPERIMENT = Experiment(
    name=RUNS,
    title="A service for many at once",
    question=(
        "Fifty people search at the same moment. Is every one answered, and how much longer do "
        "they wait than one alone?"
    ),
    plan=Fixed(tuple(Trial(clients) for clients in CLIENTS)),
    drawn=draw,
)
