"""The shared nouns: frozen, without behaviour beyond their own text form.

What their annotations say of a value beyond its type holds for what is stored: whoever reads or
writes them checks it with pydantic.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from pydantic import Field, FiniteFloat, NonNegativeInt, PositiveInt

from tans.errors import InputError
from tans.licences import LicenceChain

if TYPE_CHECKING:
    import torch

LARGEST_INPUT = 2048
"""Pixels a side of a network's input, at most: beyond it no memory holds what a layer makes."""
MISSING = "missing:"
"""Begins the place of weights that are nowhere here; what they are stands behind it."""
SCALES = (1e-3, 1e6)
"""Least and largest deviation that values are divided by."""

Name = Annotated[str, Field(min_length=1)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 of a content."""
Share = Annotated[FiniteFloat, Field(ge=0, le=1)]
Seconds = Annotated[FiniteFloat, Field(ge=0)]
Vector = tuple[FiniteFloat, ...]
Value = Annotated[FiniteFloat, Field(ge=0, le=255)]
"""Of a pixel, in one colour."""
Spread = Annotated[FiniteFloat, Field(ge=SCALES[0], le=SCALES[1])]

Layer = tuple[int, int]
"""Two numbers of one layer: in elastic spaces kernel size and expand ratio, in spaces of cells an
operation and the node it reads."""


class Images(Protocol):
    """Many images of one size, uint8 (n, 3, r, r): a tensor, or what reads them when asked for."""

    @property
    def device(self) -> torch.device:
        """Where the rows asked for come to lie."""
        ...

    @property
    def nbytes(self) -> int:
        """Bytes that all take in memory."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any, /) -> torch.Tensor:
        """Images of some rows, uint8 (m, 3, r, r)."""
        ...

    def to(self, where: torch.device, /) -> Images:
        """All of them there."""
        ...

    def split(self, size: Any, /) -> Iterable[torch.Tensor]:
        """All images in order, so many at a time."""
        ...


@dataclass(frozen=True)
class Architecture:
    """One network of a search space, in canonical form: only the layers that exist.

    Two architectures are equal if and only if they build the same network.
    """

    space: str
    """Name of the search space, such as ``lite0``."""
    stages: tuple[tuple[Layer, ...], ...]
    """Per stage or cell, its layers from input to output."""

    def __str__(self) -> str:
        """Text form, such as ``lite0:3x6,3x4|5x6``: two numbers a layer, ``|`` between stages."""
        stages = "|".join(",".join(f"{k}x{e}" for k, e in stage) for stage in self.stages)
        return f"{self.space}:{stages}"

    @classmethod
    def parse(cls, text: str) -> Architecture:
        """Inverse of ``str``.

        Raises:
            InputError: the text is not an architecture.
        """
        space, _, body = text.partition(":")
        try:
            stages = tuple(
                tuple((int(k), int(e)) for k, e in (layer.split("x") for layer in stage.split(",")))
                for stage in body.split("|")
            )
        except ValueError as error:
            raise InputError(
                f"{text!r} is not an architecture; expected a form like 'lite0:3x6,3x4|5x6'"
            ) from error
        return cls(space, stages)


@dataclass(frozen=True)
class InputSpec:
    """What a network takes: the whole image, stretched to a square, with its values scaled."""

    size: Annotated[int, Field(ge=1, le=LARGEST_INPUT)]
    """Pixels a side."""
    mean: tuple[Value, Value, Value] = (127.0, 127.0, 127.0)
    """Of red, green and blue, from 0 to 255; subtracted first."""
    std: tuple[Spread, Spread, Spread] = (128.0, 128.0, 128.0)
    """What the difference is divided by."""

    def __post_init__(self) -> None:
        least, largest = SCALES
        plausible = all(0 <= part <= 255 for part in self.mean) and all(
            least <= deviation <= largest for deviation in self.std
        )
        if not 1 <= self.size <= LARGEST_INPUT or not plausible:
            raise InputError(
                f"an input of {self.size} pixels a side, means {self.mean} and deviations "
                f"{self.std}; expected 1 to {LARGEST_INPUT} pixels, means from 0 to 255, "
                f"deviations from {least:g} to {largest:g}"
            )


@dataclass(frozen=True)
class NetworkRef:
    """Which network it is, without its weights: all that it takes to build it."""

    family: Name
    """Name of the family that builds it, such as ``elastic`` or ``timm``."""
    name: Name
    """Of the network in its family: of an elastic one its architecture as text."""
    input: InputSpec

    def __str__(self) -> str:
        """As in ``timm:mobilenetv2_100 at 64 px``."""
        return f"{self.family}:{self.name} at {self.input.size} px"


@dataclass(frozen=True)
class Costs:
    """What one forward pass of a network needs."""

    params: int
    """Trainable parameters."""
    flops: int
    """Multiply-adds of convolutions and linear layers for one image (the paper's FLOPs)."""

    def under_head(self, width: int, classes: int) -> Costs:
        """Of a body with features of that width, under a linear head of so many outputs."""
        return Costs(self.params + (width + 1) * classes, self.flops + width * classes)


@dataclass(frozen=True)
class Constraints:
    """Upper limits on a network; ``None`` means no limit."""

    max_params: float | None = None
    """Parameters, the user's head included."""
    max_flops: float | None = None
    """Multiply-adds for one image."""
    max_latency_ms: float | None = None
    """Milliseconds for one image on this device."""
    max_minutes: float | None = None
    """Minutes of a fine-tune by the default recipe on this device."""

    def __post_init__(self) -> None:
        for name, limit in vars(self).items():
            if limit is not None and not limit > 0:
                raise InputError(f"{name} is {limit}; expected a positive number")


@dataclass(frozen=True)
class ZooEntry:
    """A trained network in a zoo: which it is, its weights, and what was measured of it."""

    id: Name
    """Its first origin and the first 8 hex digits of a hash of weights, name and input size. With
    ``@`` and a size behind it, it is that network for images of another size, which is not stored.
    """
    ref: NetworkRef
    weights: Digest
    """SHA-256 of the weights file that holds it (shared by the subnets of one supernet); of their
    place where they are missing."""
    origins: Annotated[tuple[Name, ...], Field(min_length=1)]
    """Source tasks that the weights were trained on, the one that it speaks for first."""
    licence: str
    """Licence of the weights, as an SPDX expression where there is one."""
    width: PositiveInt
    """Of its features."""
    body_params: PositiveInt
    """Without a head."""
    body_flops: PositiveInt
    """Multiply-adds of the body for one image of its input's size, without a head."""
    val_accuracy: Share | None
    """On its source task's validation split, in [0, 1]; None where there are no images, or none
    were looked at in this size."""
    accuracy: Share | None
    """On its source task's test split, in [0, 1]; None likewise."""
    similarities: Vector | None = None
    """Cosine similarities among its features for the reference images, upper triangle."""
    topology: Vector | None = None
    """Topology vector of the architecture, masked; None in a family that has none."""
    functional: Vector | None = None
    """Features for the fixed Gaussian noise (the paper's functional embedding); None where the
    width is another than the zoo's base has."""
    place: Annotated[str, Field(pattern="^(package:[^/]+/|fetched:|missing:).")] | None = None
    """Where weights lie that are referenced and not stored: ``package:NAME/PATH``, or
    ``fetched:NAME`` for those of the catalogue that the cache keeps; or, as ``missing:WHAT``, what
    to give of weights that did not come with what else is known of it."""

    @property
    def has_weights(self) -> bool:
        """Whether it can be loaded; a network without is listed, found, ranked and costed."""
        return self.place is None or not self.place.startswith(MISSING)

    @property
    def body_costs(self) -> Costs:
        """What it needs without a head."""
        return Costs(self.body_params, self.body_flops)

    @property
    def task(self) -> str:
        """The source task that it speaks for."""
        return self.origins[0]

    @property
    def resolution(self) -> int:
        """Pixels a side of its input."""
        return self.ref.input.size


@dataclass(frozen=True)
class Origin:
    """A fine-tuned network that another fine-tune went on from."""

    weights: Digest
    """Of all it had, its head included."""
    task: str
    """That it was tuned on."""
    classes: tuple[str, ...]
    images: NonNegativeInt
    """That it learnt from."""
    entry: str | None
    """Stored network that it began from itself, at first; None for one of no zoo."""
    licence: str | None
    """Of that."""
    teachers: tuple[tuple[str, str], ...] = ()
    """What else it learnt from, by id and licence."""
    before: Origin | None = None
    """What it went on from itself."""

    def __str__(self) -> str:
        """As in ``1a2b3c4d, tuned on letters``."""
        return f"{self.weights[:8]}, tuned on {self.task}"


@dataclass(frozen=True)
class Transfer:
    """A measured fine-tuning of a stored network on another task."""

    source: Name
    """Entry id."""
    target: Name
    """Task name."""
    epochs: NonNegativeInt
    images: NonNegativeInt
    """Training images used."""
    accuracy: Share
    """Test accuracy on the target, in [0, 1]."""
    seed: int
    seconds: Seconds
    """Wall-clock time of the fine-tune."""
    recipe: NonNegativeInt
    """Version of the rule that fitted it (``tans.training.RECIPE``)."""
    groups: NonNegativeInt
    """Of the training images, which no split parts: so many things were seen. 0 where that was not
    counted."""


@dataclass(frozen=True)
class Match:
    """A stored network proposed for a user's task."""

    id: str
    task: str
    params: int
    """With the user's head."""
    flops: int
    """With the user's head, at ``resolution``."""
    resolution: int
    latency_ms: float | None
    """On this device; None where it was not asked for."""
    minutes: float | None
    """Of a fine-tune by the default recipe on this device; None where it was not asked for."""
    predicted_accuracy: float
    """Expected test accuracy after a fine-tune by the default recipe, in [0, 1]."""
    low: float | None
    """Lower end of the interval that holds the accuracy for nine tasks in ten; None without a
    second look."""
    high: float | None
    """Its upper end."""
    similarity: float
    """Cosine of query and model embeddings, in [-1, 1] (equation 6)."""
    licences: LicenceChain
    """Of its weights, and of all that they came from."""
