"""A stack of cells that holds every operation on every edge, each on a part of the channels.

References:
    Xu et al., PC-DARTS: Partial Channel Connections for Memory-Efficient Architecture Search,
    ICLR 2020 (partial channels, edge normalisation).
    Liu et al., DARTS: Differentiable Architecture Search, ICLR 2019 (mixed operations, the
    cell that is derived of them).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tans.types import Layer
from tans_bench.spaces import darts
from tans_bench.spaces.darts import CellShape, Preparation, Size, Stem

NORMAL, REDUCE = range(2)
"""Rows of the weights."""
ALL = tuple(tuple(range(len(darts.OPERATIONS))) for _ in range(darts.EDGES))
"""Every operation on every edge."""

Kept = tuple[tuple[int, ...], ...]
"""Per edge of a cell, the operations that are there."""


@dataclass(frozen=True)
class Weights:
    """How much each operation and each edge of both cells count."""

    operations: Tensor
    """(2, edges, operations), normal cell first; each edge's sum to one."""
    edges: Tensor
    """(2, edges)."""

    def detached(self) -> Weights:
        """The same, no gradient leading back."""
        return Weights(self.operations.detach(), self.edges.detach())

    @property
    def entropy(self) -> float:
        """Mean over edges of the operations' entropy, in nats."""
        return torch.special.entr(self.operations.detach()).sum(-1).mean().item()


class MixedOperation(nn.Module):
    """The weighted sum of an edge's operations on one part of the channels; the rest pass by.

    PC-DARTS, section 3.2.

    Args:
        channels: a multiple of ``parts``.
        stride: 1 or 2; what passes by is max-pooled in the latter case.
        parts: the first of so many equal parts of the channels is worked on.
        kept: indices of its operations.
    """

    def __init__(self, channels: int, stride: int, parts: int, kept: Sequence[int]) -> None:
        super().__init__()
        self.parts, self.worked = parts, channels // parts
        self.summed = [index for index in kept if index != darts.NONE]  # which adds nothing
        self.operations = nn.ModuleDict(
            {str(i): darts.operation(i, self.worked, stride, affine=False) for i in self.summed}
        )
        self.bypass: nn.Module = nn.Identity() if stride == 1 else nn.MaxPool2d(2, ceil_mode=True)

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        """(n, c, r, r) under weights (operations,) to (n, c, r / stride, r / stride)."""
        part = x[:, : self.worked]
        outputs = torch.stack([o(part) for o in self.operations.values()])  # (o, n, c', ...)
        mixed = torch.einsum("o,onchw->nchw", weights[self.summed], outputs)
        if self.parts == 1:
            return mixed
        whole = torch.cat([mixed, self.bypass(x[:, self.worked :])], 1)
        return F.channel_shuffle(whole, self.parts)  # so that the next one works on others


class MixedCell(nn.Module):
    """A cell in which every inner node sums all earlier nodes through mixed operations."""

    def __init__(self, shape: CellShape, parts: int, kept: Kept) -> None:
        super().__init__()
        self.row = REDUCE if shape.reduces else NORMAL
        self.prepare = Preparation(shape, affine=False)
        self.edges = nn.ModuleList(
            MixedOperation(shape.channels, shape.stride(source), parts, operations)
            for (_, source), operations in zip(darts.edges(), kept, strict=True)
        )

    def forward(self, before: Tensor, last: Tensor, weights: Weights) -> Tensor:
        """The outputs of the two cells before to (n, 4 * channels, r, r)."""
        nodes = self.prepare(before, last)
        operations, edges = weights.operations[self.row], weights.edges[self.row]
        first = 0
        for _ in range(darts.NODES):
            own = range(first, first + len(nodes))
            brought = torch.stack(
                [self.edges[e](node, operations[e]) for e, node in zip(own, nodes, strict=True)]
            )
            first = own.stop
            nodes.append(torch.einsum("e,enchw->nchw", edges[own.start : own.stop], brought))
        return torch.cat(nodes[darts.INPUTS :], 1)


class Supernet(nn.Module):
    """All cells of the space at once.

    Args:
        size: channels of the first cell, a multiple of ``parts``, and number of cells.
        classes: outputs of the head.
        stem_stride: pixels that the stem moves by.
        parts: a mixed operation works on one of so many parts of the channels.
        kept: operations on each edge of the normal and of the reduction cell.
    """

    def __init__(
        self,
        size: Size,
        classes: int,
        stem_stride: int = 1,
        parts: int = 4,
        kept: tuple[Kept, Kept] = (ALL, ALL),
    ) -> None:
        super().__init__()
        shapes = darts.cell_shapes(size)
        self.stem = Stem(size[0], stem_stride)
        self.cells = nn.ModuleList(
            MixedCell(shape, parts, kept[REDUCE if shape.reduces else NORMAL]) for shape in shapes
        )
        self.classifier = nn.Linear(shapes[-1].outputs, classes)

    def forward(self, x: Tensor, weights: Weights) -> Tensor:
        """Class scores, (n, 3, r, r) to (n, classes)."""
        before = last = self.stem(x)
        for cell in self.cells:
            before, last = last, cell(before, last, weights)
        return self.classifier(last.mean((2, 3)))


def widened(
    state: Mapping[str, Tensor], wider: Mapping[str, Tensor], generator: torch.Generator
) -> dict[str, Tensor]:
    """Weights of a supernet for one of more channels a mixed operation, or fewer operations.

    The channels that it has more of are copies of drawn ones; of one width, always the same.

    Args:
        state: of the narrow supernet.
        wider: of the wide one; only names and shapes count.
    """
    drawn: dict[tuple[int, int], Tensor] = {}
    found = {}
    for name, like in wider.items():
        tensor = state[name]
        for axis, (old, new) in enumerate(zip(tensor.shape, like.shape, strict=True)):
            if old == new:
                continue
            if (old, new) not in drawn:
                more = torch.randint(old, (new - old,), generator=generator)
                drawn[old, new] = torch.cat([torch.arange(old), more])
            tensor = tensor.index_select(axis, drawn[old, new].to(tensor.device))
        found[name] = tensor
    return found


def derived_cell(strengths: Tensor) -> list[Layer]:
    """The cell of the two strongest edges into each node, each with its strongest operation.

    Args:
        strengths: (edges, operations) of one cell; that of ``none`` does not count.
    """
    strongest, operations = strengths[:, darts.NONE + 1 :].max(1)  # (edges,) both
    cell: list[Layer] = []
    first = 0
    for node in range(darts.NODES):
        inputs = darts.INPUTS + node
        order = strongest[first : first + inputs].argsort(descending=True, stable=True)
        for source in sorted(order[: darts.PER_NODE].tolist()):
            cell.append((int(operations[first + source]) + darts.NONE + 1, source))
        first += inputs
    return cell
