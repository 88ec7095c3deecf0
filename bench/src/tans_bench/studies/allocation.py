"""How much sooner networks look at images where the memory that their layers free is kept.

Two looks at images of noise on one thread of the processor, as a search has them, with and without
``tans.networks.allocation``, in turns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import torch
from torch import Tensor

from tans.networks.allocation import memory_kept
from tans.networks.families.elastic.specification import LITE0, ref_of
from tans.networks.family import build
from tans.networks.network import Network
from tans.search.look import IMAGES
from tans.training.head import glanced_features
from tans.types import InputSpec, NetworkRef
from tans_bench.runs.drawing import Drawing, Table
from tans_bench.runs.experiment import Experiment, Fixed
from tans_bench.runs.results import Result, Results
from tans_bench.studies.ways import Timed, in_turns

RUNS = "allocation"
CLASSES, LOOKS = 10, 2

Way = Callable[[], AbstractContextManager[object]]


def looks(ref: NetworkRef, images: int = IMAGES, rounds: int = 5) -> Result:
    """Median seconds of looks at so many images, by way."""
    network = build(ref, CLASSES).eval()
    network.replace_head(CLASSES, deep=True)
    side = ref.input.size
    pixels = torch.randint(0, 256, (images, 3, side, side), dtype=torch.uint8)
    ways: dict[str, Way] = {"given back": nullcontext, "kept": memory_kept}
    return {**in_turns({way: partial(_look, network, pixels, ways[way]) for way in ways}, rounds)}


def _look(network: Network, pixels: Tensor, way: Way) -> None:
    with way():
        for _ in range(LOOKS):
            glanced_features(network, pixels)


def draw(plan: Fixed, results: Results) -> Sequence[Drawing]:
    del plan  # whatever is stored
    rows = [
        [line["network"], str(line["size"]), f"{line['given back'] / line['kept']:.2f}"]
        for line in results.lines(RUNS)
    ]
    caption = (
        f"{LOOKS} looks at {IMAGES} images on one thread of a processor, in turns; medians. Times "
        "as fast as where the C library gives large blocks back."
    )
    return [Table("looks", caption, ("network", "pixels", "times as fast"), rows)] if rows else []


NETWORKS = (
    *(ref_of(LITE0.largest, size) for size in (64, 128)),
    ref_of(LITE0.smallest, 64),
    *(NetworkRef("torchvision", "mobilenet_v3_small", InputSpec(size)) for size in (64, 224)),
    NetworkRef("torchvision", "resnet18", InputSpec(64)),
)

EXPERIMENT = Experiment(
    name="allocation",
    title="Memory that layers free",
    question=(
        "How much sooner does a network look at images on a processor where the memory that its "
        "layers free stays with the process?"
    ),
    plan=Fixed(tuple(Timed(RUNS, ref, looks) for ref in NETWORKS)),
    drawn=draw,
)
