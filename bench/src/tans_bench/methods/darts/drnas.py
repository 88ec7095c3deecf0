"""DrNAS: weights of the operations drawn from Dirichlet distributions, whose shapes are learnt.

The search is progressive: after a first stage the weaker operations of every edge are left out,
and the others work on more channels. The optimisers begin anew with the second stage.

Reference: Chen et al., DrNAS: Dirichlet Neural Architecture Search, ICLR 2021.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Dirichlet

from tans.networks.device import device
from tans.zoo.zoo import Zoo
from tans_bench.methods.budget import affordable
from tans_bench.methods.darts.search import NETWORK_DEVIATIONS, search_cells
from tans_bench.methods.darts.settings import CellSearchSettings, Stage
from tans_bench.methods.darts.supernet import Kept, Weights
from tans_bench.methods.method import Deviation, Problem, Proposal
from tans_bench.spaces import darts

DEVIATIONS = (
    Deviation(
        "search",
        "two stages of 25 epochs, 36 channels and 20 cells, batches of 64",
        "two stages of 6 epochs, 24 channels and 8 cells, batches of 32",
        "two to four minutes of one core",
    ),
    *NETWORK_DEVIATIONS,
)
SPREAD = 1e-3
"""Standard deviation that the parameters start with."""

FULL = CellSearchSettings(
    stages=(
        Stage(epochs=25, warm_up=10, parts=6, operations=7),
        Stage(epochs=25, warm_up=10, parts=4, operations=4),
    ),
    channels=36,
    cells=20,
    batch_size=64,
)
"""As published for CIFAR-10. The weight decay of the operations' parameters is the paper's
regulariser: it pulls every concentration to one."""
SMALL = CellSearchSettings(
    stages=(
        Stage(epochs=6, warm_up=2, parts=6, operations=7),
        Stage(epochs=6, warm_up=2, parts=4, operations=4),
    ),
    channels=24,
    cells=8,
    batch_size=32,
    stem_stride=darts.STEM_STRIDE,
    images=400,
    architecture_rate=2e-2,
)
"""Two thirds of the published channels, and as many cells as the network will have. Some forty
steps of the operations' parameters, not 11,700: they are longer, to get as far."""


class DirichletWeights(nn.Module):
    """A Dirichlet distribution an edge, of concentrations elu(alpha) + 1.

    Args:
        alphas: (2, edges, k).
        operations: int64 (2, edges, k), the index of the operation that each is of, without
            ``none``.
    """

    def __init__(self, alphas: Tensor, operations: Tensor) -> None:
        super().__init__()
        self.alphas = nn.Parameter(alphas)
        self.operations = nn.Buffer(operations)

    @classmethod
    def start(cls) -> DirichletWeights:
        """Every operation but ``none`` on every edge, all concentrations near one."""
        operations = torch.arange(darts.NONE + 1, len(darts.OPERATIONS))
        rows = operations.expand(2, darts.EDGES, -1).contiguous()
        return cls(SPREAD * torch.randn(rows.shape), rows)

    def pruned(self, count: int) -> DirichletWeights:
        """The same with so many operations an edge: those of the highest concentration."""
        alphas, chosen = self.alphas.detach().topk(count, -1)  # (2, edges, count) both
        return DirichletWeights(alphas, self.operations.gather(-1, chosen))

    @property
    def kept(self) -> tuple[Kept, Kept]:
        """Operations on each edge of the normal and of the reduction cell."""
        normal, reduce = (
            tuple(tuple(sorted(edge)) for edge in cell) for cell in self.operations.tolist()
        )
        return normal, reduce

    @property
    def concentration(self) -> Tensor:
        """(2, edges, k), above zero."""
        return F.elu(self.alphas) + 1

    def forward(self) -> Weights:
        """A draw, through which a gradient leads to the concentrations."""
        return self._weights(Dirichlet(self.concentration).rsample())

    def expected(self) -> Weights:
        """The distributions' mean."""
        with torch.no_grad():
            return self._weights(Dirichlet(self.concentration).mean)

    def _weights(self, kept: Tensor) -> Weights:
        """Of weights (2, edges, k); what is left out has zero, and all edges count as one."""
        every = kept.new_zeros(2, darts.EDGES, len(darts.OPERATIONS))
        operations = every.scatter(-1, self.operations, kept)
        return Weights(operations, torch.ones_like(operations[..., 0]))


@dataclass(frozen=True)
class DrNas:
    """Progressive search with Dirichlet-distributed weights."""

    settings: CellSearchSettings | None = None
    """What the problem's budget allows when None."""

    def __call__(self, problem: Problem, zoo: Zoo) -> Proposal:
        """Search cells for a task, and size their network to the limits.

        Raises:
            LimitError: not even the smallest network of the space fits.
            InputError: latency or minutes are limited.
        """
        settings = self.settings or affordable(problem.budget, FULL, SMALL)
        return search_cells(problem, zoo.resolution, settings, _next)


def _next(before: DirichletWeights | None, stage: Stage) -> DirichletWeights:
    """What a stage begins with."""
    current = before or DirichletWeights.start()
    return current.pruned(stage.operations).to(device())
