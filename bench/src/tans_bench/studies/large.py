"""What a task of 100,000 images takes: memory and seconds of the commands, and images a second.

Pictures are drawn for it, in class folders and in shards, and deleted afterwards. Each command runs
in a process of its own, with one thread, whose memory is watched from outside; the cache of decoded
images is empty before the first. How fast images come is measured beside torchvision's loader, on
the same files, by turns.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from scipy.optimize import nnls

from tans.zoo.zoo import Zoo
from tans_bench.errors import ResultError
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Drawing, Table
from tans_bench.runs.experiment import Experiment, Fixed
from tans_bench.runs.results import LINES, Result, Results
from tans_bench.runs.scripts import printed
from tans_bench.studies.scripts import image_rates
from tans_bench.studies.scripts.drawn_images import draw_folder, pack

COMMANDS, RATES = "large", "large_rates"
SIZES = (10_000, 30_000, 100_000)
SIDES = (64, 128)
"""Pixels a side at which images are loaded."""
LOADED, ROUNDS = 5_000, 3
"""Images that are loaded, and rounds of each way."""
WATCHED_S = 0.02
MILLION = 1_000_000


@dataclass(frozen=True)
class Commands:
    """Check, search and fine-tune a task of so many images, from its folder and from shards."""

    images: int

    @property
    def name(self) -> str:
        return f"{COMMANDS}{LINES}/{self.images}"

    @property
    def task(self) -> str:
        """None in particular."""
        return ""

    def done(self, bench: Bench) -> bool:
        return bench.results.find(COMMANDS, {"images": self.images}) is not None

    def run(self, bench: Bench) -> Result:
        with TemporaryDirectory(prefix="tans-large-") as place:
            folder, shards = Path(place) / "images", Path(place) / "shards"
            draw_folder(folder, self.images)
            pack(folder, shards)
            small = _smallest(bench.zoo)
            parts, zoo = str(shards / "*.tar"), ["--zoo", str(bench.zoo.path)]
            tuned = ["--epochs", "1", *zoo, "-o", str(Path(place) / "tuned")]
            commands = {
                "check": ["check", str(folder), "--no-curve"],
                "check again": ["check", str(folder), "--no-curve"],
                "search": ["search", str(folder), *zoo],
                "finetune from shards": ["finetune", parts, "--network", small, *tuned],
            }
            cache = Path(place) / "cache"
            found = {name: watched(command, cache) for name, command in commands.items()}
            stored = sum(file.stat().st_size for file in (cache / "pixels").glob("*"))
        return {"images": self.images, "commands": found, "stored_gb": round(stored / 1e9, 3)}


@dataclass(frozen=True)
class Rates:
    """Load images at a size, as tans and as torchvision do."""

    side: int
    images: int = LOADED

    @property
    def name(self) -> str:
        return f"{RATES}{LINES}/{self.side}"

    @property
    def task(self) -> str:
        """None in particular."""
        return ""

    def key(self) -> Result:
        return {"side": self.side, "images": self.images}

    def done(self, bench: Bench) -> bool:
        return bench.results.find(RATES, self.key()) is not None

    def run(self, bench: Bench) -> Result:
        del bench  # pictures are drawn
        with TemporaryDirectory(prefix="tans-large-") as place:
            folder, shards = Path(place) / "images", Path(place) / "shards"
            draw_folder(folder, self.images)
            pack(folder, shards)
            arguments = folder, shards / "*.tar", self.side
            plain = {**os.environ, "OMP_NUM_THREADS": "1"}
            rounds = [
                printed(
                    image_rates.__file__, *arguments, environment={**plain, "TANS_CACHE": cache}
                )
                for cache in (f"{place}/cache{each}" for each in range(ROUNDS))
            ]
        return {
            **self.key(),
            "rates": {way: round(statistics.median(r[way] for r in rounds)) for way in rounds[0]},
            "of_torchvision": {
                way: round(statistics.median(r[way] / r["torchvision"] for r in rounds), 2)
                for way in rounds[0]
            },
        }


def watched(command: Sequence[str], cache: Path) -> dict[str, float]:
    """Seconds of a command of tans, those of a core, and the most memory that it has, in GB.

    ``resident`` counts what is mapped of files too, which the system can take back; ``own`` does
    not, and is looked at 50 times a second.

    Raises:
        ResultError: the command fails.
    """
    environment = {**os.environ, "TANS_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    run = [sys.executable, "-c", "from tans.cli import main; main()", *command]
    began, before, most, own = time.perf_counter(), _cpu_s(), 0, 0
    with subprocess.Popen(
        run, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        while process.poll() is None:
            now = _memory(process.pid)
            most, own = max(most, now.get("VmHWM", 0)), max(own, now.get("RssAnon", 0))
            time.sleep(WATCHED_S)
        said = process.stderr.read() if process.stderr else ""
    if process.returncode:
        raise ResultError(f"tans {command[0]} failed: {said[-400:]}; run the experiment again")
    return {
        "seconds": round(time.perf_counter() - began, 1),
        "cpu_s": round(_cpu_s() - before, 1),
        "resident_gb": round(most / 1e6, 3),
        "own_gb": round(own / 1e6, 3),
    }


def _cpu_s() -> float:
    """Seconds of a core that all processes took that this one started and that ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _memory(process: int) -> dict[str, int]:
    """What Linux says of a process's memory, in kB; nothing where it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return {}
    fields = (line.split() for line in lines if line.endswith(" kB"))
    return {name.rstrip(":"): int(value) for name, value, _ in fields}


def _smallest(zoo: Zoo) -> str:
    """Id of the network of a zoo that costs least, in five quarters of its size."""
    entry = min(zoo.entries(), key=lambda each: each.body_flops)
    return f"{entry.id}@{entry.resolution * 5 // 4}"


def jobs() -> Iterator[Commands | Rates]:
    """Every number of images and every size."""
    yield from map(Commands, SIZES)
    yield from map(Rates, SIDES)


def draw(plan: Fixed, results: Results) -> Sequence[Drawing]:
    del plan  # whatever is stored
    lines = sorted(results.lines(COMMANDS), key=lambda line: line["images"])
    return [*_measured(lines), *_foretold(lines), *_loaded(results)]


def _measured(lines: Sequence[Result]) -> list[Table]:
    rows = [
        [f"{line['images']:,}", name, *_cells(found)]
        for line in lines
        for name, found in line["commands"].items()
    ]
    caption = (
        "Each command in a process of its own, one thread. *Own* is memory that is the process's "
        "alone, *resident* counts what is mapped of files too: libraries, weights. The first check "
        "decodes the images and stores them, and the fine-tune decodes them anew, from shards, at "
        "80 pixels for one pass over the training images."
    )
    columns = ("images", "command", "seconds", "of a core", "own, GB", "resident, GB")
    return [Table("large", caption, columns, rows)] if rows else []


def _foretold(lines: Sequence[Result]) -> list[Table]:
    """At a million, by what the commands took: a part that is fixed, and one for each image."""
    if len(lines) < 2:
        return []
    counts = np.array([line["images"] for line in lines], dtype=float)

    def at_million(took: Sequence[float]) -> float:
        fixed_and_each, _ = nnls(np.stack([np.ones_like(counts), counts], 1), np.array(took))
        return float(fixed_and_each @ (1, MILLION))

    rows = [
        [name, f"{at_million([line['commands'][name]['cpu_s'] for line in lines]) / 60:.0f}"]
        for name in lines[-1]["commands"]
    ]
    stored = at_million([line["stored_gb"] for line in lines])
    caption = (
        "A million images, on paper: minutes of a core, a fixed part and one for each image, "
        "fitted to the numbers above. To compare each hash with each other grows with the square, "
        f"which this leaves out. On the disk lie {stored:.0f} GB of decoded images. Memory is not "
        "foretold, as it does not follow the number of images above: they are read in blocks, and "
        "what is looked at in larger sizes is a sample."
    )
    return [Table("million", caption, ("command", "minutes of a core"), rows)]


SHOWN = (("seconds", 0), ("cpu_s", 0), ("own_gb", 2), ("resident_gb", 2))


def _cells(found: Result) -> list[str]:
    return [f"{found[key]:,.{digits}f}" for key, digits in SHOWN]


def _loaded(results: Results) -> list[Table]:
    rows = [
        [str(line["side"]), way, f"{rate:,}", f"{line['of_torchvision'][way]:.2f}"]
        for line in sorted(results.lines(RATES), key=lambda line: line["side"])
        for way, rate in line["rates"].items()
    ]
    caption = (
        f"Images a second, and as a multiple of torchvision's in the same round, medians of "
        f"{ROUNDS}: {LOADED:,} JPEG of 64 to 160 pixels a side, two workers each. *torchvision* is "
        "``ImageFolder`` with ``Resize`` and ``PILToTensor`` under a ``DataLoader``, which decodes "
        "in every epoch. *tans, first* decodes and stores; *tans, later* reads batches of 32 in "
        "random order from what is stored, out of the system's page cache; *cold* does so after "
        "that was emptied."
    )
    columns = ("pixels", "way", "images a second", "of torchvision's")
    return [Table("rates", caption, columns, rows)] if rows else []


EXPERIMENT = Experiment(
    name="large",
    title="Tasks larger than memory",
    question="What do a hundred thousand images take, and what would a million?",
    plan=Fixed(tuple(jobs())),
    drawn=draw,
)
