"""Drawings and photographs that packages keep in folders by category."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tans.tasks.sources.packages import Package
from tans.tasks.sources.pictures import Found, Pictures, read
from tans.tasks.sources.source import Source

SIZE = 128
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

BROKEN = ("stylized_yoga_person_", "shelby_cobra_", "duck_yellow_")
"""Beginnings of file names whose drawings show a missing linked image."""

TEXTILES: Mapping[str, tuple[str, ...]] = {
    "textile nominal": ("nominal",),
    "textile local defect": ("local",),
    "textile global defect": ("global",),
}


def clipart(packages: Sequence[Package]) -> Pictures:
    """Drawings of ``openclipart-png`` by category; variants of one drawing share a group."""
    (package,) = packages
    root = "usr/share/openclipart/png"
    reserved = {path.name for path in package.files(f"{root}/food/**/*.png")}
    found = [
        each
        for each in _found(package, root, CLIPART, "png")
        if each.path.name not in reserved and not each.path.name.startswith(BROKEN)
    ]
    return read(found, SIZE, trim=True).unambiguous().joined().capped(140)


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
