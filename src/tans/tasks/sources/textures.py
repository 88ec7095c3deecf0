"""Surface textures of games, cut into crops that share their picture's group."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import PurePosixPath

import numpy as np
from PIL import Image

from tans.tasks.sources.packages import Package
from tans.tasks.sources.pictures import Pictures, collect
from tans.tasks.sources.source import Source

SIZE = 128
CROPPED_SIDE = 256
"""Pixels a side from which on a picture also gives its four quarters."""
FLAT = 12
"""Grey levels between darkest and lightest below which a crop shows nothing."""
THEMES = (
    *("acc_dm3", "base_floor", "base_wall", "clown", "gothic_block", "gothic_trim", "oquartz"),
    *("proto2", "sfx", "skies"),
)


def openarena(packages: Sequence[Package]) -> Pictures:
    """Textures of ``openarena-081-textures``, the folder being the class."""
    (package,) = packages
    archive = package.file("usr/share/games/openarena/baseoa/pak4-textures.pk3")
    with zipfile.ZipFile(archive) as packed:
        pictures = collect(
            (crop, THEMES.index(path.parts[1]), str(path.with_suffix("")))
            for path in _pictures(packed)
            for crop in _crops(packed.read(str(path)))
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


def _crops(data: bytes) -> Iterator[np.ndarray]:
    """A picture and, when it is large, its quarters, as uint8 (r, r, 3) without transparency.

    The fourth channel of a game's texture steers its shader and is no transparency.
    """
    try:
        with Image.open(BytesIO(data)) as image:
            whole = image.convert("RGB")
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
)
