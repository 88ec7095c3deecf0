"""The stamps of a children's drawing program, ``tuxpaint-stamps-default``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
from PIL import Image

from tans_bench.sources.icons import drawing
from tans_bench.sources.packages import Package
from tans_bench.sources.pictures import Pictures, collect, on_white, square_of
from tans_bench.sources.source import Source

Folders = Mapping[str, tuple[str, ...]]
"""Class to patterns of paths, of which the first that fits counts; a star also spans folders."""

SIZE = 128
ROOT = "usr/share/tuxpaint/stamps"

PHOTOS: Folders = {
    "stamp plants": ("plants/*.png",),
    "stamp household": ("household/*.png", "medical/*.png", "clothes/clothespin_*.png"),
    "stamp coins": ("symbols/money/*/coins/*.png", "symbols/money/japanese/*.png"),
    "stamp vehicles": ("vehicles/*.png", "military/vehicles/*.png"),
    "stamp leisure": ("hobbies/*.png", "sports/*.png"),
}
NOT_PHOTOS = (
    *("*/cartoon/*", "plants/eggplant.png", "plants/trees/holly_leaves.png"),
    *("medical/tooth.png", "sports/rugby_goal_posts.png", "sports/soccer.png"),
    *("household/dishes/*", "*_mirror.png"),
)
"""PNG files of those folders that are drawings or mirrored, and what food is served in."""

DRAWINGS: Folders = {
    "stamp buildings": ("town/houses/*", "town/monuments/cartoon/*", "town/cartoon/*"),
    "stamp drawn clothes": ("clothes/*",),
    "stamp drawn household": ("household/*.svg", "medical/*.svg", "medical/tooth.png"),
    "stamp drawn vehicles": ("vehicles/*.svg", "vehicles/*/cartoon/*", "military/vehicles/*.svg"),
    "stamp hand signs": ("symbols/alphabets/asl/*",),
    "stamp holidays": ("seasonal/*",),
    "stamp people": ("people/*",),
    "stamp road signs": ("town/roadsigns/*", "town/flags/*"),
    "stamp symbols": ("symbols/[cms]*",),
}
NOT_DRAWINGS = (
    *(
        "household/dishes/*",
        "clothes/clothespin_*",
        "people/fireman*",
        "people/toys/*",
        "people/*/snowman.*",
    ),
    *("seasonal/easter/*", "*/bat_left.*", "*/blackcat.*", "*/spider.*", "*_reindeer.*"),
    *(
        "*/[Cc]andy_cane*",
        "*/hard_candy.*",
        "*/jackolantern*",
        "*/Mince_Pie.*",
        "*/Roast_turkey.*",
        "*_pudding.*",
    ),
    *("*/grave-*", "*_photo.*", "*/xmaswreath.*", "*/German_Christmas_toy.*", "seasonal/candle.*"),
    *("*/coins/*", "symbols/money/japanese/*", "*/pawprint.*"),
)
"""Animals, food and photographs of those folders."""

ANIMALS: Folders = {
    "stamp birds": ("animals/birds/*.png",),
    "stamp hoofed mammals": tuple(
        f"animals/mammals/{kind}*.png"
        for kind in (
            *("bovines/", "camel/", "deer/", "equines/", "giraffe", "hippopotamus"),
            *("pig", "rhino", "wildboar"),
        )
    ),
    "stamp other mammals": ("animals/mammals/*.png", "animals/marsupials/*.png"),
    "stamp cold-blooded animals": tuple(
        f"animals/{kind}/*.png"
        for kind in ("amphibians", "fish", "insects", "lizards", "shellfish")
    ),
}
NOT_ANIMALS = (
    "*/cartoon/*",
    "*/toys/*",
    "*/insects/bee.png",
    "*/echidna.png",
    "*/hedgehog.png",
    "*/kangaroo-silo*",
)
"""PNG files of those folders that are drawings or toys."""


def photos(packages: Sequence[Package]) -> Pictures:
    """Photographs by folder, animals left out."""
    return _read(packages, PHOTOS, NOT_PHOTOS)


def drawings(packages: Sequence[Package]) -> Pictures:
    """Drawings by folder, those of animals and food left out.

    Raises:
        MissingExtraError: the renderer of SVG files is not installed.
    """
    return _read(packages, DRAWINGS, NOT_DRAWINGS)


def animals(packages: Sequence[Package]) -> Pictures:
    """Photographs of animals by their kind."""
    return _read(packages, ANIMALS, NOT_ANIMALS)


def _read(packages: Sequence[Package], folders: Folders, unwanted: Sequence[str]) -> Pictures:
    """Wanted stamps, of which those of a folder whose names begin alike share a group."""
    (package,) = packages
    root = package.folder / ROOT
    # A stamp may lie there as PNG and as SVG; sorted, the PNG comes last and stays.
    paths = sorted(package.files(f"{ROOT}/**/*.[ps][nv]g"), reverse=True)
    stamps = {path.with_suffix(""): path.relative_to(root) for path in paths}
    placed = ((path, _label(path, folders, unwanted)) for path in stamps.values())
    pictures = collect(
        (square, label, f"{path.parent}/{_first_word(path.stem)}")
        for path, label in sorted(placed)
        if label >= 0 and (square := _square(root / path)) is not None
    )
    return pictures.without_copies().unambiguous().joined()


def _label(path: Path, folders: Folders, unwanted: Sequence[str]) -> int:
    """The class of a stamp, or -1."""
    if any(fnmatchcase(str(path), pattern) for pattern in unwanted):
        return -1
    fits = (
        label
        for label, patterns in enumerate(folders.values())
        if any(fnmatchcase(str(path), pattern) for pattern in patterns)
    )
    return next(fits, -1)


def _first_word(stem: str) -> str:
    """What the stamps of one series share, as ``pig`` does of ``pig_golden2``."""
    return re.split("[^a-z]", stem.lower().removeprefix("asl_"))[0]


def _square(path: Path) -> np.ndarray | None:
    """A stamp without its empty margin, on white, as uint8 (r, r, 3)."""
    if path.suffix == ".png":
        return square_of(path, SIZE, trim=True)
    drawn = drawing(path, 2 * SIZE)
    return None if drawn is None else on_white(Image.fromarray(drawn), SIZE, trim=True)


_LICENCE = "GPL-2.0-or-later"
_PACKAGES = ("debian:tuxpaint-stamps-default",)
_SPLIT = "split by folder and first word of the name, near-duplicates together"

SOURCES = (
    Source(
        name="stamps-photos",
        role="train",
        family="stamps",
        licence=_LICENCE,
        packages=_PACKAGES,
        classes=tuple(PHOTOS),
        draw=photos,
        made=f"photographs cut out, on white, by folder; {_SPLIT}",
        notes="Labels are folders and noisy. Few pictures. Animals and food are reserved for "
        "judging.",
    ),
    Source(
        name="stamps-drawings",
        role="train",
        family="clipart",
        licence=_LICENCE,
        packages=_PACKAGES,
        classes=tuple(DRAWINGS),
        draw=drawings,
        made=f"drawings on white by folder; {_SPLIT}",
        notes="Labels are folders and noisy. Some drawings also occur in Open Clipart, hence the "
        "family. Animals and food are reserved for judging.",
    ),
    Source(
        name="stamps-animals",
        role="dev",
        family="stamps",
        licence=_LICENCE,
        packages=_PACKAGES,
        classes=tuple(ANIMALS),
        draw=animals,
        made=f"photographs of animals cut out, on white, by folder; {_SPLIT}",
        notes="Labels are folders. Few pictures.",
    ),
)
