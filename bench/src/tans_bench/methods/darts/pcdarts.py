"""PC-DARTS: operations compared on a quarter of the channels, and edges that share a weight of one.

Reference: Xu et al., PC-DARTS: Partial Channel Connections for Memory-Efficient Architecture
Search, ICLR 2020.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tans.networks.device import device
from tans.zoo.zoo import Zoo
from tans_bench.methods.budget import affordable
from tans_bench.methods.darts.search import NETWORK_DEVIATIONS, search_cells
from tans_bench.methods.darts.settings import CellSearchSettings, Stage
from tans_bench.methods.darts.supernet import ALL, Kept, Weights
from tans_bench.methods.method import Deviation, Problem, Proposal
from tans_bench.spaces import darts

DEVIATIONS = (
    Deviation(
        "search",
        "50 epochs, 15 of them warm-up, batches of 256",
        "12 epochs, 4 of them warm-up, batches of 32; 16 channels and 8 cells as published",
        "two to four minutes of one core",
    ),
    *NETWORK_DEVIATIONS,
)
SPREAD = 1e-3
"""Standard deviation that the parameters start with."""

FULL = CellSearchSettings(
    stages=(Stage(epochs=50, warm_up=15, parts=4, operations=8),),
    channels=16,
    cells=8,
    batch_size=256,
)
"""As published for CIFAR-10."""
SMALL = CellSearchSettings(
    stages=(Stage(epochs=12, warm_up=4, parts=4, operations=8),),
    channels=16,
    cells=8,
    batch_size=32,
    stem_stride=darts.STEM_STRIDE,
    images=400,
    architecture_rate=2e-2,
)
"""The published supernet for a quarter of the epochs. Some forty steps of the operations' weights,
not 3,400: they are longer, to get as far."""


class EdgeNormalised(nn.Module):
    """Softmax over an edge's operations, and over the edges into a node (section 3.3)."""

    def __init__(self) -> None:
        super().__init__()
        self.alphas = nn.Parameter(SPREAD * torch.randn(2, darts.EDGES, len(darts.OPERATIONS)))
        self.betas = nn.Parameter(SPREAD * torch.randn(2, darts.EDGES))
        self.kept: tuple[Kept, Kept] = (ALL, ALL)

    def forward(self) -> Weights:
        return Weights(self.alphas.softmax(-1), normalised_edges(self.betas))

    def expected(self) -> Weights:
        """The same, as nothing is random."""
        with torch.no_grad():
            return self()


def normalised_edges(betas: Tensor) -> Tensor:
    """Softmax over the edges into each node, (2, edges) to the same."""
    inputs = [darts.INPUTS + node for node in range(darts.NODES)]
    return torch.cat([own.softmax(-1) for own in betas.split(inputs, -1)], -1)


@dataclass(frozen=True)
class PcDarts:
    """Search with partial channels and edge normalisation."""

    settings: CellSearchSettings | None = None
    """What the problem's budget allows when None."""

    def __call__(self, problem: Problem, zoo: Zoo) -> Proposal:
        """Search cells for a task, and size their network to the limits.

        Raises:
            LimitError: not even the smallest network of the space fits.
            InputError: latency or minutes are limited.
        """
        settings = self.settings or affordable(problem.budget, FULL, SMALL)
        return search_cells(
            problem, zoo.resolution, settings, lambda *_: EdgeNormalised().to(device())
        )
