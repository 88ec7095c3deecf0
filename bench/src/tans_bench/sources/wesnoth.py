"""Sprites of the game Battle for Wesnoth: units by race, and terrain by kind."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from PIL import Image

from tans_bench.sources.packages import Package
from tans_bench.sources.pictures import BOMBS, Found, Pictures, read
from tans_bench.sources.source import Source

SIZE = 64
IMAGES = "usr/share/games/wesnoth/1.16/data/core/images"

RACES = (
    *("drakes", "dunefolk", "dwarves", "elves-wood", "goblins", "human-loyalists", "human-magi"),
    *("human-outlaws", "merfolk", "monsters", "nagas", "orcs", "saurians", "trolls", "undead"),
    *("undead-necromancers", "undead-skeletal"),
)
"""Folders of units; those of fewer than four units are left out."""
FRAMES = 4
"""Pictures a unit, spread over its animations."""
NO_UNIT = re.compile("[-_](die|death|dying|fade|teleport|flame|glow|halo|overlay|mask|dust|decay)")
"""Parts of names of frames in which a unit vanishes, and of effects without a unit."""

TERRAINS: Mapping[str, tuple[str, ...]] = {
    **{kind: (kind,) for kind in ("bridge", "castle", "cave", "chasm", "forest", "frozen")},
    **{kind: (kind,) for kind in ("grass", "hills", "interior", "sand", "swamp", "village")},
    **{kind: (kind,) for kind in ("walls", "water")},
    "lava": ("unwalkable",),
    "mountains": ("mountains", "desert_mountains"),
    "road": ("flat",),
}
"""Class to folders of tiles; fog, masks, symbols and small things on the ground are left out."""
TILES = 20
"""Pictures a family of tiles."""
NO_TILE = re.compile("mask|glow|dummy|flames|cloud|overlay|blend|icon|waves|castle-(lava|chasm)")
"""Parts of names of tiles that show light, smoke or nothing."""
PLACE = re.compile(r"[-_]?A?\d\d|[-_](\d|(n|ne|se|s|sw|nw|r|l|tr|tl|br|bl|cw|ccw|tile)(?![a-z]))")
"""Where a tile's name goes over to its frame or its place beside others."""
LEAST_SIDE, LEAST_COVER = 36, 0.2
"""Pixels a side, and opaque part within its bounds, from which on a tile shows its terrain."""


def units(packages: Sequence[Package]) -> Pictures:
    """Unit sprites of ``wesnoth-1.16-data`` by race; the frames of a unit share a group."""
    (package,) = packages
    folders = {race: (f"units/{race}",) for race in RACES}
    found = (each for each in _found(package, folders, _unit) if not NO_UNIT.search(each.path.stem))
    return read(_spread(found, FRAMES), SIZE).without_copies().unambiguous().joined()


def terrain(packages: Sequence[Package]) -> Pictures:
    """Terrain tiles of ``wesnoth-1.16-data`` by kind; a family of tiles shares a group."""
    (package,) = packages
    folders = {k: tuple(f"terrain/{name}" for name in names) for k, names in TERRAINS.items()}
    found = (
        each
        for each in _found(package, folders, _family)
        if not NO_TILE.search(each.path.stem) and _covers(each.path)
    )
    pictures = read(_spread(found, TILES), SIZE, trim=True)
    return pictures.unambiguous().joined().capped(150)


def _found(
    package: Package, folders: Mapping[str, tuple[str, ...]], name: Callable[[str], str]
) -> Iterator[Found]:
    for label, places in enumerate(folders.values()):
        for place in places:
            for path in package.files(f"{IMAGES}/{place}/**/*.png"):
                folder = path.parent.relative_to(package.folder)
                yield Found(path, label, f"{folder}/{name(path.stem)}")


def _unit(stem: str) -> str:
    """The unit in a frame's name: what precedes its sex, number and movement."""
    return re.split(r"[-+_\d]", stem)[0]


def _family(stem: str) -> str:
    """The family in a tile's name: what precedes its frame and its place."""
    return PLACE.split(stem)[0]


def _spread(found: Iterable[Found], most: int) -> Iterator[Found]:
    """At most so many of each group, from its plainest name on, evenly spaced."""
    ordered = sorted(found, key=lambda each: (each.group, len(each.path.stem), each.path))
    for _, group in groupby(ordered, key=lambda each: each.group):
        members = list(group)
        kept = min(most, len(members))
        yield from (members[index * len(members) // kept] for index in range(kept))


def _covers(path: Path) -> bool:
    """Whether a tile is large and opaque enough to show its terrain."""
    try:
        with Image.open(path) as image:
            alpha = image.convert("RGBA").getchannel("A").point(lambda level: 255 * (level > 128))
    except (OSError, ValueError, SyntaxError, *BOMBS):
        return False
    left, top, right, bottom = alpha.getbbox() or (0, 0, 0, 0)
    width, height = right - left, bottom - top
    return (
        min(width, height) >= LEAST_SIDE and alpha.histogram()[255] >= LEAST_COVER * width * height
    )


SOURCES = (
    Source(
        name="wesnoth-units",
        role="dev",
        family="sprites",
        licence="GPL-2.0-or-later",
        packages=("debian:wesnoth-1.16-data",),
        classes=tuple(f"wesnoth {race}" for race in RACES),
        draw=units,
        made=f"at most {FRAMES} frames a unit on white, by race folder; split by unit",
        notes="Races are the game's folders, and some units ride or carry creatures of others.",
    ),
    Source(
        name="wesnoth-terrain",
        role="dev",
        family="tiles",
        licence="GPL-2.0-or-later",
        packages=("debian:wesnoth-1.16-data",),
        classes=tuple(f"wesnoth terrain {kind}" for kind in TERRAINS),
        draw=terrain,
        made=f"at most {TILES} tiles a family on white, trimmed, by folder; split by family",
        notes="Folders are noisy labels: tiles of passage show two kinds, and families of one kind "
        "may share colours.",
    ),
)
