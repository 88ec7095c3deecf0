"""What is in the zoo that ships with tans, its bytes, and how many of them a search fetches.

The zoo is pushed to a store in memory and searched there by a query, with an empty cache: bytes
are counted, and nothing is timed.
"""

from __future__ import annotations

import os
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import fsspec
import torch

from tans.search import embed, search
from tans.search.query import Query
from tans.tasks.task import Task, TaskCard
from tans.zoo.shared import TRAFFIC
from tans.zoo.sharing import push_zoo
from tans.zoo.zoo import IMAGENET, Zoo
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Drawing, Table
from tans_bench.runs.experiment import Experiment, Fixed
from tans_bench.runs.results import LINES, Result, Results

CACHE = "TANS_CACHE"
STORE = "memory://tans-bench"
CLASSES = 20
"""Of the query whose bytes are counted."""
TOLD = {
    "networks": ("networks", 1, ",.0f"),
    "sources": ("source tasks beside ImageNet", 1, ",.0f"),
    "probes": ("probes of networks on other tasks", 1, ",.0f"),
    "finetunes": ("fine-tunes of networks on other tasks", 1, ",.0f"),
    "targets": ("tasks that these were on", 1, ",.0f"),
    "bytes": ("MB of all files", 1e6, ".0f"),
    "base_bytes": ("MB of the elastic base", 1e6, ".1f"),
    "source_bytes": ("MB of the networks of a source task, mean", 1e6, ".1f"),
    "opened_bytes": ("MB that opening it at an address fetches", 1e6, ".1f"),
    "searched_bytes": ("MB that opening and a search by a query fetch", 1e6, ".1f"),
    "json_bytes": (f"kB of a query of {CLASSES} classes as JSON", 1e3, ".1f"),
    "safetensors_bytes": ("kB of the same as safetensors", 1e3, ".1f"),
}
"""Of each number that is stored: what it is, its unit, and how it is written."""


@dataclass(frozen=True)
class Count:
    """Count what is in the zoo that is compared with."""

    name: str = "shipped"
    task: str = ""
    """None in particular."""

    def done(self, bench: Bench) -> bool:
        """Another zoo is counted anew."""
        stored = bench.results.read(self.name)
        return stored is not None and stored["zoo"] == bench.digest

    def run(self, bench: Bench) -> Result:
        zoo, query = bench.zoo, embed(_drawn(), bench.zoo)
        return {"zoo": bench.digest, **_content(zoo), **_fetched(zoo, query), **_sizes(query)}


def _drawn() -> Task:
    """Images of noise: how many bytes a query has, depends on its classes alone."""
    images = torch.randint(0, 256, (6 * CLASSES, 3, 32, 32), dtype=torch.uint8)
    classes = [f"class {number}" for number in range(CLASSES)]
    card = TaskCard(source="drawn", version="1", licence="CC0-1.0", made="noise", family="noise")
    return Task.from_arrays("noise", images, torch.arange(len(images)) % CLASSES, classes, card)


def _content(zoo: Zoo) -> Result:
    sources = [task for task in zoo.tasks() if task.name != IMAGENET]
    transfers = zoo.transfers()
    finetunes = [transfer for transfer in transfers if transfer.epochs]
    return {
        "networks": len(zoo.columns()),
        "sources": len(sources),
        "probes": len(transfers) - len(finetunes),
        "finetunes": len(finetunes),
        "targets": len({transfer.target for transfer in finetunes}),
        "bytes": sum(path.stat().st_size for path in zoo.path.rglob("*") if path.is_file()),
        "base_bytes": len(zoo.files.get("weights", zoo.base or "")),
        "source_bytes": round(
            statistics.fmean(len(zoo.files.get("weights", task.supernet)) for task in sources)
        ),
    }


def _fetched(zoo: Zoo, query: Query) -> Result:
    """Bytes until a zoo in a store is open, and until it was searched too."""
    store = fsspec.filesystem("memory")
    with TemporaryDirectory() as cache, _cache(cache):
        push_zoo(zoo, STORE)
        try:
            before = TRAFFIC.read_bytes
            there = Zoo.open(STORE)
            opened = TRAFFIC.read_bytes - before
            search(query, there)
            return {"opened_bytes": opened, "searched_bytes": TRAFFIC.read_bytes - before}
        finally:
            store.rm(STORE, recursive=True)


@contextmanager
def _cache(folder: str) -> Iterator[None]:
    """Let tans keep what it fetches in a folder of its own."""
    before = os.environ.get(CACHE)
    os.environ[CACHE] = folder
    try:
        yield
    finally:
        del os.environ[CACHE]
        if before is not None:
            os.environ[CACHE] = before


def _sizes(query: Query) -> Result:
    with TemporaryDirectory() as folder:
        paths = {ending: Path(folder) / f"query.{ending}" for ending in ("json", "safetensors")}
        for path in paths.values():
            query.save(path)
        return {f"{ending}_bytes": path.stat().st_size for ending, path in paths.items()}


def draw(plan: Fixed, results: Results) -> Sequence[Drawing]:
    del plan  # one result
    stored = results.read(Count().name)
    return [_told(stored), _zoos(stored["zoo"], results.folder)] if stored else []


def _told(stored: Result) -> Table:
    rows = [["digest", stored["zoo"]]]
    rows += [[what, f"{stored[key] / unit:{form}}"] for key, (what, unit, form) in TOLD.items()]
    caption = (
        "What is in the shipped zoo. Its digest is of its networks and of what ranks them. A query "
        "is searched by with its embedding alone, without looks."
    )
    return Table("zoo", caption, ("what", "shipped zoo"), rows)


def _zoos(shipped: str, folder: Path) -> Table:
    """Which states of the zoo the stored results chose in."""
    rows = []
    for place in sorted({path.relative_to(folder).parts[0] for path in folder.rglob("*.json*")}):
        counts = Counter(result["zoo"] for result in _stored(folder, place) if "zoo" in result)
        rows += [
            [place.removesuffix(LINES), digest, str(count), "yes" if digest == shipped else "no"]
            for digest, count in counts.most_common()
        ]
    caption = "Stored results that name the zoo that they chose in, by its digest."
    return Table("zoos", caption, ("results", "digest", "number", "the shipped one"), rows)


def _stored(folder: Path, place: str) -> Iterator[Result]:
    """Results of a folder or of a file of lines, read for this alone: no versions are told."""
    results = Results(folder)
    if place.endswith(LINES):
        yield from results.lines(place.removesuffix(LINES))
    elif (folder / place).is_dir():
        yield from results.below(place)


EXPERIMENT = Experiment(
    name="shipped",
    title="The zoo that ships",
    question=(
        "What is in the zoo that ships with tans, how large is it, how much of it does a search "
        "fetch, and which states of it were results made with?"
    ),
    plan=Fixed((Count(),)),
    drawn=draw,
)
