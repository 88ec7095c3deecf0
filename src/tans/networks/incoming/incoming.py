"""What comes in: a network of some family, its weights, and what stands with them.

What stands with a network counts unless its user says otherwise, and then that is told.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tans.errors import InputError
from tans.licences import normalised
from tans.networks.network import HEAD, Weights, without_head
from tans.types import InputSpec, NetworkRef

Colours = tuple[float, float, float]

IMAGENET = "imagenet"
"""Task of networks that were trained on ImageNet-1k."""
SETS = {
    "in1k": IMAGENET,
    "in12k": "imagenet-12k",
    "in21k": "imagenet-21k",
    "in22k": "imagenet-21k",
    "inw21k": "imagenet-w21k",
}
"""Names of tasks, by what tags of weights call them."""
IN_TAG = re.compile(r"(?<![a-z])inw?\d+k(?![a-z])")
EXAMPLES = {
    "size": "--size, such as 224",
    "mean": "--mean, such as 123.675,116.28,103.53",
    "std": "--std, such as 58.395,57.12,57.375",
}
BYTE = 255.0
"""Of a pixel, at most; libraries take it as 1."""
SQUARE = (
    "tans squeezes the whole image to a square by bilinear resizing, which fine-tuning adapts to"
)


@dataclass(frozen=True)
class Stated:
    """What a user says of a network that comes in, over what stands with it."""

    weights: Path | None = None
    """File of its weights, where it is named by its architecture alone."""
    output: str | None = None
    """Of an ONNX graph, the tensor that features are taken from."""
    licence: str | None = None
    """Of the weights, as an SPDX expression."""
    origin: str | None = None
    """What they were trained on: name of a source task."""
    family: str | None = None
    """Kind of image of that task, where it is new."""
    size: int | None = None
    """Pixels a side of its images."""
    mean: Colours | None = None
    """Of red, green and blue, from 0 to 255; subtracted first."""
    std: Colours | None = None
    """What the difference is divided by."""


@dataclass(frozen=True)
class Found:
    """What stands with a network, where anything does."""

    what: str
    """The network, as messages call it."""
    where: str
    """What is said of its images stands, or would."""
    beside: str
    """Licence and origin of its weights stand, or would."""
    size: int | None = None
    """Pixels a side of its images."""
    mean: Colours | None = None
    """In terms of pixels from 0 to 255; so is the deviation."""
    std: Colours | None = None
    licence: str | None = None
    """As it is written there."""
    origins: tuple[str, ...] = ()
    """Tasks that it was trained on, the last one first."""
    classes: tuple[str, ...] | None = None
    """Names of what its head tells apart."""
    notes: tuple[str, ...] = ()
    """What is odd about it, a sentence each."""


@dataclass(frozen=True)
class Settled:
    """What counts of a network: what stands with it, but for what its user says."""

    input: InputSpec
    licence: str
    """An SPDX expression."""
    origins: tuple[str, ...]
    """Tasks that it was trained on, the one that it speaks for first."""
    notes: tuple[str, ...]
    """What is odd about it, or contradicts itself, a sentence each."""


@dataclass(frozen=True, eq=False)
class Incoming:
    """A network that can be added to a zoo.

    Raises:
        InputError: weights are no finite numbers.
    """

    ref: NetworkRef
    weights: Weights
    """As ``Network.weights`` names them; with no head where that is not a linear one."""
    settled: Settled
    classes: tuple[str, ...] = ()
    """Names of what its head tells apart; none where there is no head."""
    made: str = ""
    """Where the weights come from, in words."""
    place: str | None = None
    """Where weights lie that are referenced, and not stored."""
    sha256: str | None = None
    """Of the file there."""

    def __post_init__(self) -> None:
        for name, tensor in self.weights.items():
            if tensor.is_complex() or not tensor.isfinite().all():
                raise InputError(
                    f"the weights of {self.ref.name[:80]} hold what is no finite number in {name}; "
                    "expected finite numbers: get them again"
                )

    def headless(self, why: str) -> Incoming:
        """The same without a head, and why."""
        settled = replace(self.settled, notes=(*self.settled.notes, why))
        return replace(self, weights=without_head(self.weights), classes=(), settled=settled)


def settle(found: Found, stated: Stated) -> Settled:
    """Put what a user says before what stands with a network, and tell where they differ.

    Raises:
        InputError: something is not known, or cannot be; the message says which option to give.
    """
    notes = list(found.notes)
    input = InputSpec(
        _settled(found, "size", stated.size, notes),
        _settled(found, "mean", stated.mean, notes),
        _settled(found, "std", stated.std, notes),
    )
    if max(*input.mean, *input.std) <= 1:
        notes.append(
            f"mean {input.mean} and std {input.std} look as if made for pixels from 0 to 1; here "
            "they are from 0 to 255"
        )
    licence = _licence(found, stated.licence, notes)
    return Settled(input, licence, _origins(found, stated.origin, notes), tuple(notes))


def _settled(found: Found, name: str, own: Any, notes: list[str]) -> Any:
    """One thing about images that is given, or stands with a network."""
    there = getattr(found, name)
    if own is None and there is None:
        raise _lacking(
            found, f"the {name} of its images does not stand in {found.where}", EXAMPLES[name]
        )
    if own is None:
        return there
    if there is not None and not _alike(own, there):
        notes.append(f"{found.where} says {name} {there}; taken as {own}, as you said")
    return own


def _licence(found: Found, own: str | None, notes: list[str]) -> str:
    known = _as_spdx(found.licence)
    if own is not None:
        own = normalised(own)
        if found.licence and own != known:
            notes.append(
                f"{found.beside} says licence {found.licence}; taken as {own}, as you said"
            )
        return own
    if known is not None:
        return known
    if not found.licence:
        raise _lacking(found, f"no licence stands in {found.beside}", "--licence, such as MIT")
    named = re.sub("[^A-Za-z0-9.-]+", "-", found.licence).strip("-")
    raise _lacking(
        found,
        f"{found.beside} says licence {found.licence!r}, which is no SPDX expression",
        f"--licence, such as LicenseRef-{named}",
    )


def _origins(found: Found, own: str | None, notes: list[str]) -> tuple[str, ...]:
    if own is None and not found.origins:
        raise _lacking(
            found,
            f"what it was trained on does not stand in {found.beside}",
            f"--origin, the name of a task, such as {IMAGENET}",
        )
    if own is None:
        return tuple(dict.fromkeys(found.origins))
    if not own.strip():
        raise _lacking(found, "the name of its task is empty", "--origin with a name")
    if found.origins and own not in found.origins:
        notes.append(
            f"{found.beside} says it was trained on {found.origins[0]}; taken as {own}, as you said"
        )
    return tuple(dict.fromkeys([own, *found.origins]))


def _lacking(found: Found, lacking: str, option: str) -> InputError:
    return InputError(f"{found.what}: {lacking}; give {option}")


def in_bytes(values: Sequence[float] | float, scale: float = 1 / BYTE) -> Colours:
    """Three values for pixels from 0 to 255, of those for pixels that are scaled first."""
    three = [values] * 3 if isinstance(values, int | float) else list(values)
    if len(three) == 1:
        three *= 3
    if len(three) != 3:
        raise InputError(f"{len(three)} values of colours; expected one for each of three colours")
    # as their authors wrote them, where the fourth digit behind the point still is one
    red, green, blue = (round(value / scale, 6) for value in three)
    return red, green, blue


def trained_on(tag: str) -> list[str]:
    """Tasks that a tag of weights names, such as ``augreg_in21k_ft_in1k``; the last one first."""
    return [SETS[name] for name in IN_TAG.findall(tag)[::-1] if name in SETS]


def names_of_head(weights: Weights, names: Sequence[str] | None = None) -> tuple[str, ...]:
    """Names of what a head tells apart: those given, if there are as many, else numbers."""
    bias = weights.get(f"{HEAD}bias")
    outputs = 0 if bias is None else len(bias)
    if names is not None and len(names) == outputs and len(set(names)) == outputs:
        return tuple(names)
    return tuple(map(str, range(outputs)))


def checked(weights: Mapping[str, Any], expected: Mapping[str, Any], what: str) -> None:
    """Refuse weights that are not a network's.

    Args:
        expected: tensors of its body, of the shapes that they must have.

    Raises:
        InputError: one lacks, or is of another shape.
    """
    for name, tensor in expected.items():
        found = weights.get(name)
        if found is None or found.shape != tensor.shape:
            came = "nothing" if found is None else f"{tuple(found.shape)}"
            raise InputError(
                f"the weights are not those of {what}: {name} is {came}, expected "
                f"{tuple(tensor.shape)}; give the architecture that they were trained in"
            )


def _as_spdx(found: str | None) -> str | None:
    """A licence in SPDX's spelling; None where it has none."""
    if not found:
        return None
    try:
        return normalised(found)
    except InputError:
        return None


def _alike(own: object, found: object) -> bool:
    if isinstance(own, tuple) and isinstance(found, tuple):
        return all(abs(a - b) < 1e-3 for a, b in zip(own, found, strict=True))
    return own == found
