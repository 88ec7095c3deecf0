"""Symbols of icon sets in one ink, by the category that their makers gave them.

The styles and variants of an icon, as ``bell`` and ``bell-off``, share a group. Food, sports,
people and devices, which tasks for judging show, and the logos of brands are no classes here.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tans_bench.sources.icons import drawing
from tans_bench.sources.packages import Package
from tans_bench.sources.pictures import Pictures, collect
from tans_bench.sources.source import Source

SIZE = 64
PER_CLASS = 120
DETAILS = (
    *("add", "ai", "alt", "bitcoin", "bolt", "cancel", "check", "code", "cog", "dollar", "dots"),
    *("down", "edit", "exclamation", "fill", "filled", "heart", "line", "lock", "minus", "off"),
    *("pause", "pin", "plus", "question", "search", "share", "slash", "spark", "star", "up"),
    *("user", "x", "xmark"),
)
"""Last words of an icon's name that stand for a style or a detail."""
VARIANT = re.compile(rf"([-_]({'|'.join(DETAILS)}|\d+))+$")
DISCS = ("brightness_1", "circle", "lens")
"""Icons that are a mere disc, as a theme's icon for help is, which a judged task holds."""

FONTAWESOME = (
    *("alphabet", "arrows", "buildings", "coding", "communication", "construction", "emoji"),
    *("files", "logistics", "maps", "media-playback", "medical-health", "money", "religion"),
    *("security", "text-formatting", "travel-hotel", "weather"),
)
"""Categories with enough icons that none of the others holds."""
MATERIAL = (
    *("action", "av", "communication", "content", "editor", "image", "maps", "navigation"),
    *("notification", "social"),
)
REMIX = (
    *("Arrows", "Buildings", "Business", "Communication", "Design", "Development", "Document"),
    *("Editor", "Finance", "Health & Medical", "Map", "Media", "System", "Weather"),
)
TABLER = (
    *("Arrows", "Buildings", "Charts", "Communication", "Currencies", "Design", "Document"),
    *("E-commerce", "Health", "Laundry", "Letters", "Map", "Math", "Mood", "Nature", "Numbers"),
    *("Shapes", "Text", "Vehicles", "Weather"),
)


@dataclass(frozen=True)
class Icon:
    """A drawing of an icon set."""

    path: Path
    category: str
    name: str


@dataclass(frozen=True)
class Symbols:
    """The icons of some categories of a set."""

    categories: tuple[str, ...]
    listed: Callable[[Package], Iterable[Icon]]
    """The drawings of the set's package; those of other categories are left out."""

    def __call__(self, packages: Sequence[Package]) -> Pictures:
        """Draw the icons as labelled pictures, black on white.

        Raises:
            SourceError: the package holds none of them.
            MissingExtraError: the renderer of SVG files is not installed.
        """
        labels = {category: label for label, category in enumerate(self.categories)}
        listed = [icon for icon in self.listed(packages[0]) if icon.name not in DISCS]
        drawn = ((drawing(icon.path, SIZE), icon) for icon in listed if icon.category in labels)
        pictures = collect(
            (image, labels[icon.category], VARIANT.sub("", icon.name))
            for image, icon in drawn
            if image is not None
        )
        return pictures.unambiguous().without_copies().joined().capped(PER_CLASS)


def fontawesome(package: Package) -> Iterable[Icon]:
    """Font Awesome's solid and regular icons that one chosen category alone holds."""
    lists = _lists(package.file("package/metadata/categories.yml").read_text())
    chosen = [(icon, category) for category in FONTAWESOME for icon in lists[category]]
    held = Counter(icon for icon, _ in chosen)
    category = {icon: name for icon, name in chosen if held[icon] == 1}
    for path in package.files("package/svgs-full/[rs]*/*.svg", category):
        yield Icon(path, category[path.stem], path.stem)


def material(package: Package) -> Iterable[Icon]:
    """Google's Material icons by folder, as drawn for 24 px."""
    for path in package.files("package/*/svg/production/ic_*_24px.svg"):
        name = path.stem.removeprefix("ic_").removesuffix("_24px")
        yield Icon(path, path.parts[-4], name)


def remix(package: Package) -> Iterable[Icon]:
    """Remix icons by folder, filled and in line."""
    for path in package.files("package/icons/*/*.svg"):
        yield Icon(path, path.parent.name, path.stem)


def tabler(package: Package) -> Iterable[Icon]:
    """Tabler icons by the category that their list names, filled and in outline."""
    listed = json.loads(package.file("package/icons.json").read_text())
    for path in package.files("package/icons/*/*.svg", listed):
        yield Icon(path, listed[path.stem]["category"], path.stem)


def _lists(text: str) -> dict[str, list[str]]:
    """Category to icons, of a YAML file of nothing but indented lists."""
    sections = re.split(r"^(\S+):$", text, flags=re.MULTILINE)[1:]
    return {
        name: re.findall(r"^    - '?([\w-]+)'?$", body, flags=re.MULTILINE)
        for name, body in zip(sections[::2], sections[1::2], strict=True)
    }


def _symbols(name: str, package: str, licence: str, draw: Symbols, notes: str = "") -> Source:
    prefix = name.removesuffix("-icons")
    return Source(
        name=name,
        role="train",
        family="symbols",
        licence=licence,
        packages=(f"npm:{package}",),
        classes=tuple(f"{prefix} {category.lower()}" for category in draw.categories),
        draw=draw,
        made="one category of the set a class, black on white; split by icon, with its variants",
        notes=f"Categories are the makers' choice, overlap in meaning and are noisy.{notes}",
    )


SOURCES = (
    _symbols(
        name="fontawesome",
        package="@fortawesome/fontawesome-free==7.3.1",
        licence="CC-BY-4.0",
        draw=Symbols(FONTAWESOME, fontawesome),
        notes=" Icons of several of these categories are left out. Icons by Fonticons, Inc.",
    ),
    _symbols(
        name="material-icons",
        package="material-design-icons==3.0.1",
        licence="Apache-2.0",
        draw=Symbols(MATERIAL, material),
    ),
    _symbols(
        name="remix-icons",
        package="remixicon==4.6.0",
        licence="Apache-2.0",
        draw=Symbols(REMIX, remix),
    ),
    _symbols(
        name="tabler-icons",
        package="@tabler/icons==3.51.0",
        licence="MIT",
        draw=Symbols(TABLER, tabler),
    ),
)
