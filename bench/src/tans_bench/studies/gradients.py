"""How much sooner a network learns where kernels that are larger than their map are seen to.

One step of a fine-tune on the processor, on one thread, with and without
``tans.networks.depthwise``, in turns: what differs is the gradient of such kernels alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from tans.networks.depthwise import fast_depthwise
from tans.networks.device import CPU
from tans.networks.families.elastic.specification import LITE0, ref_of
from tans.networks.family import build
from tans.training import Recipe, sgd
from tans.types import InputSpec, NetworkRef
from tans_bench.runs.drawing import Drawing, Table
from tans_bench.runs.experiment import Experiment, Fixed
from tans_bench.runs.results import Result, Results
from tans_bench.studies.ways import Timed, in_turns

RUNS = "gradients"
CLASSES = 10


def steps(ref: NetworkRef, batch: int = Recipe.batch_size, rounds: int = 15) -> Result:
    """Median seconds of a step, by way."""
    network = build(ref, CLASSES).train().to(memory_format=torch.channels_last)
    x = torch.rand(batch, 3, ref.input.size, ref.input.size)
    x = x.to(memory_format=torch.channels_last)
    y = torch.arange(batch) % CLASSES
    optimiser = sgd(network, Recipe())
    learn = partial(_learn, network, optimiser, x, y)
    ways = {"pytorch": partial(learn, nullcontext()), "tans": partial(learn, fast_depthwise(CPU))}
    return {**in_turns(ways, rounds)}


def _learn(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    x: torch.Tensor,
    y: torch.Tensor,
    gradients: AbstractContextManager[object],
) -> None:
    with gradients:
        loss = F.cross_entropy(network(x), y)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


def draw(plan: Fixed, results: Results) -> Sequence[Drawing]:
    del plan  # whatever is stored
    rows = [
        [line["network"], str(line["size"]), f"{line['pytorch'] / line['tans']:.2f}"]
        for line in results.lines(RUNS)
    ]
    caption = (
        f"Steps of {Recipe.batch_size} images on one thread of a processor, in turns; medians. "
        "Times as fast as with the gradients of PyTorch."
    )
    return [Table("steps", caption, ("network", "pixels", "times as fast"), rows)] if rows else []


NETWORKS = (
    *(ref_of(LITE0.largest, size) for size in (48, 64, 96, 128)),
    ref_of(LITE0.smallest, 64),
    *(
        NetworkRef("torchvision", name, InputSpec(64))
        for name in ("mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0", "resnet18")
    ),
)

EXPERIMENT = Experiment(
    name="gradients",
    title="Gradients of kernels larger than their map",
    question=(
        "How much sooner does a network for small images learn on a processor where the gradient "
        "of a depthwise kernel that is larger than its map is computed place by place?"
    ),
    plan=Fixed(tuple(Timed(RUNS, ref, steps) for ref in NETWORKS)),
    drawn=draw,
)
