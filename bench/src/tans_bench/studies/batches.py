"""How much sooner images are looked at on a processor in batches that fit its caches.

The features of the same images on one thread, in batches that memory alone bounds and in those of
``tans.networks.network.images_at_once``, in turns.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch

from tans.networks.device import CPU
from tans.networks.families.elastic.specification import LITE0, ref_of
from tans.networks.family import build
from tans.networks.features import image_features
from tans.networks.network import images_at_once
from tans.types import InputSpec, NetworkRef
from tans_bench.runs.drawing import Drawing, Table
from tans_bench.runs.experiment import Experiment, Fixed
from tans_bench.runs.results import Result, Results
from tans_bench.studies.ways import Timed, in_turns

RUNS = "batches"
CLASSES = 10


def passes(ref: NetworkRef, rounds: int = 7) -> Result:
    """Images of each batch and the median seconds of all images, by way.

    There are as many images as memory lets into one batch.
    """
    side = ref.input.size
    sizes = {"memory": images_at_once(side), "caches": images_at_once(side, CPU)}
    network = build(ref, CLASSES).eval()
    images = torch.randint(0, 256, (sizes["memory"], 3, side, side), dtype=torch.uint8)
    look = partial(image_features, network, images, of_head=True)
    ways = {way: partial(look, batch=size) for way, size in sizes.items()}
    return {"images": sizes, "seconds": in_turns(ways, rounds)}


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
    plan=Fixed(tuple(Timed(RUNS, ref, passes) for ref in NETWORKS)),
    drawn=draw,
)
