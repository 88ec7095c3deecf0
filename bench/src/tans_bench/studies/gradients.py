"""How much sooner a network learns where kernels that are larger than their map are seen to.

One step of a fine-tune on the processor, on one thread, with and without
``tans.networks.depthwise``, in turns: what differs is the gradient of such kernels alone.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from threadpoolctl import threadpool_limits
from torch import nn

from tans.networks.depthwise import fast_depthwise
from tans.networks.device import CPU, on
from tans.networks.families.elastic.specification import LITE0, ref_of
from tans.networks.family import build
from tans.training import Recipe, sgd
from tans.types import InputSpec, NetworkRef
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Drawing, Table
from tans_bench.runs.experiment import Experiment, Fixed
from tans_bench.runs.results import LINES, Result, Results

RUNS = "gradients"
CLASSES = 10
WAYS = ("pytorch", "tans")


@dataclass(frozen=True)
class Step:
    """Time one network's steps."""

    ref: NetworkRef
    batch: int = Recipe.batch_size
    rounds: int = 15
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
            taken = self._seconds()
        return {
            **self.key(),
            **{way: round(statistics.median(each), 5) for way, each in taken.items()},
        }

    def key(self) -> Result:
        """What tells one run from another."""
        return {"network": self.ref.name, "size": self.ref.input.size}

    def _seconds(self) -> dict[str, list[float]]:
        """Of each step but the first, by way."""
        torch.manual_seed(0)
        network = build(self.ref, CLASSES).train().to(memory_format=torch.channels_last)
        side = self.ref.input.size
        x = torch.rand(self.batch, 3, side, side).to(memory_format=torch.channels_last)
        y = torch.arange(self.batch) % CLASSES
        optimiser = sgd(network, Recipe())
        found: dict[str, list[float]] = {way: [] for way in WAYS}
        ways: Mapping[str, AbstractContextManager[object]] = {
            "pytorch": nullcontext(),
            "tans": fast_depthwise(CPU),
        }
        for _ in range(self.rounds):
            for way, gradients in ways.items():
                began = time.perf_counter()
                _learn(network, optimiser, x, y, gradients)
                found[way].append(time.perf_counter() - began)
        return {way: each[1:] for way, each in found.items()}


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
    plan=Fixed(tuple(map(Step, NETWORKS))),
    drawn=draw,
)
