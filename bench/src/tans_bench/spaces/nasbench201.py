"""The space of NAS-Bench-201: one cell of six edges with five operations, 15,625 in all.

Node 0 is the cell's input, node 3 its output; every node sums what its edges bring. An
architecture has a stage for each of the nodes 1 to 3, in it a layer (operation, input node) an
edge, in the order of the input nodes.

Reference: Dong and Yang, NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture
Search, ICLR 2020.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from tans.errors import InputError
from tans.types import Architecture
from tans_bench.spaces.cells import ReluConvNorm, Zero, average_pool, skip

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
"""In the benchmark's order; a layer's first number is an index into them."""
NODES = 3
"""That edges lead to."""
EDGES = NODES * (NODES + 1) // 2
STAGES = 3
"""Of a network; the width doubles and the side halves from each to the next."""


@dataclass(frozen=True)
class CellSpace201:
    """What is in the space, and the forms that a cell is written in."""

    name: str = "nas-bench-201"

    def cell(self, operations: Sequence[int]) -> Architecture:
        """Of the operation's index on each of the six edges: node 1, then node 2, then node 3."""
        drawn = iter(operations)
        stages = tuple(
            tuple((next(drawn), source) for source in range(node)) for node in range(1, NODES + 1)
        )
        return Architecture(self.name, stages)

    def all(self) -> Iterator[Architecture]:
        """Every architecture, once."""
        yield from map(self.cell, itertools.product(range(len(OPERATIONS)), repeat=EDGES))

    def sample(self, rng: random.Random) -> Architecture:
        """Draw every edge's operation uniformly and independently."""
        return self.cell([rng.randrange(len(OPERATIONS)) for _ in range(EDGES)])

    def check(self, architecture: Architecture) -> None:
        """Refuse what is not in this space.

        Raises:
            InputError: another space's name, missing edges, or no such operation.
        """
        shape = [[source for _, source in layers] for layers in architecture.stages]
        fits = (
            architecture.space == self.name
            and shape == [list(range(node)) for node in range(1, NODES + 1)]
            and all(0 <= o < len(OPERATIONS) for s in architecture.stages for o, _ in s)
        )
        if not fits:
            raise InputError(
                f"{architecture} is not in the space {self.name!r}; expected a form like "
                f"'{self.name}:3x0|1x0,3x1|0x0,4x1,2x2' with operations 0 to {len(OPERATIONS) - 1}"
            )

    def topology(self, architecture: Architecture) -> tuple[float, ...]:
        """One-hot operation of each edge in turn, 30 numbers."""
        self.check(architecture)
        return tuple(
            float(operation == choice)
            for layers in architecture.stages
            for operation, _ in layers
            for choice in range(len(OPERATIONS))
        )

    def listing(self, architecture: Architecture) -> str:
        """The benchmark's own form, such as ``|nor_conv_3x3~0|+|none~0|skip_connect~1|+...``."""
        self.check(architecture)
        return "+".join(
            "".join(f"|{OPERATIONS[operation]}~{source}" for operation, source in layers) + "|"
            for layers in architecture.stages
        )

    def from_listing(self, text: str) -> Architecture:
        """Inverse of ``listing``.

        Raises:
            InputError: the text is not a cell of this space.
        """
        try:
            stages = tuple(
                tuple(
                    (OPERATIONS.index(operation), int(source))
                    for operation, source in (edge.split("~") for edge in node[1:-1].split("|"))
                )
                for node in text.split("+")
            )
        except ValueError as error:
            raise InputError(
                f"{text!r} is not a cell of {self.name!r}; expected a form like "
                "'|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|avg_pool_3x3~2|' "
                f"with operations {', '.join(OPERATIONS)}"
            ) from error
        architecture = Architecture(self.name, stages)
        self.check(architecture)
        return architecture


NAS_BENCH_201 = CellSpace201()


@dataclass(frozen=True)
class Size:
    """How large a network is built of a cell."""

    channels: int
    """Of the first stage."""
    cells: int
    """A stage."""
    stem_stride: int = 1
    """Pixels that the stem moves by."""


PUBLISHED = Size(channels=16, cells=5)
"""Of the benchmark, for images of 32 pixels a side."""
SMALL = Size(channels=8, cells=2, stem_stride=2)
"""For many networks on few images on a CPU: at 64 pixels, at most 24 million multiply-adds."""


class Cell(nn.Module):
    """Operations on the edges of one cell, all of one width."""

    def __init__(self, architecture: Architecture, channels: int) -> None:
        super().__init__()
        self.edges = nn.ModuleList(
            nn.ModuleList(_operation(operation, channels) for operation, _ in layers)
            for layers in architecture.stages
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, r, r) to the same."""
        nodes = [x]
        for edges in self.edges:
            brought = [edge(node) for edge, node in zip(edges, nodes, strict=True)]  # type: ignore[call-overload]
            nodes.append(sum(brought[1:], brought[0]))
        return nodes[-1]


class Reduction(nn.Module):
    """Residual block that doubles the width and halves the side."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            ReluConvNorm(channels, 2 * channels, 3, stride=2),
            ReluConvNorm(2 * channels, 2 * channels, 3),
        )
        self.shortcut = nn.Sequential(
            nn.AvgPool2d(2, ceil_mode=True), nn.Conv2d(channels, 2 * channels, 1, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.shortcut(x)


class NasBench201Network(nn.Module):
    """A body of three stages of equal cells after a 3 x 3 stem.

    Args:
        architecture: the cell.
        size: width, depth, and the stem's stride.

    Raises:
        InputError: the architecture is not in the space.
    """

    def __init__(self, architecture: Architecture, size: Size = PUBLISHED) -> None:
        super().__init__()
        NAS_BENCH_201.check(architecture)
        widths = [size.channels * 2**stage for stage in range(STAGES)]
        self.stem = nn.Sequential(
            nn.Conv2d(3, widths[0], 3, size.stem_stride, padding=1, bias=False),
            nn.BatchNorm2d(widths[0]),
        )
        layers: list[nn.Module] = []
        for stage, width in enumerate(widths):
            layers += [Reduction(width // 2)] if stage else []
            layers += [Cell(architecture, width) for _ in range(size.cells)]
        self.layers = nn.Sequential(*layers)
        self.norm = nn.BatchNorm2d(widths[-1])
        self.width = widths[-1]

    def forward(self, x: Tensor) -> Tensor:
        """Pooled features, (n, 3, r, r) to (n, 4 * channels)."""
        return F.relu(self.norm(self.layers(self.stem(x)))).mean((2, 3))


def _operation(index: int, channels: int) -> nn.Module:
    match OPERATIONS[index]:
        case "none":
            return Zero()
        case "skip_connect":
            return skip(channels)
        case "nor_conv_1x1":
            return ReluConvNorm(channels, channels)
        case "nor_conv_3x3":
            return ReluConvNorm(channels, channels, 3)
        case _:
            return average_pool()
