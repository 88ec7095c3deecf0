"""The space of DARTS: a normal and a reduction cell, stacked.

A cell has two inputs (nodes 0 and 1: the outputs of the two cells before it) and four inner nodes
(2 to 5), each the sum of two operations on earlier nodes; its output is the four concatenated. An
architecture has three stages: the normal cell, the reduction cell, and one pair (channels, cells)
for the size of the network. A cell's eight layers (operation, input node) come two a node, by
ascending input.

Reference: Liu et al., DARTS: Differentiable Architecture Search, ICLR 2019.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tans.errors import InputError
from tans.types import Architecture, Layer
from tans_bench.spaces import cells

OPERATIONS = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
"""In the published order; a layer's first number is an index into them."""
NONE = 0
"""Only searched with: no cell of the space has it."""
INPUTS = 2
"""Of a cell."""
NODES = 4
"""Inner nodes of a cell."""
PER_NODE = 2
"""Operations that an inner node sums."""
EDGES = sum(INPUTS + node for node in range(NODES))
"""That a cell can choose from, in the order of ``edges``."""
STEM_FACTOR = 3
"""Width of the stem by that of the first cell."""
STEM_STRIDE = 4
"""Of the family's networks, for images of 64 pixels: cells begin at 16. As published, 1 for images
of 32 pixels and 8 for those of 224, where cells begin at 28."""

Size = tuple[int, int]
"""Channels of the first cell, and number of cells."""
PUBLISHED: Size = (36, 20)
SIZES: tuple[Size, ...] = tuple((channels, 8) for channels in (8, 12, 16, 20, 24, 28, 32, 36))
"""That a network takes here, by ascending cost. What searches find needs at 64 pixels 40 to 60
million multiply-adds in the largest, which has .9 to 1.6 million parameters, and .4 to .7 million
parameters in that of 24 channels."""


def edges() -> Iterator[tuple[int, int]]:
    """(inner node from 0, input node) of each edge a cell can choose from."""
    for node in range(NODES):
        for source in range(INPUTS + node):
            yield node, source


@dataclass(frozen=True)
class DartsSpace:
    """What is in the space, and the forms that a pair of cells is written in."""

    name: str = "darts"

    def of(
        self, normal: Sequence[Layer], reduce: Sequence[Layer], size: Size = SIZES[-1]
    ) -> Architecture:
        """Of the layers of both cells, two a node in any order.

        Raises:
            InputError: it is not in the space.
        """
        architecture = Architecture(self.name, (_ordered(normal), _ordered(reduce), (size,)))
        self.check(architecture)
        return architecture

    def sample(self, rng: random.Random, size: Size = SIZES[-1]) -> Architecture:
        """Draw each node's two inputs and their operations uniformly and independently."""
        return self.of(_drawn_cell(rng), _drawn_cell(rng), size)

    def check(self, architecture: Architecture) -> None:
        """Refuse what is not in this space.

        Raises:
            InputError: another space's name, a cell or a size that cannot be, or a node's inputs
                out of order.
        """
        stages = architecture.stages
        fits = (
            architecture.space == self.name
            and len(stages) == 3
            and all(_is_cell(cell) for cell in stages[:2])
            and len(stages[2]) == 1
            and stages[2][0][0] >= 2
            and stages[2][0][1] >= 3
        )
        if not fits:
            raise InputError(
                f"{architecture} is not in the space {self.name!r}; expected two cells of "
                f"{NODES * PER_NODE} layers (operation 1 to {len(OPERATIONS) - 1}, input below "
                f"the node), {PER_NODE} a node by ascending input, and one of (channels, cells), "
                f"as in {self.lightest(SIZES[0])}"
            )

    def lightest(self, size: Size) -> Architecture:
        """A network of that size that needs no more than any other: it only pools."""
        cell = tuple((1, source) for _ in range(NODES) for source in range(PER_NODE))
        return Architecture(self.name, (cell, cell, (size,)))

    def topology(self, architecture: Architecture) -> tuple[float, ...]:
        """Operation of each possible edge as one-hot, zeros for none, normal cell first; size.

        The length is 2 * 14 * 7 + 2 = 198.
        """
        self.check(architecture)
        normal, reduce, (size,) = architecture.stages
        return (*_one_hot(normal), *_one_hot(reduce), float(size[0]), float(size[1]))

    def listing(self, architecture: Architecture) -> dict[str, list[Any]]:
        """The usual genotype: per cell its (operation, input) pairs and the nodes it outputs."""
        self.check(architecture)
        found: dict[str, list[Any]] = {}
        for name, cell in zip(("normal", "reduce"), architecture.stages, strict=False):
            found[name] = [(OPERATIONS[operation], source) for operation, source in cell]
            found[f"{name}_concat"] = list(range(INPUTS, INPUTS + NODES))
        return found

    def from_listing(
        self, listing: Mapping[str, Sequence[Any]], size: Size = SIZES[-1]
    ) -> Architecture:
        """Inverse of ``listing``; the two layers of a node may come in any order.

        Raises:
            InputError: the listing is not a genotype of this space.
        """
        output = list(range(INPUTS, INPUTS + NODES))
        try:
            normal, reduce = (
                [(OPERATIONS.index(operation), int(source)) for operation, source in listing[name]]
                for name in ("normal", "reduce")
            )
            outputs = [list(listing.get(f"{n}_concat", output)) for n in ("normal", "reduce")]
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{listing} is not a genotype; expected 'normal' and 'reduce' with pairs of an "
                f"operation ({', '.join(OPERATIONS[1:])}) and an input node"
            ) from error
        if outputs != [output, output]:
            raise InputError(f"the cells output nodes {outputs}; expected {output} of both")
        return self.of(normal, reduce, size)


DARTS = DartsSpace()


@dataclass(frozen=True)
class CellShape:
    """Widths and strides of one cell in a stack."""

    before: int
    """Channels of the output of the cell before last."""
    last: int
    """Channels of the output of the last cell."""
    channels: int
    """Of each of its own nodes."""
    reduces: bool
    """Halves the side."""
    after_reduction: bool
    """The last cell halved the side, so the one before it gives twice of it."""

    @property
    def outputs(self) -> int:
        return NODES * self.channels

    def stride(self, source: int) -> int:
        """Of an operation on a node."""
        return 2 if self.reduces and source < INPUTS else 1


def cell_shapes(size: Size) -> list[CellShape]:
    """A stack with twice the channels and half the side after one third and two thirds of it."""
    channels, count = size
    before = last = STEM_FACTOR * channels
    shapes: list[CellShape] = []
    for index in range(count):
        reduces = index in (count // 3, 2 * count // 3)
        channels *= 2 if reduces else 1
        halved = bool(shapes) and shapes[-1].reduces
        shapes.append(CellShape(before, last, channels, reduces, halved))
        before, last = last, shapes[-1].outputs
    return shapes


class Stem(nn.Sequential):
    """Convolution and batch-norm in front of the cells."""

    def __init__(self, channels: int, stride: int) -> None:
        width = STEM_FACTOR * channels
        super().__init__(
            nn.Conv2d(3, width, 3, stride, padding=1, bias=False), nn.BatchNorm2d(width)
        )


class Preparation(nn.Module):
    """Brings the outputs of the two cells before to one width and side."""

    def __init__(self, shape: CellShape, affine: bool = True) -> None:
        super().__init__()
        self.before: nn.Module = (
            cells.FactorisedReduction(shape.before, shape.channels, affine)
            if shape.after_reduction
            else cells.ReluConvNorm(shape.before, shape.channels, affine=affine)
        )
        self.last = cells.ReluConvNorm(shape.last, shape.channels, affine=affine)

    def forward(self, before: Tensor, last: Tensor) -> list[Tensor]:
        """Nodes 0 and 1, both (n, channels, r, r)."""
        return [self.before(before), self.last(last)]


class Cell(nn.Module):
    """The chosen operations of one cell."""

    def __init__(self, layers: Sequence[Layer], shape: CellShape) -> None:
        super().__init__()
        self.sources = [source for _, source in layers]
        self.prepare = Preparation(shape)
        self.operations = nn.ModuleList(
            operation(index, shape.channels, shape.stride(source)) for index, source in layers
        )

    def forward(self, before: Tensor, last: Tensor) -> Tensor:
        """The outputs of the two cells before to (n, 4 * channels, r, r)."""
        nodes = self.prepare(before, last)
        for node in range(NODES):
            own = range(PER_NODE * node, PER_NODE * (node + 1))
            one, other = (self.operations[i](nodes[self.sources[i]]) for i in own)
            nodes.append(one + other)
        return torch.cat(nodes[INPUTS:], 1)


class DartsNetwork(nn.Module):
    """A body of cells, stacked after a 3 x 3 stem.

    Without the auxiliary head and the dropped paths that the paper trains large networks with. A
    batch-norm without weights keeps the features in bounds, since sums of sums grow with depth;
    the paper cuts large gradients instead.

    Args:
        architecture: cells and size.
        stem_stride: pixels that the stem moves by.

    Raises:
        InputError: the architecture is not in the space.
    """

    def __init__(self, architecture: Architecture, stem_stride: int = STEM_STRIDE) -> None:
        super().__init__()
        DARTS.check(architecture)
        normal, reduce, (size,) = architecture.stages
        shapes = cell_shapes(size)
        self.stem = Stem(size[0], stem_stride)
        self.cells = nn.ModuleList(
            Cell(reduce if shape.reduces else normal, shape) for shape in shapes
        )
        self.norm = nn.BatchNorm2d(shapes[-1].outputs, affine=False)
        self.width = shapes[-1].outputs

    def forward(self, x: Tensor) -> Tensor:
        """Pooled features, (n, 3, r, r) to (n, 16 * channels)."""
        before = last = self.stem(x)
        for cell in self.cells:
            before, last = last, cell(before, last)
        return self.norm(last).mean((2, 3))


def operation(index: int, channels: int, stride: int, affine: bool = True) -> nn.Module:
    """One of ``OPERATIONS``; without ``affine`` its pools are normalised as well, to compare."""
    match OPERATIONS[index]:
        case "none":
            return cells.Zero(stride)
        case "max_pool_3x3":
            return _pool(cells.max_pool(stride), channels, affine)
        case "avg_pool_3x3":
            return _pool(cells.average_pool(stride), channels, affine)
        case "skip_connect":
            return cells.skip(channels, stride, affine)
        case "sep_conv_3x3":
            return cells.SeparableConv(channels, 3, stride, affine)
        case "sep_conv_5x5":
            return cells.SeparableConv(channels, 5, stride, affine)
        case "dil_conv_3x3":
            return cells.DepthwiseConv(channels, 3, stride, dilation=2, affine=affine)
        case _:
            return cells.DepthwiseConv(channels, 5, stride, dilation=2, affine=affine)


def _pool(pool: nn.Module, channels: int, affine: bool) -> nn.Module:
    return pool if affine else nn.Sequential(pool, nn.BatchNorm2d(channels, affine=False))


def _ordered(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """The same with the layers of each node by ascending input."""
    order = sorted(enumerate(layers), key=lambda one: (one[0] // PER_NODE, one[1][1]))
    return tuple(layer for _, layer in order)


def _is_cell(layers: Sequence[Layer]) -> bool:
    if len(layers) != NODES * PER_NODE:
        return False
    sources = [source for _, source in layers]
    pairs = zip(sources[::PER_NODE], sources[1::PER_NODE], strict=True)
    return all(NONE < operation < len(OPERATIONS) for operation, _ in layers) and all(
        0 <= low < high < INPUTS + node for node, (low, high) in enumerate(pairs)
    )


def _drawn_cell(rng: random.Random) -> list[Layer]:
    return [
        (rng.randrange(NONE + 1, len(OPERATIONS)), source)
        for node in range(NODES)
        for source in rng.sample(range(INPUTS + node), PER_NODE)
    ]


def _one_hot(cell: Sequence[Layer]) -> list[float]:
    chosen = {(index // PER_NODE, source): o for index, (o, source) in enumerate(cell)}
    return [
        float(chosen.get(edge) == choice)
        for edge in edges()
        for choice in range(NONE + 1, len(OPERATIONS))
    ]
