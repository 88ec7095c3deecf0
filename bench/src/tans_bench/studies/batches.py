"""How much sooner images are looked at on a processor in batches that fit its caches.

The features of the same images on one thread, in batches that memory alone bounds and in those of
``tans.networks.network.images_at_once``, in turns.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from threadpoolctl import threadpool_limits

from tans.networks.device import CPU, on
from tans.networks.families.elastic.specification import LITE0, ref_of
from tans.networks.family import build
from tans.networks.features import image_features
from tans.networks.network import images_at_once
from tans.types import InputSpec, NetworkRef
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Drawing, Table
from tans_bench.runs.experiment import Experiment, Fixed
from tans_bench.runs.results import LINES, Result, Results

RUNS = "batches"
CLASSES = 10


@dataclass(frozen=True)
class Pass:
    """Time one network's looks at as many images as memory lets into one batch."""

    ref: NetworkRef
    rounds: int = 7
    task: str = ""
    """None in particular."""

    @property
    def name(self) -> str:
        return f"{RUNS}{LINES}/{self.ref}"

    def done(self, bench: Bench) -> bool:
        return bench.results.find(RUNS, self.key()) is not None

    def run(self, bench: Bench) -> Result:
        del bench
        with on(CPU), threadpool_limits(1), torch.random.fork_rng():
            return {**self.key(), **self._seconds()}

    def key(self) -> Result:
        """What tells one run from another."""
        return {"network": self.ref.name, "size": self.ref.input.size}

    def _seconds(self) -> Result:
        """Images of each batch and the median seconds of all images, by way."""
        side = self.ref.input.size
        sizes = {"memory": images_at_once(side), "caches": images_at_once(side, CPU)}
        network = build(self.ref, CLASSES).eval()
        images = torch.randint(0, 256, (sizes["memory"], 3, side, side), dtype=torch.uint8)
        taken: dict[str, list[float]] = {way: [] for way in sizes}
        for _ in range(self.rounds):
            for way, size in sizes.items():
                began = time.perf_counter()
                image_features(network, images, size, of_head=True)
                taken[way].append(time.perf_counter() - began)
        seconds = {way: round(statistics.median(each[1:]), 5) for way, each in taken.items()}
        return {"images": sizes, "seconds": seconds}


def draw(plan: Fixed, results: Results) -> Sequence[Drawing]:
    del plan  # whatever is stored
    rows = [
        [
            line["network"],
            str(line["size"]),
            *(str(line["images"][way]) for way in ("memory", "caches")),
            f"{line['seconds']['memory'] / line['seconds']['caches']:.2f}",
        ]
        for line in results.lines(RUNS)
    ]
    caption = (
        "Features of as many images as memory lets into one batch, on one thread of a processor, "
        "in turns; medians. Images of a batch by either bound, and times as fast as by memory's "
        "alone."
    )
    columns = ("network", "pixels", "by memory", "by caches", "times as fast")
    return [Table("passes", caption, columns, rows)] if rows else []


NETWORKS = (
    *(ref_of(LITE0.largest, size) for size in (64, 96, 128, 224)),
    ref_of(LITE0.smallest, 64),
    *(
        NetworkRef("torchvision", name, InputSpec(size))
        for name in ("mobilenet_v3_small", "resnet18")
        for size in (64, 224)
    ),
)

EXPERIMENT = Experiment(
    name="batches",
    title="Batches that fit the caches",
    question=(
        "How much sooner does a network look at images on a processor where what its layers make "
        "of a batch fits the processor's caches?"
    ),
    plan=Fixed(tuple(map(Pass, NETWORKS))),
    drawn=draw,
)
