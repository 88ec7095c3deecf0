"""Characters of a script, as many font families draw them.

A face takes part when it holds every character of the task, so all classes come from the same
faces. The families are the groups; families whose drawings are practically the same (clones,
renamed builds) are one.
"""

from __future__ import annotations

import logging
import random
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np
import torch
from fontTools.ttLib import TTCollection, TTFont, TTLibError
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from tans_bench.errors import SourceError
from tans_bench.sources.lookalikes import (
    NEAR_DUPLICATE,
    fingerprints,
    join_groups,
    near_duplicates,
)
from tans_bench.sources.packages import Package
from tans_bench.sources.pictures import Pictures, collect

STYLES = re.compile(
    r"[\s-]+("
    r"(extra|ultra|semi|demi)?[\s-]?(light|bold|black)|thin|hairline|book|regular|medium|heavy"
    r"|italic|oblique|slanted|roman|plain|w\d|eb|lt|sb|db"
    r"|(extra|semi)?[\s-]?condensed|condence\w*|cond|narrow|expanded|caps|g\w+[&-]g\w+"
    r")$",
    re.IGNORECASE,
)
"""A word of weight, slope, width or licence (``GPL&GNU``) at the end of a family's name."""
KINDS = re.compile(" (?:LETTER|SYLLABLE|CHARACTER|SMALL LIGATURE) ")
"""What stands in a Unicode name between the script and the character's own name."""
SYMBOL_FAMILIES = frozenset({"D050000L", "Noto Sans Symbols", "Standard Symbols PS", "UKIJ Tughra"})
"""Fonts that draw symbols, or whole phrases, in the place of letters."""
SIZE = 64
FACE_LIMIT = 120
FEWEST_FAMILIES = 10
SAME_DESIGN = 0.97
"""Mean cosine of two families' drawings, over the characters, above which they are one."""
IDENTICAL = 0.9995
"""The same above which one of two faces is left out."""


@dataclass(frozen=True)
class Face:
    """One face of a font file."""

    path: Path
    index: int
    family: str
    """Typographic family name without words of weight and width."""


def class_name(character: str, script: str | None = None) -> str:
    """A character's name in ASCII, such as ``cyrillic be``, or with a script of one's own.

    The script's own word is left out where one is given: ``latin small a``, ``math infinity``.
    """
    name = unicodedata.name(character)
    parts = KINDS.split(name, maxsplit=1)
    first = script or name.split()[0]
    return f"{first} {parts[-1]}".lower()


def faces(packages: Iterable[Package], characters: str) -> list[Face]:
    """Every face of the packages that holds all the characters, in a fixed order."""
    files = chain.from_iterable(package.files("**/*") for package in packages)
    fonts = (path for path in files if path.suffix.lower() in {".ttf", ".otf", ".ttc"})
    with _silent_font_tools():
        found = list(chain.from_iterable(_faces_of(path, characters) for path in fonts))
    return [face for face in found if face.family not in SYMBOL_FAMILIES]


@contextmanager
def _silent_font_tools() -> Iterator[None]:
    """Keep quiet about the small faults that old fonts are full of."""
    log = logging.getLogger("fontTools")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)


def _faces_of(path: Path, characters: str) -> list[Face]:
    """The faces of a file; none when it cannot be read, as old packages hold odd files."""
    wanted = set(map(ord, characters))
    collection = path.suffix.lower() == ".ttc"
    try:
        with TTCollection(path) if collection else TTFont(path) as opened:
            return [
                Face(path, index, _family(font))
                for index, font in enumerate(opened.fonts if collection else [opened])
                if wanted <= (font.getBestCmap() or {}).keys()
            ]
    except (TTLibError, OSError, ValueError, KeyError, AssertionError):
        return []


def _family(font: TTFont) -> str:
    names = font["name"]
    family = str(names.getDebugName(16) or names.getDebugName(1) or "unnamed").strip()
    while (shorter := STYLES.sub("", family)) != family:
        family = shorter
    return family


def draw(face: Face, character: str, size: int) -> Image.Image | None:
    """A character black on white, centred, its longer side three quarters of the square.

    Returns None when the face draws nothing for it.
    """
    font = ImageFont.truetype(str(face.path), 2 * size, index=face.index)
    left, top, right, bottom = font.getbbox(character)
    width, height = int(right - left), int(bottom - top)
    if min(width, height) < 2:
        return None
    glyph = Image.new("L", (width, height), 255)
    ImageDraw.Draw(glyph).text((-left, -top), character, fill=0, font=font)
    scale = 0.75 * size / max(width, height)
    fitted = (max(1, round(width * scale)), max(1, round(height * scale)))
    canvas = Image.new("L", (size, size), 255)
    offset = ((size - fitted[0]) // 2, (size - fitted[1]) // 2)
    canvas.paste(glyph.resize(fitted, Image.Resampling.LANCZOS), offset)
    return canvas


def draw_all(face: Face, characters: str, size: int) -> Tensor | None:
    """All characters as uint8 (c, size, size), or None when one is blank or two are the same."""
    try:
        drawn = [draw(face, character, size) for character in characters]
    except (OSError, ValueError):
        return None
    if any(image is None for image in drawn):
        return None
    glyphs = np.stack([np.asarray(image) for image in drawn])
    distinct = len({glyph.tobytes() for glyph in glyphs}) == len(characters)
    inked = (glyphs < 128).any((1, 2)).all()
    return torch.from_numpy(glyphs) if distinct and inked else None  # (c, s, s)


@dataclass(frozen=True)
class Script:
    """The characters of a script, one class each."""

    characters: str
    unlike: tuple[str, ...] = ()
    """Characters of other tasks; a drawing that looks like one of theirs is left out."""
    fewest: int = FEWEST_FAMILIES
    per_family: int = FACE_LIMIT
    """Faces of a group at most, so that one family of many weights does not fill the task."""

    def __call__(self, packages: Sequence[Package]) -> Pictures:
        """Draw them by the fonts of some packages."""
        drawn = sheet(packages, self.characters, self.fewest, self.per_family)
        count, classes = drawn.glyphs.shape[:2]
        groups = tuple(family for family in drawn.families for _ in range(classes))
        pictures = Pictures(_colour(drawn.glyphs), torch.arange(classes).repeat(count), groups)
        for characters in self.unlike:
            others = _colour(sheet(packages, characters, fewest=1).glyphs)
            pictures = pictures.take(unlike(pictures.images, others))
        return pictures.take(first_of_families(pictures))


@dataclass(frozen=True)
class Typefaces:
    """Font families, one class each, and the characters to tell them by as groups."""

    faces: tuple[str, ...]
    """Names of font files, without their ending."""
    characters: str

    def __call__(self, packages: Sequence[Package]) -> Pictures:
        """Draw every character by every face, blanks left out, look-alikes in one group.

        Raises:
            SourceError: a face is missing.
        """
        found = {face.path.stem: face for face in faces(packages, self.characters)}
        missing = [stem for stem in self.faces if stem not in found]
        if missing:
            raise SourceError(
                f"no font file {', '.join(missing)} holds all of {self.characters!r}; expected one "
                "in the packages, so a version may be laid out differently"
            )
        drawn = [
            (np.asarray(glyph.convert("RGB")), label, character)
            for label, stem in enumerate(self.faces)
            for character in self.characters
            if (glyph := draw(found[stem], character, SIZE)) is not None
        ]
        return collect(drawn).unambiguous().joined()


def _colour(glyphs: Tensor) -> Tensor:
    """Grey drawings (f, c, s, s) as pictures uint8 (f * c, 3, s, s)."""
    return glyphs.flatten(0, 1)[:, None].expand(-1, 3, -1, -1).contiguous()  # (n, 3, s, s)


@dataclass(frozen=True)
class Sheet:
    """The characters of a script as drawn by many faces."""

    glyphs: Tensor
    """uint8 (faces, characters, size, size)."""
    families: tuple[str, ...]
    """Per face, the name of its group."""


def sheet(
    packages: Sequence[Package],
    characters: str,
    fewest: int = FEWEST_FAMILIES,
    per_family: int = FACE_LIMIT,
) -> Sheet:
    """Draw the characters by at most ``FACE_LIMIT`` faces, as many families as there are.

    Raises:
        SourceError: fewer than ``fewest`` families hold the characters.
    """
    drawn = [(f.family, draw_all(f, characters, SIZE)) for f in faces(packages, characters)]
    kept = [(family, glyphs) for family, glyphs in drawn if glyphs is not None]
    if len({family for family, _ in kept}) < fewest:
        raise SourceError(
            f"{len(kept)} faces hold all of {characters!r}; expected at least "
            f"{fewest} families, check that the font packages were unpacked"
        )
    families = [family for family, _ in kept]
    glyphs = torch.stack([glyphs for _, glyphs in kept])  # (f, c, s, s)
    prints = fingerprints(glyphs.flatten(0, 1)[:, None]).unflatten(0, glyphs.shape[:2])
    alike = torch.einsum("ack,bck->ab", prints, prints) / len(characters)  # (f, f)
    groups = join_groups(families, alike > SAME_DESIGN)
    fresh = [i for i in range(len(kept)) if not (alike[i, :i] > IDENTICAL).any()]
    chosen = round_robin([groups[i] for i in fresh], FACE_LIMIT, per_family)
    rows = [fresh[i] for i in chosen]
    return Sheet(glyphs[rows], tuple(groups[i] for i in rows))


def round_robin(
    groups: Sequence[str], limit: int, per_group: int | None = None, seed: int = 0
) -> list[int]:
    """Indices, one of each group in turn, in random order, until the limit or the end; sorted."""
    members: dict[str, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)
    order = [_spread(indices, per_group or len(indices)) for indices in members.values()]
    random.Random(seed).shuffle(order)
    turns = chain.from_iterable(zip_longest(*order))
    return sorted([index for index in turns if index is not None][:limit])


def _spread(indices: list[int], most: int) -> list[int]:
    """Evenly spaced members, as neighbours are often one weight in two widths."""
    count = min(most, len(indices))
    return [indices[turn * len(indices) // count] for turn in range(count)]


def first_of_families(pictures: Pictures) -> Tensor:
    """Rows of pictures without those that look like an earlier one of another group, (m,)."""
    names = {group: number for number, group in enumerate(dict.fromkeys(pictures.groups or ()))}
    groups = torch.tensor([names[group] for group in pictures.groups or ()])  # (n,)
    alike = near_duplicates(fingerprints(pictures.images)) & (groups[:, None] != groups)  # (n, n)
    return (~torch.tril(alike, diagonal=-1).any(1)).nonzero()[:, 0]


def unlike(images: Tensor, others: Tensor) -> Tensor:
    """Rows of uint8 (n, c, h, w) images that look like none of the others (m, c, h, w)."""
    alike = fingerprints(images) @ fingerprints(others).T > NEAR_DUPLICATE  # (n, m)
    return (~alike.any(1)).nonzero()[:, 0]
