"""What a cluster exchanges with a zoo at an address, and what that costs with a thousand workers.

Measured are bytes of each pair, and seconds of a commit, with a server of S3 on this machine, whose
answers come at once; and looks and meta-training on Ray workers. What a distant store adds is
simulated from the time that Amazon says S3 takes to answer.
"""

from __future__ import annotations

import logging
import os
import pickle
import socket
import statistics
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import product
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import fsspec

from tans.build.cluster import Resources, connected
from tans.meta.data import MetaData
from tans.meta.presets import get_preset
from tans.meta.train import meta_train
from tans.plugins import library
from tans.search.look import second_look
from tans.tasks.task import Task
from tans.zoo.building import Site, worked_on
from tans.zoo.shared import TRAFFIC, Traffic
from tans.zoo.sharing import push_zoo
from tans.zoo.zoo import Zoo
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Drawing, Table
from tans_bench.runs.experiment import Experiment, Fixed
from tans_bench.runs.results import Result, Results
from tans_bench.studies.ray_simulation import Costs, Scale, simulate
from tans_bench.studies.ray_speedup import EXPERIMENT as SHARED_FOLDER
from tans_bench.studies.ray_speedup import FINE_TUNED, _candidates, _started

NAME, PIECES = "ray_store", "ray_pieces"
ADDRESS = "s3://shelf/zoo"
TASKS = ("script-telugu", "script-sinhala", "silhouettes", "textile")
COMMITS = (8, 256)
REPEATS = 3
LOOKS, MEMBERS, STEPS = 8, 4, 30
"""Networks that are looked at; an ensemble, and steps of each member."""
REQUEST_S = (0.0, 0.15)
"""Seconds until a store answers: at once, and between the 100 and 200 ms that Amazon gives for
small objects (its guide to S3, "Best practices design patterns: optimizing performance")."""
NODE_BYTES_PER_S = 1.25e9
"""Of a line of 10 Gbit/s."""
MOST_GETS, MOST_PUTS = 5500, 3500
"""A second, of one prefix of S3, by the same page."""
ROUNDS = 6
"""Requests one after another of a commit: files and lists side by side, HEAD, HEAD and GET of the
index, HEAD, PUT."""
LOG_FILES = 8
"""That a batch's ledger and costs add to a commit: four for each table."""
CLUSTERS = ((10, 1), (100, 10), (1000, 100))


@dataclass(frozen=True)
class AtAnAddress:
    """Measure what pairs and commits exchange and take, and simulate builds."""

    tasks: tuple[str, ...]
    """Source tasks of the zoo."""
    pairs: int = 16
    name: str = NAME
    task: str = ""
    """None in particular."""

    def done(self, bench: Bench) -> bool:
        return bench.results.read(self.name) is not None

    def run(self, bench: Bench) -> Result:
        tasks = [bench.tasks(name, None) for name in self.tasks]
        with _server():
            push_zoo(bench.zoo, ADDRESS)
            with worked_on(ADDRESS) as site:
                exchanged = self._exchanged(site.zoo, tasks)
                commits = {str(count): _commit(site, count) for count in COMMITS}
        shared = bench.results.read(SHARED_FOLDER.name)
        return {
            "exchanged": exchanged,
            "commits": commits,
            "simulated": list(_simulated(shared, exchanged, commits)) if shared else [],
        }

    def _exchanged(self, zoo: Zoo, tasks: Sequence[Task]) -> dict[str, float]:
        """Of a pair, when its task is new to a node, and again."""
        candidates = _candidates(zoo, tasks, self.pairs)
        with _started(1), connected("auto", Resources()) as crew:
            before, rounds = TRAFFIC - Traffic(), list[Traffic]()
            for _ in range(2):
                entries = [done.entry for done in crew.measure(zoo, candidates)]
                rounds.append(crew.traffic)
            packed = TRAFFIC - before
            again = rounds[1] - rounds[0]
            source = crew._source(zoo, candidates[0])
        count = len(tasks)
        return {
            "pairs": len(candidates),
            "driver_put_bytes_a_task": packed.written_bytes / count,
            "worker_get_bytes_a_task": rounds[0].read_bytes / count,
            "worker_gets_a_task": rounds[0].reads / count,
            "worker_get_bytes_again": again.read_bytes,
            "worker_put_bytes": rounds[1].written_bytes,
            "sent_bytes": len(pickle.dumps((source, candidates[0].ref))),
            "answered_bytes": statistics.fmean(len(pickle.dumps(entry)) for entry in entries),
        }


@dataclass(frozen=True)
class Pieces:
    """Time looks and the members of an ensemble on Ray."""

    source: str
    """Task that is looked for."""
    workers: tuple[int, ...] = (1, 2)
    name: str = PIECES
    task: str = ""
    """None in particular."""

    def done(self, bench: Bench) -> bool:
        return bench.results.read(self.name) is not None

    def run(self, bench: Bench) -> Result:
        task = bench.tasks(self.source, None)
        looks = {"looks": self._timed(lambda crew: _look(bench.zoo, task, crew))}
        return looks | {"members": self._timed(lambda crew: _members(bench.zoo, crew))}

    def _timed(self, work: Callable[[Any], object]) -> dict[str, dict[str, float]]:
        """Processor seconds on so many workers: of all, of the busiest, and of this process."""
        found = {}
        for workers in self.workers:
            with _started(workers), connected("auto", Resources()) as crew:
                counting, began = Counting(crew), time.process_time()
                work(counting)
                own = time.process_time() - began
            spent = list(counting.seconds.values())
            numbers = {"all": sum(spent), "busiest": max(spent), "driver": own}
            found[str(workers)] = {name: round(each, 2) for name, each in numbers.items()}
        return found


class Counting:
    """A crew that counts the processor seconds of each of its workers; other load changes little.

    Args:
        crew: that does the work.
    """

    def __init__(self, crew: Any) -> None:
        self._crew = crew
        self.seconds: dict[int, float] = {}
        """By process."""

    def each(
        self, work: Any, items: Any, on_progress: Any = None
    ) -> Generator[tuple[int, Any], None, None]:
        answers = self._crew.each(partial(_counted, work), items, on_progress)
        for number, (result, process, seconds) in answers:
            self.seconds[process] = self.seconds.get(process, 0.0) + seconds
            yield number, result


def _counted(work: Any, item: Any, *, on_progress: Any) -> tuple[Any, int, float]:
    """On a worker: the result, and who spent how many seconds on it."""
    began = time.process_time()
    result = work(item, on_progress=on_progress)
    return result, os.getpid(), time.process_time() - began


@contextmanager
def _server() -> Iterator[None]:
    """Of S3, on this machine, with a bucket; what is read of it is not yet in tans's cache."""
    moto: Any = library("moto.server", "test")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    given = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    running = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    with TemporaryDirectory() as cache, mock.patch.dict(os.environ, given, TANS_CACHE=cache):
        running.start()
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        fsspec.filesystem("s3").clear_instance_cache()
        fsspec.filesystem("s3").mkdir("shelf")
        yield
        running.stop()


def _commit(site: Site, count: int) -> dict[str, float]:
    """Seconds of adding so many entries and of publishing them, and what that writes."""
    entries = site.zoo.entries()[:count]
    added, published, before = [], [], TRAFFIC - Traffic()
    for k in range(REPEATS):
        rows = [replace(e, id=f"{e.id}-{count}-{k}") for e in entries]  # as new pairs have
        added.append(_seconds(partial(site.zoo.add_entries, rows)))
        published.append(_seconds(site.publish))
    sent = TRAFFIC - before
    return {
        "add_s": statistics.median(added),
        "publish_s": statistics.median(published),
        "files": sent.writes / REPEATS,
        "bytes": sent.written_bytes / REPEATS,
    }


def _look(zoo: Zoo, task: Task, crew: Any) -> object:
    entries = [e for e in zoo.entries(vectors=False) if e.resolution == zoo.resolution]
    return second_look(task, zoo, entries[:: len(entries) // LOOKS][:LOOKS], crew)


def _members(zoo: Zoo, crew: Any) -> object:
    settings = replace(get_preset("default"), members=MEMBERS, steps=STEPS, evaluate_every=0)
    return meta_train(MetaData.from_zoo(zoo), settings, crew=crew)


def _seconds(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return round(time.perf_counter() - began, 3)


def _simulated(
    shared: Result, exchanged: Mapping[str, float], commits: Mapping[str, Mapping[str, float]]
) -> Iterator[dict[str, Any]]:
    """Builds with a store that answers at once, and with one that takes its time."""
    known = {**shared["costs"], "pair_s": shared["ray_1"]["pair_s"]}
    few, many = (commits[str(count)] for count in COMMITS)
    row = max(many["publish_s"] - few["publish_s"], 0.0) / (COMMITS[1] - COMMITS[0])
    fetched = exchanged["worker_get_bytes_a_task"] - known["read_bytes"]
    at_once = replace(
        Costs(**known),
        commit_s=known["commit_s"] + few["publish_s"] - COMMITS[0] * row,
        commit_row_s=known["commit_row_s"] + row,
        images_bytes=round(max(fetched, 0.0)),
        reads=2 * round(exchanged["worker_gets_a_task"]),  # HEAD and GET
        node_bytes_per_s=NODE_BYTES_PER_S,
        commit_rounds=ROUNDS,
        commit_writes=round(few["files"]) + LOG_FILES,
    )
    slower = FINE_TUNED / statistics.fmean(known["pair_s"])
    pairs = (("measured", 1.0), ("fine-tuned", slower))
    for (workers, nodes), (name, times), answers in product(CLUSTERS, pairs, REQUEST_S):
        scale = Scale(workers, nodes, batch=max(8, workers), slower=times)
        found = simulate(replace(at_once, request_s=answers), scale)
        numbers = {key: float(f"{value:.4g}") for key, value in found.items()}
        yield {"pair": name, "request_s": answers, **asdict(scale), **numbers}


def draw(plan: Fixed, results: Results) -> Sequence[Drawing]:
    del plan  # one result
    stored = results.read(NAME)
    if not stored:
        return []
    pieces = results.read(PIECES)
    times = [_times(pieces)] if pieces else []
    return [_bytes(stored), *times, _simulations(stored["simulated"])]


def _bytes(stored: Result) -> Table:
    told, commits = stored["exchanged"], stored["commits"]
    rows = [
        ["images of a task", "driver to store, once", told["driver_put_bytes_a_task"]],
        [
            "weights, sheet and images of a task",
            "store to node, once",
            told["worker_get_bytes_a_task"],
        ],
        ["a pair of a task that is known", "store to node", told["worker_get_bytes_again"]],
        ["a pair", "driver to worker", told["sent_bytes"]],
        ["its entry", "worker to driver", told["answered_bytes"]],
        *(
            [f"a commit of {n}, in {found['files']:.0f} files", "driver to store", found["bytes"]]
            for n, found in commits.items()
        ),
    ]
    caption = "What crosses the network while pairs are measured, mean of the tasks and pairs."
    cells = [[what, way, f"{size / 1e3:,.1f}"] for what, way, size in rows]
    return Table("bytes", caption, ("what", "from, to", "kB"), cells)


def _times(stored: Result) -> Table:
    titles = {"looks": f"{LOOKS} looks", "members": f"{MEMBERS} members of an ensemble"}
    rows = [
        [
            title,
            workers,
            *(f"{found[name] / stored[key]['1']['all']:.2f}" for name in ("all", "busiest")),
            f"{found['driver'] / stored[key]['1']['all']:.2f}",
        ]
        for key, title in titles.items()
        for workers, found in stored[key].items()
    ]
    caption = (
        "Processor time of Ray workers and of the driver, as a multiple of what one worker takes: "
        "the busiest and the driver bound the time of the whole."
    )
    columns = ("what", "workers", "all workers", "the busiest", "driver")
    return Table("scaling", caption, columns, rows)


def _simulations(simulated: Sequence[Result]) -> Table:
    rows = [
        [
            run["pair"],
            str(run["workers"]),
            f"{1000 * run['request_s']:.0f}",
            f"{run['pairs_per_s']:.2f}",
            *(f"{run[key]:.0%}" for key in ("workers_busy", "driver_busy", "committing")),
            f"{run['node_line']:.1%}",
            f"{run['gets_per_s'] / MOST_GETS:.2%}",
            f"{run['puts_per_s'] / MOST_PUTS:.2%}",
        ]
        for run in simulated
    ]
    caption = (
        "Simulated builds with a zoo at an address, a batch of one pair for each worker, ten "
        "workers a node: share of the time, of a node's line of 10 Gbit/s, and of the requests "
        f"that S3 answers a second for one prefix ({MOST_GETS:,} GETs, {MOST_PUTS:,} PUTs)."
    )
    columns = (
        *("pair", "workers", "store answers in (ms)", "pairs a second", "workers busy"),
        *("driver busy", "waiting for commits", "line", "GETs", "PUTs"),
    )
    return Table("simulated", caption, columns, rows)


EXPERIMENT = Experiment(
    name=NAME,
    title="A cluster and a zoo at an address",
    question="What crosses the network for each pair, and what saturates first?",
    plan=Fixed((AtAnAddress(TASKS), Pieces(TASKS[0]))),
    drawn=draw,
)
