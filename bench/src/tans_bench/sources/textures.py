"""Surface textures of games, cut into crops that share their picture's group."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import PurePosixPath

import numpy as np
from PIL import Image

from tans_bench.sources.lookalikes import fingerprints, join_groups
from tans_bench.sources.packages import Package
from tans_bench.sources.pictures import Pictures, collect
from tans_bench.sources.source import Source

SIZE = 128
CROPPED_SIDE = 256
"""Pixels a side from which on a picture also gives its four quarters."""
FLAT = 12
"""Grey levels between darkest and lightest below which a crop shows nothing."""
THEMES = (
    *("acc_dm3", "base_floor", "base_wall", "clown", "gothic_block", "gothic_trim", "oquartz"),
    *("proto2", "sfx", "skies"),
)
MATERIALS: Mapping[str, tuple[str, ...]] = {
    "brick": ("brick", "wall_brick", "streetbrick"),
    "carpet": ("carpet",),
    "concrete": ("conc", "con_"),
    "dirt": ("dirt", "ground_dirt", "soil", "drymud", "desert", "sand"),
    "door": ("door", "japdoor"),
    "floor": ("floor",),
    "grass": ("grass",),
    "metal": ("metal", "mtl"),
    "rock": ("rock", "pjrock", "stone"),
    "roof": ("roof",),
    "sign": ("sign",),
    "street": ("street", "2ln", "asphalt", "pavement"),
    "tile": ("tile",),
    "wall": ("wall", "japwall"),
    "wallpaper": ("wallpaper",),
    "window": ("window",),
    "wood": ("wood", "s_wood", "wall_wood", "floor_wood"),
}
"""Material to beginnings of names of ``ufoai-textures``, of which the longest that fits counts."""
EFFECT = re.compile(r"_(nm|sm|gm|rm|norm|spec|glow)$")
"""Ends of names of pictures that steer light on another."""
RECOLOURED = 0.9
"""Cosine of two colourless fingerprints above which textures are shades of one."""


def openarena(packages: Sequence[Package]) -> Pictures:
    """Textures of ``openarena-081-textures``, the folder being the class."""
    (package,) = packages
    archive = package.file("usr/share/games/openarena/baseoa/pak4-textures.pk3")
    with zipfile.ZipFile(archive) as packed:
        pictures = collect(
            (crop, THEMES.index(path.parts[1]), str(path.with_suffix("")))
            for path in _pictures(packed)
            for crop in crops(packed.read(str(path)))
        )
    return pictures.without_copies().unambiguous().joined().capped(200)


def _pictures(packed: zipfile.ZipFile) -> list[PurePosixPath]:
    paths = sorted(PurePosixPath(name) for name in packed.namelist())
    kinds = {".jpg", ".tga", ".png"}
    return [
        path
        for path in paths
        if path.suffix.lower() in kinds and path.parts[0] == "textures" and path.parts[1] in THEMES
    ]


def ufoai(packages: Sequence[Package]) -> Pictures:
    """Textures of ``ufoai-textures`` by beginnings of names; those of one number share a group."""
    (package,) = packages
    archive = package.file("usr/share/games/ufoai/base/0textures.pk3")
    with zipfile.ZipFile(archive) as packed:
        paths = sorted(map(PurePosixPath, packed.namelist()))
        named = (
            (path, class_of(path.stem, MATERIALS))
            for path in paths
            if path.suffix in {".jpg", ".png"} and not EFFECT.search(path.stem)
        )
        pictures = collect(
            (crop, label, f"{path.parent}/{_numbered(path.stem)}")
            for path, label in named
            if label is not None
            for crop in crops(packed.read(str(path)))
        )
    return shades_joined(pictures.without_copies()).capped(140)


def _numbered(stem: str) -> str:
    """A name up to its first number; what follows tells variants apart."""
    return "".join(re.split(r"(\d+)", stem, maxsplit=1)[:2])


def class_of(name: str, beginnings: Mapping[str, Sequence[str]]) -> int | None:
    """Place of the class with the longest beginning that a name has, in lower case, or None."""
    fits = [
        (len(beginning), label)
        for label, choices in enumerate(beginnings.values())
        for beginning in choices
        if name.lower().startswith(beginning)
    ]
    return max(fits)[1] if fits else None


def shades_joined(pictures: Pictures) -> Pictures:
    """Groups of textures that differ in colour alone made one, and none left in two classes."""
    prints = fingerprints(pictures.images.float().mean(1, keepdim=True))  # (n, 256)
    alike = prints @ prints.T > RECOLOURED  # (n, n)
    apart = pictures.labels[:, None] != pictures.labels
    groups = join_groups(pictures.groups or (), alike & ~apart)
    joined = Pictures(pictures.images, pictures.labels, tuple(groups))
    return joined.take((~(alike & apart).any(1)).nonzero()[:, 0])


def crops(data: bytes) -> Iterator[np.ndarray]:
    """A picture and, when it is large, its quarters, as uint8 (r, r, 3) without transparency.

    The fourth channel of a game's texture steers its shader and is no transparency.
    """
    try:
        with Image.open(BytesIO(data)) as image:
            whole = image.convert("RGBA").convert("RGB")
    except (OSError, ValueError, SyntaxError):
        return
    width, height = whole.size
    boxes = [(0, 0, width, height)]
    if min(width, height) >= CROPPED_SIDE:
        x, y = width // 2, height // 2
        boxes += [(left, top, left + x, top + y) for left in (0, x) for top in (0, y)]
    for box in boxes:
        crop = np.asarray(whole.resize((SIZE, SIZE), Image.Resampling.BICUBIC, box=box))
        if np.ptp(crop) >= FLAT:
            yield crop


SOURCES = (
    Source(
        name="openarena-textures",
        role="dev",
        family="textures",
        licence="GPL-2.0-or-later",
        packages=("debian:openarena-081-textures",),
        classes=tuple(f"texture {theme}" for theme in THEMES),
        draw=openarena,
        made="textures and their quarters by folder; split by texture, near-duplicates together",
        notes="Folders are themes of level designers, so one kind of surface may lie in several.",
    ),
    Source(
        name="ufoai-textures",
        role="dev",
        family="textures",
        licence="GPL-2.0-or-later AND CC-BY-3.0 AND CC-BY-SA-3.0",
        packages=("debian:ufoai-textures",),
        classes=tuple(f"ufoai {material}" for material in MATERIALS),
        draw=ufoai,
        made="textures and their quarters by name; split by texture, shades of one together",
        notes="Labels are read from file names and noisy: a wall may be of brick or of wood.",
    ),
)
