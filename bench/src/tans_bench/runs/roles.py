"""The tasks that experiments are run on: packaged ones that no network of the zoo has seen."""

from __future__ import annotations

from functools import lru_cache

from tans.tasks.task import Task
from tans_bench.sources.registry import fetch, get_source, sources

DEV = tuple(source.name for source in sources() if source.role == "dev")
"""Served to choose methods and settings."""
SEALED = tuple(source.name for source in sources() if source.role == "sealed")
"""Run once for a release; each look at them is on record."""
SIBLINGS = ("script-", "icons-", "emoji-", "stamps-animals", "clipart-food")
"""How the names begin of tasks whose kind of image the zoo holds, other classes of it."""


def is_sibling(name: str) -> bool:
    """Whether the zoo holds the kind of image of a task; else it is a stranger."""
    return name.startswith(SIBLINGS)


def role(name: str) -> str:
    """``train``, ``dev`` or ``sealed``."""
    return get_source(name).role


@lru_cache(maxsize=2)
def prepared(name: str, images: int | None = None) -> Task:
    """A packaged task with at most so many training images, or all.

    Raises:
        InputError: there is no such task.
        SourceError: it cannot be made here.
    """
    task = fetch(name)
    return task if images is None else task.limited(images)
