"""A packaged source: the recipe of one task, and how it is carried out."""

from __future__ import annotations

import hashlib
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from tans.tasks.task import Task, TaskCard
from tans_bench.errors import SourceError
from tans_bench.sources.packages import Package, Packages
from tans_bench.sources.pictures import Pictures

Role = Literal["train", "dev"]
"""``train`` tasks fill the zoo, ``dev`` tasks choose between methods and are never trained on."""

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
        # the splits of packaged tasks are fixed, since results are compared on them
        return Task.from_arrays(
            self.name, images, labels, self.classes, card, groups, join_copies=False
        )


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
