"""The tasks that experiments are run on: packaged ones that no network of the zoo has seen."""

from __future__ import annotations

from functools import lru_cache

from tans.tasks.task import Task
from tans_bench.sources.registry import fetch, get_source, sources

DEV = tuple(source.name for source in sources() if source.role == "dev")
"""All of them: they may choose methods and settings, so none of them can judge what they chose."""
# The two below are written out and stay as they are, since stored pages are drawn of them.
FIRST_DEV = (
    *("script-greek", "script-tamil", "icons-apps", "stamps-animals"),
    *("0ad-terrain", "fashion-mnist", "openarena-textures", "ufoai-textures"),
)
"""Those that chose methods and settings in the first experiments."""
FORMERLY_SEALED = (
    *("script-hangul", "script-thai", "script-georgian", "icons-devices"),
    *("emoji-google-reserved", "clipart-food", "solar-cells", "blue-marble"),
    *("shaded-relief", "land-cover", "wesnoth-units", "wesnoth-terrain"),
)
"""Those that no setting of the first experiments was chosen on, and that were to be run once for a
release. All were looked at more than once, so they are spent, and count as dev tasks since."""
SIBLINGS = ("script-", "icons-", "emoji-", "stamps-animals", "clipart-food")
"""How the names begin of tasks whose kind of image the zoo holds, other classes of it."""


def is_sibling(name: str) -> bool:
    """Whether the zoo holds the kind of image of a task; else it is a stranger."""
    return name.startswith(SIBLINGS)


def role(name: str) -> str:
    """``train`` or ``dev``."""
    return get_source(name).role


def first_role(name: str) -> str:
    """What a dev task was in the first experiments: ``dev``, ``sealed``, or "" for a newer one."""
    if name in FORMERLY_SEALED:
        return "sealed"
    return "dev" if name in FIRST_DEV else ""


@lru_cache(maxsize=2)
def prepared(name: str, images: int | None = None) -> Task:
    """A packaged task with at most so many training images, or all.

    Raises:
        InputError: there is no such task.
        SourceError: it cannot be made here.
    """
    task = fetch(name)
    return task if images is None else task.limited(images)
