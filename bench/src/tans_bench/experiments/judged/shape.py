"""Networks of a shape that the task itself chose, beside the largest that fits.

Where a limit binds, a supernet is tuned on the task by the sandwich rule, and of many slices within
the limit the one is taken that does best on validation images. It is tuned as every match is: once
from the base, so that its shape alone is another, and once from what the supernet has learnt.

Reference: Yu et al., BigNAS, ECCV 2020.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import lru_cache
from itertools import product

import torch.nn.functional as F
from torch import Tensor

from tans.build.supernets import train_supernet
from tans.networks.batchnorm import recalibrate
from tans.networks.device import device
from tans.networks.families.elastic.specification import LITE0, architecture_of, ref_of
from tans.networks.families.elastic.supernet import Supernet
from tans.networks.family import describe
from tans.networks.network import Network, without_head
from tans.training import NORM_IMAGES, finetune, predict
from tans.types import Images, NetworkRef
from tans.zoo.zoo import IMAGENET, Zoo
from tans_bench.experiments.judged import field
from tans_bench.experiments.judged.jobs import Cell, OfCell, Tuned, recipe_of
from tans_bench.experiments.judged.methods import ZOO
from tans_bench.experiments.judged.starts import compare_starts
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Drawing
from tans_bench.runs.experiment import Experiment, Fixed
from tans_bench.runs.judge import SEEDS
from tans_bench.runs.results import Result, Results

RUNS = "shape"
LIMIT = 0.5
"""Multiply-adds that are allowed, as a share of those of the whole network."""
DRAWN, TRIED, CLOSE = 2000, 24, 0.9
"""Slices that are drawn, those that validation images are asked about, and the share of the limit
that these come up to at least."""
BEGINNING = 100
"""Steps that the supernet takes before a shape is chosen."""
LARGEST, CHOSEN, GONE_ON = "largest", "chosen", "gone on"
"""The slice that takes most; the one chosen, from the base; the same, from the supernet."""


@lru_cache(maxsize=1)
def slices() -> tuple[NetworkRef, ...]:
    """Slices that come close to the limit, the one that takes most multiply-adds first."""
    limit = LIMIT * describe(ref_of(LITE0.largest, ZOO)).body_flops
    rng = random.Random(0)
    drawn = [ref_of(LITE0.sample(rng), ZOO) for _ in range(DRAWN)]
    flops = {ref: describe(ref).body_flops for ref in drawn}
    close = [ref for ref, own in flops.items() if CLOSE * limit <= own <= limit]
    largest = max(close, key=lambda ref: flops[ref])
    return (largest, *[ref for ref in close if ref != largest][: TRIED - 1])


def measured(bench: Bench, cell: Cell) -> Result:
    """Choose a shape for a cell, and tune it and the largest."""
    task = cell.read(bench)
    images, labels = task.split("train", ZOO)
    supernet = _tuned_supernet(cell, images, labels, len(task.classes), bench.zoo)
    held = task.split("val", ZOO)
    losses = {ref: _loss(_slice(supernet, ref, images), *held) for ref in slices()}
    largest, chosen = slices()[0], min(losses, key=lambda ref: losses[ref])
    begun = {
        LARGEST: _of_base(largest, bench.zoo),
        CHOSEN: _of_base(chosen, bench.zoo),
        GONE_ON: _slice(supernet, chosen, images).cpu(),
    }
    recipe = recipe_of(Tuned(cell, field.BASE, ZOO), len(labels))
    tuned = {name: finetune(network, task, recipe=recipe) for name, network in begun.items()}
    return {
        "accuracy": {name: round(each.test_accuracy, 5) for name, each in tuned.items()},
        "loss": {"largest": round(losses[largest], 5), "chosen": round(losses[chosen], 5)},
        "shape": chosen.name,
    }


def trial(cell: Cell) -> OfCell:
    """The job for one cell."""
    return OfCell(RUNS, cell, measured)


def _tuned_supernet(cell: Cell, images: Tensor, labels: Tensor, classes: int, zoo: Zoo) -> Supernet:
    """The base's supernet after some steps on a task's training images."""
    supernet = Supernet(LITE0, classes, ZOO)
    supernet.full.load_weights(without_head(zoo.base_state()), strict=False)
    supernet.full.replace_head(classes, cell.seed)
    recipe = recipe_of(Tuned(cell, field.BASE, ZOO, BEGINNING), len(labels))
    train_supernet(supernet, images, labels, recipe)
    return supernet


def _of_base(ref: NetworkRef, zoo: Zoo) -> Network:
    return zoo.load_network(ref, str(zoo.base), IMAGENET)


def _slice(supernet: Supernet, ref: NetworkRef, images: Tensor) -> Network:
    """A slice of a supernet with the batch-norm statistics of images, uint8 (n, 3, r, r)."""
    network = supernet.extract(architecture_of(ref)).to(device())
    recalibrate(network, images[:NORM_IMAGES])
    return network


def _loss(network: Network, images: Images, labels: Tensor) -> float:
    """Cross-entropy on validation images: luck has a smaller part in it than in accuracy."""
    return F.cross_entropy(predict(network, images), labels).item()


def draw(plan: Fixed, results: Results) -> Sequence[Drawing]:
    del plan  # whatever is stored
    lines = list(results.lines(RUNS))
    caption = (
        f"Test accuracy in %, mean of at most {len(SEEDS)} seeds, {field.IMAGES} training images, "
        f"{field.STEPS} steps, within {LIMIT:.0%} of Lite0's multiply-adds at {ZOO} px; points "
        "over the largest slice that fits, paired by task and seed, of all with the 95 % interval "
        f"of a bootstrap over families. One of {TRIED} shapes is chosen."
    )
    return [compare_starts("accuracy", caption, lines, (LARGEST, CHOSEN, GONE_ON))] if lines else []


EXPERIMENT = Experiment(
    name="shape",
    title="A shape that the task chose",
    question=(
        "Where a limit binds, is a slice that a supernet tuned on the task puts first better than "
        "the largest slice that fits?"
    ),
    plan=Fixed(tuple(trial(Cell(task, seed)) for seed, task in product(SEEDS, field.FEW))),
    drawn=draw,
)
