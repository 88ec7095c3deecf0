"""Drawings and photographs that packages keep in folders by category."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tans_bench.sources.packages import Package
from tans_bench.sources.pictures import Found, Pictures, read
from tans_bench.sources.source import Source

SIZE = 128
OPENCLIPART = "usr/share/openclipart/png"
MARGIN = 2
"""Pixels at the right and lower edge of the textiles that hold a white frame."""

CLIPART: Mapping[str, tuple[str, ...]] = {
    "clipart mammals": ("animals/mammals/**",),
    "clipart birds": ("animals/birds/**",),
    "clipart bugs": ("animals/bugs/**",),
    "clipart plants": ("plants/**",),
    "clipart people": ("people",),
    "clipart clothing": ("people/clothing/**",),
    "clipart smileys": ("people/smilies/**",),
    "clipart buildings": ("buildings/**",),
    "clipart hardware": ("computer/hardware/**",),
    "clipart office": ("office/**",),
    "clipart music": ("recreation/music/**",),
    "clipart sports": ("recreation/sports/**",),
    "clipart vehicles": ("transportation/vehicles/**", "transportation/boating/**"),
    "clipart road signs": ("transportation/roadsigns/**",),
    "clipart tools": ("tools/**",),
    "clipart map symbols": ("signs_and_symbols/map_symbols/**",),
    "clipart flags": ("signs_and_symbols/flags/**",),
}
"""Class to folders of ``openclipart-png``; food, reserved for judging, is left out with every other
drawing whose name occurs there."""

THINGS: Mapping[str, tuple[str, ...]] = {
    "clipart body parts": ("people/bodypart",),
    "clipart clocks": ("signs_and_symbols/clocks",),
    "clipart electronics": ("electronics/**",),
    "clipart grey icons": ("computer/icons/flat-theme/action",),
    "clipart learning": ("education/**",),
    "clipart maps": ("geography",),
    "clipart sky": ("geography/astronomy", "science/astronomy", "signs_and_symbols/weather"),
    "clipart stick figures": ("people/stickmen",),
    "clipart toys": ("recreation/toys",),
}
SHAPES: Mapping[str, tuple[str, ...]] = {
    "clipart arrows": ("shapes/arrows",),
    "clipart buttons": ("buttons", "computer/buttons"),
    "clipart decorations": ("decorations",),
    "clipart flow chart": ("shapes/flowchart",),
    "clipart jigsaw pieces": ("shapes/jigsaw",),
    "clipart lamps": ("signs_and_symbols/led",),
    "clipart patterns": ("special/patterns",),
    "clipart speech bubbles": ("shapes/callouts",),
    "clipart stars": ("shapes/stars",),
}
"""Class to folders that no class of ``CLIPART`` holds."""

FOOD: Mapping[str, tuple[str, ...]] = {
    "clipart breads": ("food/breads_and_carbs",),
    "clipart desserts": ("food/desserts",),
    "clipart drinks": ("food/beverages/**",),
    "clipart fruit and vegetables": ("food/fruit", "food/vegetables"),
    "clipart meals": ("food",),
    "clipart meat, eggs and dairy": ("food/meats_and_eggs", "food/dairy"),
}
"""Class to the folders reserved for judging."""

VERSIONS = frozenset(
    {
        *("black", "blue", "bw", "gray", "green", "grey", "orange", "pink", "purple", "red"),
        *("seagreen", "teal", "violet", "white", "yellow"),
    }
)
"""Words of file names in which the versions of one drawing differ."""

NOT_FOOD = ("kallisti", "libro_di_ricette", "tile_orange")
"""Beginnings of file names of what is filed under food and is none."""

BROKEN = ("stylized_yoga_person_", "shelby_cobra_", "duck_yellow_")
"""Beginnings of file names whose drawings show a missing linked image."""

TEXTILES: Mapping[str, tuple[str, ...]] = {
    "textile nominal": ("nominal",),
    "textile local defect": ("local",),
    "textile global defect": ("global",),
}


def clipart(packages: Sequence[Package]) -> Pictures:
    """Drawings of ``openclipart-png`` by category; variants of one drawing share a group."""
    return read(_harmless(packages, CLIPART), SIZE, trim=True).unambiguous().joined().capped(140)


def things(packages: Sequence[Package]) -> Pictures:
    """Drawings of ``openclipart-png`` of further things, by folder."""
    return _further(packages, THINGS)


def shapes(packages: Sequence[Package]) -> Pictures:
    """Drawings of ``openclipart-png`` that show shapes and ornaments, by folder."""
    return _further(packages, SHAPES)


def food(packages: Sequence[Package]) -> Pictures:
    """Drawings of ``openclipart-png`` of food and drink; those named alike share a group."""
    (package,) = packages
    found = [
        replace(each, group=re.split("[^a-z]", each.path.stem.lower())[0])
        for each in _found(package, OPENCLIPART, FOOD, "png")
        if not each.path.name.startswith(NOT_FOOD)
    ]
    return _distinct(read(found, SIZE, trim=True))


def _further(packages: Sequence[Package], folders: Mapping[str, tuple[str, ...]]) -> Pictures:
    """Drawings that are not filed under ``CLIPART`` too; versions of one share a group."""
    (package,) = packages
    taken = {each.path.name for each in _found(package, OPENCLIPART, CLIPART, "png")}
    found = [
        replace(each, group=_design(each.path.stem))
        for each in _harmless(packages, folders)
        if each.path.name not in taken
    ]
    return _distinct(read(found, SIZE, trim=True))


def _distinct(pictures: Pictures) -> Pictures:
    return pictures.without_copies().unambiguous().joined().capped(140)


def _design(stem: str) -> str:
    """The words and longer numbers of a name, but for those in which versions differ."""
    words = re.findall(r"[a-z]+|\d\d+", stem.lower())
    return " ".join(word for word in words if word not in VERSIONS)


def _harmless(packages: Sequence[Package], folders: Mapping[str, tuple[str, ...]]) -> list[Found]:
    """The drawings of some folders without food, wherever it is filed, and broken ones."""
    (package,) = packages
    reserved = {path.name for path in package.files(f"{OPENCLIPART}/food/**/*.png")}
    return [
        each
        for each in _found(package, OPENCLIPART, folders, "png")
        if each.path.name not in reserved and not each.path.name.startswith(BROKEN)
    ]


def textiles(packages: Sequence[Package]) -> Pictures:
    """Simulated textiles of ``conformal-clip-data``: faultless, locally and globally faulty."""
    (package,) = packages
    folder = "conformal_clip_data/data/textile_images/simulated"
    pictures = read(_found(package, folder, TEXTILES, "jpg"), SIZE + MARGIN).capped(500)
    surface = pictures.images[:, :, :SIZE, :SIZE].contiguous()
    return Pictures(surface, pictures.labels, pictures.groups).joined()


def _found(
    package: Package, root: str, folders: Mapping[str, tuple[str, ...]], kind: str
) -> list[Found]:
    return [
        Found(path, label, str(path.relative_to(package.folder)))
        for label, patterns in enumerate(folders.values())
        for pattern in patterns
        for path in package.files(f"{root}/{pattern}/*.{kind}")
    ]


SOURCES = (
    Source(
        name="clipart",
        role="train",
        family="clipart",
        licence="CC0-1.0",
        packages=("debian:openclipart-png",),
        classes=tuple(CLIPART),
        draw=clipart,
        made="drawings on white by category folder; split by drawing, near-duplicates together",
        notes="Labels are the contributors' folders and noisy. Food is reserved for judging.",
    ),
    Source(
        name="clipart-things",
        role="train",
        family="clipart",
        licence="CC0-1.0",
        packages=("debian:openclipart-png",),
        classes=tuple(THINGS),
        draw=things,
        made="drawings on white by folder; split by drawing, its colours and "
        "near-duplicates together",
        notes="Labels are folders and noisy. Food is reserved for judging.",
    ),
    Source(
        name="clipart-shapes",
        role="train",
        family="clipart",
        licence="CC0-1.0",
        packages=("debian:openclipart-png",),
        classes=tuple(SHAPES),
        draw=shapes,
        made="drawings of shapes on white by folder; split by drawing, its colours and "
        "near-duplicates together",
        notes="Labels are folders and noisy. Food is reserved for judging.",
    ),
    Source(
        name="clipart-food",
        role="dev",
        family="clipart",
        licence="CC0-1.0",
        packages=("debian:openclipart-png",),
        classes=tuple(FOOD),
        draw=food,
        made="drawings of food on white by folder; split by drawing, its colours and "
        "near-duplicates together",
        notes="Labels are folders and noisy: the meals also hold dishes and menus.",
    ),
    Source(
        name="textile",
        role="train",
        family="textile",
        licence="MIT",
        packages=("pypi:conformal-clip-data==0.1.4",),
        classes=tuple(TEXTILES),
        draw=textiles,
        made="500 simulated textile surfaces a class; split by image, near-duplicates together",
    ),
)
