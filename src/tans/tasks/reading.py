"""What the samples of pictures mean: one range for each sample type, one ground, for a whole task.

A range found for each picture by itself would take a dark picture for a bright one, and a network
tuned under one range calls the same picture something else under another. So both are found once
from all pictures of a task, recorded with the network, and used for whatever it is shown.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tans.errors import InputError
from tans.tasks.decoding import Picture, Samples

BYTE = "uint8"
Range = tuple[float, float]
Colour = tuple[int, int, int]

WHITE, BLACK, GREY = (255, 255, 255), (0, 0, 0), (128, 128, 128)
GROUNDS = {WHITE: "white", BLACK: "black", GREY: "grey"}
"""What may lie under transparent parts, and its name."""
SHOWS = 32.0
"""Levels of 255 by which contents differ from a ground, on average, where they show on it."""
FEWEST = 0.05
"""Share of pictures that may not show on a ground that is taken all the same."""
USED = 0.25
"""Share of a usual range that samples must fill; what fills less gets a range of its own."""
TAIL = 0.1
"""Per cent of samples that a range of its own leaves out at either end."""
KEPT, LEAST_KEPT = 1024, 16
"""Samples that a picture gives to the evidence, at most, and where there are very many pictures."""
POOLED = 2**25
"""Samples that all pictures give, about, where there are many."""
USUAL: dict[str, tuple[Range, ...]] = {
    "integer": tuple((0.0, 2.0**bits - 1) for bits in (8, 10, 12, 14, 16, 24, 32)),
    "float": ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0), (0.0, 65535.0)),
}
"""Ranges that cameras and programs use, the narrowest first."""

_RANGE = re.compile(r"(?:(?P<type>[a-z]+\d*)=)?(?P<low>[^:=]+):(?P<high>[^:=]+)", re.IGNORECASE)
SAMPLES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float16", "float32", "float64")
ANY = "any"
"""Stands for whatever sample type of more than 8 bits a range is needed for."""


@dataclass(frozen=True)
class Reading:
    """How samples become 8 bits for each colour; the same for all pictures of a task."""

    ranges: Mapping[str, Range] = field(default_factory=lambda: {BYTE: (0.0, 255.0)})
    """For each sample type, such as ``uint16``, what becomes 0 and what becomes 255."""
    ground: Colour = WHITE
    """Under transparent parts."""

    def __post_init__(self) -> None:
        for sample, (low, high) in self.ranges.items():
            if not (math.isfinite(low) and math.isfinite(high) and low < high):
                raise InputError(
                    f"the range of {sample} is {low:g}:{high:g}; expected two numbers, the lower "
                    "first, such as 0:4095"
                )
        if self.ranges.get(BYTE, (0, 255)) != (0, 255):
            low, high = self.ranges[BYTE]
            raise InputError(
                f"the range of {BYTE} is {low:g}:{high:g}; 8 bits are always 0:255; leave it out"
            )
        if not all(0 <= level <= 255 for level in self.ground):
            raise InputError(f"the ground is {self.ground}; expected three levels from 0 to 255")
        object.__setattr__(self, "ranges", MappingProxyType(dict(self.ranges)))

    @classmethod
    def whole(cls) -> Reading:
        """Every sample type over all that it can hold, floats from 0 to 1."""
        return cls({BYTE: (0.0, 255.0), "uint16": (0.0, 65535.0), "float32": (0.0, 1.0)})

    def __reduce__(self) -> tuple[type[Reading], tuple[dict[str, Range], Colour]]:
        return Reading, (dict(self.ranges), self.ground)  # a mapping proxy does not travel

    def knows(self, picture: Picture) -> bool:
        """Whether there is a range for its sample type."""
        return picture.sample in self.ranges

    def asks(self, sample: str) -> str:
        """What to say of a picture of a sample type that has no range."""
        known = ", ".join(f"{name} {low:g}:{high:g}" for name, (low, high) in self.ranges.items())
        wanted = "0:255" if sample == BYTE else "LOW:HIGH"
        return (
            f"its samples are {sample} and the network learnt from {known or 'none'}; what the "
            f"darkest and the brightest value are has to be said: --range {sample}={wanted}"
        )

    def with_ranges(self, ranges: Mapping[str, Range]) -> Reading:
        """The same with further ranges, which come first; ``ANY`` stays for ``widened``."""
        return Reading({**self.ranges, **ranges}, self.ground)

    def widened(self, samples: Iterable[str], given: Mapping[str, Range]) -> Reading:
        """The same with what a user gives for some sample types.

        A range that names no type goes to each of ``samples`` that has more than 8 bits, and to
        8 bits where it is theirs.
        """
        own = {name: limits for name, limits in given.items() if name != ANY}
        if ANY in given:
            fits = (name for name in samples if name != BYTE or given[ANY] == (0, 255))
            own = {**dict.fromkeys(fits, given[ANY]), **own}
        return self.with_ranges(own) if own else self

    def flat(self, picture: Picture) -> Image.Image:
        """A picture in RGB, on the ground, at its own size.

        Raises:
            KeyError: there is no range for its sample type.
        """
        image = self._image(picture).convert("RGB")
        if picture.alpha is None:
            return image
        image.putalpha(Image.fromarray(picture.alpha))
        return Image.alpha_composite(Image.new("RGBA", image.size, self.ground), image).convert(
            "RGB"
        )

    def square(self, picture: Picture, resolution: int) -> NDArray[np.uint8]:
        """A picture as a square in RGB, antialiased, uint8 (r, r, 3).

        Raises:
            KeyError: there is no range for its sample type.
        """
        side = (resolution, resolution)
        image = self._image(picture) if picture.alpha is None else self.flat(picture)
        small = image.resize(side, Image.Resampling.BILINEAR, reducing_gap=3.0)
        return np.array(small.convert("RGB"))

    def words(self) -> list[str]:
        """What is worth telling: ranges of more than 8 bits, and a ground that is not white."""
        told = [
            f"{sample} samples are read from {low:g} (dark) to {high:g} (bright)"
            for sample, (low, high) in self.ranges.items()
            if sample != BYTE
        ]
        if self.ground != WHITE:
            name = GROUNDS.get(self.ground, str(self.ground))
            told.append(f"transparent parts are put on {name}, where the contents show")
        return told

    def to_json(self) -> dict[str, Any]:
        """Plain values, for a description."""
        return {
            "ranges": {name: list(limits) for name, limits in self.ranges.items()},
            "ground": list(self.ground),
        }

    def _image(self, picture: Picture) -> Image.Image:
        """The colours in 8 bits, in L or RGB."""
        low, high = self.ranges[picture.sample]
        if isinstance(picture.source, Image.Image):
            return picture.source
        if picture.sample == BYTE:
            return Image.fromarray(picture.source)
        scaled = (picture.source.astype(np.float64) - low) * (255 / (high - low))
        # what is not a number is dark, infinities are the ends
        limited = np.nan_to_num(scaled, nan=0.0, posinf=255.0, neginf=0.0).clip(0, 255)
        return Image.fromarray(limited.round().astype(np.uint8))


@dataclass(frozen=True, eq=False)
class Evidence:
    """What one picture says of the range and the ground of its task."""

    sample: str
    low: float
    """Its lowest sample that is a number; infinite where there is none."""
    high: float
    some: Samples
    """Some of its samples (m,); none of 8 bits."""
    contrasts: tuple[float, ...] | None
    """Mean difference of what is seen of it from each of ``GROUNDS``, in levels; None where it is
    opaque throughout, or of more than 8 bits, NaN where nothing of it is seen."""
    clear: bool = False
    """Whether parts of it are transparent."""

    def against_grounds(self, limits: Range) -> tuple[float, ...] | None:
        """``contrasts``, with the range that samples of more than 8 bits have."""
        if self.sample == BYTE or not self.clear:
            return self.contrasts
        if not self.some.size:
            return (math.nan,) * len(GROUNDS)
        levels = _levels(self.some, limits)
        return tuple(float(np.abs(levels - ground[0]).mean()) for ground in GROUNDS)

    @classmethod
    def of(cls, picture: Picture, kept: int = KEPT) -> Evidence:
        """What a picture says, by about ``kept`` of its samples, where it has so many."""
        clear = picture.alpha is not None
        if picture.sample == BYTE and not clear:
            return PLAIN  # one for all, as there may be a million
        if picture.sample == BYTE:
            return cls(BYTE, 0, 255, np.empty(0), _contrasts(picture), clear)
        samples = picture.colours if picture.alpha is None else picture.colours[picture.alpha > 0]
        finite = samples[np.isfinite(samples)]
        if not finite.size:
            return cls(picture.sample, math.inf, -math.inf, finite, None, clear)
        some = finite[:: max(1, finite.size // kept)].copy()  # lest it hold the whole picture
        return cls(picture.sample, float(finite.min()), float(finite.max()), some, None, clear)


PLAIN = Evidence(BYTE, 0, 255, np.empty(0), None)
"""What a picture of 8 bits says that has no transparent part."""


def samples_of_each(pictures: int) -> int:
    """Samples that each of so many pictures gives to the evidence, about; a power of two."""
    share = POOLED // max(pictures, 1)
    return max(LEAST_KEPT, min(KEPT, 1 << (share.bit_length() - 1)) if share else LEAST_KEPT)


def find_reading(
    evidence: Iterable[Evidence],
    given: Mapping[str, Range] | None = None,
    before: Reading | None = None,
) -> Reading:
    """The reading of a task, from all of its pictures.

    A range is the narrowest usual one that holds all samples (12 bits in 16: 0 to 4095), if they
    fill a quarter of it; else what they fill themselves, but for a thousandth at either end.

    Args:
        given: ranges that the user states; ``ANY`` for every type of more than 8 bits.
        before: a reading whose ground stays, and whose ranges do where none is given.

    Raises:
        InputError: a given range has no width, or 8 bits are given another than 0:255.
    """
    known, given = list(evidence), dict(given or {})
    ranges: dict[str, Range] = {} if before is None else dict(before.ranges)
    for sample in sorted({one.sample for one in known}):
        own = [one for one in known if one.sample == sample]
        stated = given.get(sample, given.get(ANY) if sample != BYTE else None)
        ranges[sample] = stated or ranges.get(sample) or _found_range(sample, own)
    if before is not None:
        return Reading(ranges, before.ground)
    contrasts = [one.against_grounds(ranges[one.sample]) for one in known]
    seen = [each for each in contrasts if each is not None]
    return Reading(ranges, _found_ground(np.array(seen).reshape(-1, len(GROUNDS))))


def read_range(text: str) -> tuple[str, Range]:
    """Parse ``LOW:HIGH`` or ``TYPE=LOW:HIGH``: the sample type, or ``ANY``, and its range.

    Raises:
        InputError: it is no such text, or the range has no width.
    """
    match = re.fullmatch(_RANGE, text.strip())
    try:
        if match is None or (match["type"] or "uint8").lower() not in SAMPLES:
            raise ValueError(text)
        limits = float(match["low"]), float(match["high"])
    except ValueError as error:
        raise InputError(
            f"{text!r} is not a range; expected LOW:HIGH, such as 0:4095, or TYPE=LOW:HIGH, such "
            f"as uint16=0:4095, with a type of {', '.join(SAMPLES)}"
        ) from error
    sample = (match["type"] or ANY).lower()
    Reading({sample: limits})  # which refuses what has no width
    return sample, limits


def _levels(samples: Samples, limits: Range) -> NDArray[np.float64]:
    """Samples between the ends of a range as 0 to 255, of the same shape."""
    low, high = limits
    scaled = (samples.astype(np.float64) - low) * (255 / (high - low))
    # what is not a number is dark, infinities are the ends
    return np.nan_to_num(scaled, nan=0.0, posinf=255.0, neginf=0.0).clip(0, 255)


def _found_range(sample: str, own: list[Evidence]) -> Range:
    if sample == BYTE:
        return 0.0, 255.0
    low, high = min(one.low for one in own), max(one.high for one in own)
    if not low < high:  # a single value, or none: there is nothing to show
        return (low, low + 1) if math.isfinite(low) else (0.0, 1.0)
    pooled = np.concatenate([one.some for one in own]).astype(np.float64)
    inner, outer = np.percentile(pooled, (TAIL, 100 - TAIL))
    usual = USUAL["float" if sample.startswith("float") else "integer"]
    for bottom, top in usual:
        if bottom <= low and high <= top:
            if outer - inner >= USED * (top - bottom):
                return bottom, top
            break
    return (float(inner), float(outer)) if inner < outer else (low, high)


def _found_ground(contrasts: NDArray[np.float64]) -> Colour:
    """White where contents show on it, else what they show best on; from (n, grounds)."""
    seen = contrasts[~np.isnan(contrasts).any(1)]
    if not len(seen):
        return WHITE
    grounds = list(GROUNDS)
    weakest = np.quantile(seen, FEWEST, axis=0)  # (grounds,)
    if weakest[0] >= SHOWS:
        return grounds[0]
    return grounds[int(weakest.argmax())]


def _contrasts(picture: Picture) -> tuple[float, ...] | None:
    if picture.alpha is None:
        return None
    weight = picture.alpha / 255  # (h, w)
    total = float(weight.sum())
    if not total:
        return (math.nan,) * len(GROUNDS)
    colours = picture.colours.astype(np.float64)  # (h, w, 3)
    return tuple(
        float((np.abs(colours - ground).mean(-1) * weight).sum() / total) for ground in GROUNDS
    )
