"""A search space as data: which subnets exist, how each is encoded, and what each costs.

References:
    Cai et al., Once-for-All: Train One Network and Specialize it for Efficient Deployment,
    ICLR 2020.
    Tan and Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, ICML 2019.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

from tans.errors import InputError
from tans.types import Architecture, Costs, InputSpec, Layer, NetworkRef

FAMILY = "elastic"


@dataclass(frozen=True)
class Stage:
    """Inverted-residual layers of one width; the first layer has the stride."""

    channels: int
    stride: int
    depths: tuple[int, ...]
    """Choices for the number of layers, ascending."""
    kernels: tuple[int, ...]
    """Choices of depthwise kernel size, ascending."""
    expands: tuple[int, ...]
    """Choices of expand ratio, ascending; 1 leaves the expanding convolution out."""
    activation: str = "relu6"
    squeeze_excite: bool = False


@dataclass(frozen=True)
class Slot:
    """Where a layer may stand."""

    stage: int
    """Number of its stage, from 0."""
    place: int
    """In its stage, from 0; the first has the stage's stride."""
    layers: tuple[Layer, ...]
    """That may stand there, by kernel size, then by expand ratio."""
    optional: bool
    """Whether it is empty where its stage is shallow."""


@dataclass(frozen=True)
class Convolution:
    """Shape of one convolution, enough to build it and to count it."""

    in_channels: int
    out_channels: int
    kernel: int = 1
    stride: int = 1
    depthwise: bool = False
    norm: bool = True
    bias: bool = False
    pooled: bool = False
    """Works on the pooled (1 x 1) features."""

    @property
    def params(self) -> int:
        fan_in = 1 if self.depthwise else self.in_channels
        per_output = fan_in * self.kernel**2 + 2 * self.norm + self.bias
        return self.out_channels * per_output

    @property
    def flops_per_position(self) -> int:
        fan_in = 1 if self.depthwise else self.in_channels
        return self.out_channels * fan_in * self.kernel**2


@dataclass(frozen=True)
class Specification:
    """An elastic network: a stem, one fixed layer, elastic stages, a tail, and a linear head."""

    name: str
    stem: int
    """Output channels of the stride-2 stem."""
    first: Stage
    """The fixed layer after the stem; a single choice of everything."""
    stages: tuple[Stage, ...]
    tail: int
    """Output channels of the last convolution before pooling."""
    mix: int | None = None
    """Output width of a linear map after pooling; None leaves it out."""
    activation: str = "relu6"
    """Of stem, tail and mix."""
    same_padding: bool = True
    """Pad as TensorFlow does (asymmetric at stride 2) instead of kernel // 2 on each side."""
    norm_eps: float = 1e-3
    kernel_transforms: bool = False
    """Smaller kernels are learnt linear maps of the larger one's centre (Once-for-All)."""

    @property
    def features(self) -> int:
        """Width of the features before the head."""
        return self.mix or self.tail

    @property
    def largest(self) -> Architecture:
        return self._extreme(-1)

    @property
    def smallest(self) -> Architecture:
        return self._extreme(0)

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """From input to output, as many in a stage as it has layers at most."""
        return tuple(
            Slot(
                number,
                place,
                tuple(itertools.product(stage.kernels, stage.expands)),
                optional=place >= stage.depths[0],
            )
            for number, stage in enumerate(self.stages)
            for place in range(stage.depths[-1])
        )

    def to_slots(self, architecture: Architecture) -> list[Layer | None]:
        """The layer in each slot, None in an empty one.

        Raises:
            InputError: the architecture is not in this space.
        """
        self.check(architecture)
        stages = architecture.stages
        return [
            stages[slot.stage][slot.place] if slot.place < len(stages[slot.stage]) else None
            for slot in self.slots
        ]

    def from_slots(self, layers: Iterable[Layer | None]) -> Architecture:
        """Inverse of ``to_slots``; layers behind an empty slot of their stage close up."""
        stages: list[list[Layer]] = [[] for _ in self.stages]
        for slot, layer in zip(self.slots, layers, strict=True):
            if layer is not None:
                stages[slot.stage].append(layer)
        return Architecture(self.name, tuple(map(tuple, stages)))

    def _extreme(self, end: int) -> Architecture:
        return Architecture(
            self.name,
            tuple(((s.kernels[end], s.expands[end]),) * s.depths[end] for s in self.stages),
        )

    def sample(self, rng: random.Random) -> Architecture:
        """Draw depth, kernels and expand ratios uniformly and independently."""
        return Architecture(
            self.name,
            tuple(
                tuple(
                    (rng.choice(s.kernels), rng.choice(s.expands))
                    for _ in range(rng.choice(s.depths))
                )
                for s in self.stages
            ),
        )

    def check(self, architecture: Architecture) -> None:
        """Refuse what is not in this space.

        Raises:
            InputError: another space's name, or a choice that does not exist here.
        """
        fits = (
            architecture.space == self.name
            and len(architecture.stages) == len(self.stages)
            and all(
                len(layers) in stage.depths
                and all(k in stage.kernels and e in stage.expands for k, e in layers)
                for layers, stage in zip(architecture.stages, self.stages, strict=True)
            )
        )
        if not fits:
            raise InputError(
                f"{architecture} is not in the space {self.name!r}; "
                f"its smallest is {self.smallest}, its largest {self.largest}"
            )

    @property
    def topology_size(self) -> int:
        """Length of the topology vector: two numbers a layer slot and one a stage."""
        return 2 * len(self.slots) + len(self.stages)

    def topology(self, architecture: Architecture) -> tuple[float, ...]:
        """Topology vector v_t (paper, section 3.2): kernels, expand ratios, depths.

        Empty slots are 0, so equal vectors mean equal networks.
        """
        layers = [layer or (0, 0) for layer in self.to_slots(architecture)]
        kernels, expands = zip(*layers, strict=True)
        return tuple(map(float, (*kernels, *expands, *map(len, architecture.stages))))

    def costs(self, architecture: Architecture, classes: int, resolution: int) -> Costs:
        """Parameters and multiply-adds with a linear head of ``classes`` outputs."""
        params = (self.features + 1) * classes
        flops = self.features * classes
        side = resolution
        for convolution in self.convolutions(architecture):
            side = 1 if convolution.pooled else math.ceil(side / convolution.stride)
            params += convolution.params
            # squeeze-excite works on pooled features without ending the feature map
            flops += convolution.flops_per_position * side**2
        for convolution in self.squeeze_excites(architecture):
            params += convolution.params
            flops += convolution.flops_per_position
        return Costs(params, flops)

    def convolutions(self, architecture: Architecture) -> Iterator[Convolution]:
        """All convolutions from input to features, squeeze-excite left out."""
        yield Convolution(3, self.stem, 3, stride=2)
        for stage, width_in, stride, layer in self.layers(architecture):
            yield from layer_convolutions(stage, width_in, stride, layer)
        yield Convolution(self.stages[-1].channels, self.tail)
        if self.mix is not None:
            yield Convolution(self.tail, self.mix, norm=False, pooled=True)

    def squeeze_excites(self, architecture: Architecture) -> Iterator[Convolution]:
        """The pairs of convolutions on pooled features that re-weight channels."""
        for stage, width_in, _, (_, expand) in self.layers(architecture):
            if stage.squeeze_excite:
                width = divisible(width_in * expand)
                squeezed = divisible(width // 4)
                yield Convolution(width, squeezed, norm=False, bias=True)
                yield Convolution(squeezed, width, norm=False, bias=True)

    def layers(self, architecture: Architecture) -> Iterator[tuple[Stage, int, int, Layer]]:
        """(stage, input channels, stride, layer) of every layer, the fixed one first."""
        first = (self.first.kernels[0], self.first.expands[0])
        yield self.first, self.stem, self.first.stride, first
        width = self.first.channels
        for stage, layers in zip(self.stages, architecture.stages, strict=True):
            for index, layer in enumerate(layers):
                yield stage, width, stage.stride if index == 0 else 1, layer
                width = stage.channels


def layer_convolutions(
    stage: Stage, width_in: int, stride: int, layer: Layer
) -> Iterator[Convolution]:
    """Expand (where the ratio is above 1), depthwise, project."""
    kernel, expand = layer
    width = divisible(width_in * expand) if expand > 1 else width_in
    if expand > 1:
        yield Convolution(width_in, width)
    yield Convolution(width, width, kernel, stride=stride, depthwise=True)
    yield Convolution(width, stage.channels)


def divisible(width: float) -> int:
    """Nearest multiple of 8, never more than a tenth below ``width``."""
    nearest = max(8, int(width + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * width else nearest


def _lite0_stage(channels: int, stride: int, depth: int, kernel: int) -> Stage:
    kernels = tuple(k for k in (3, 5) if k <= kernel)
    return Stage(channels, stride, tuple(range(1, depth + 1)), kernels, (3, 4, 6))


LITE0 = Specification(
    name="lite0",
    stem=32,
    first=Stage(16, 1, (1,), (3,), (1,)),
    stages=(
        _lite0_stage(24, 2, depth=2, kernel=3),
        _lite0_stage(40, 2, depth=2, kernel=5),
        _lite0_stage(80, 2, depth=3, kernel=3),
        _lite0_stage(112, 1, depth=3, kernel=5),
        _lite0_stage(192, 2, depth=4, kernel=5),
        _lite0_stage(320, 1, depth=1, kernel=3),
    ),
    tail=1280,
)
"""EfficientNet-Lite0, elastic in depth, expand ratio and kernel size."""


def _once_for_all(name: str, width: float) -> Specification:
    """Of one width, as the authors' package ``ofa`` 0.1 builds it."""

    def channels(base: int) -> int:
        return divisible(base * width)

    stages = (
        (24, 2, "relu", False),
        (40, 2, "relu", True),
        (80, 2, "hswish", False),
        (112, 1, "hswish", True),
        (160, 2, "hswish", True),
    )
    return Specification(
        name=name,
        stem=channels(16),
        first=Stage(channels(16), 1, (1,), (3,), (1,), activation="relu"),
        stages=tuple(
            Stage(channels(base), stride, (2, 3, 4), (3, 5, 7), (3, 4, 6), activation, excite)
            for base, stride, activation, excite in stages
        ),
        tail=channels(960),
        mix=channels(1280),
        activation="hswish",
        same_padding=False,
        norm_eps=1e-5,
        kernel_transforms=True,
    )


OFA_MBV3 = _once_for_all("ofa-mbv3", 1.0)
"""The MobileNetV3 space of Once-for-All (paper, section 4.1)."""
OFA_MBV3_WIDE = _once_for_all("ofa-mbv3-1.2", 1.2)
"""The same 1.2 times as wide, as in the released code of TANS."""

SPACES = {space.name: space for space in (LITE0, OFA_MBV3, OFA_MBV3_WIDE)}


def get_space(name: str) -> Specification:
    """The space of that name.

    Raises:
        InputError: there is none.
    """
    if name not in SPACES:
        raise InputError(f"no search space {name!r}; expected one of {', '.join(SPACES)}")
    return SPACES[name]


def ref_of(architecture: Architecture, size: int) -> NetworkRef:
    """The network of an architecture, for images of so many pixels a side."""
    return NetworkRef(FAMILY, str(architecture), InputSpec(size))


@lru_cache(maxsize=2**16)
def architecture_of(ref: NetworkRef) -> Architecture:
    """Inverse of ``ref_of``.

    Raises:
        InputError: the network is of another family, or in no space.
    """
    if ref.family != FAMILY:
        raise InputError(f"{ref} is not of the family {FAMILY!r}; expected a slice of a supernet")
    architecture = Architecture.parse(ref.name)
    get_space(architecture.space).check(architecture)
    return architecture
