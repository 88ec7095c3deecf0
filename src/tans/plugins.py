"""What other distributions add: plugins through entry points, and libraries that extras bring.

tans itself imports no plugin; a library is imported when it is needed, as many take seconds.

tans.commands    a Typer app, by the name of its command
tans.tasks       a ``tans.tasks.packaged.TaskProvider``
tans.families    builders of networks, by the name of their space
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from tans.errors import MissingExtraError


def plugins(group: str) -> dict[str, EntryPoint]:
    """The entry points of a group by name."""
    return {point.name: point for point in entry_points(group=group)}


def library(module: str, extra: str) -> Any:
    """A library that an extra of tans brings.

    Args:
        module: of it, which is imported.

    Raises:
        MissingExtraError: it is not installed.
    """
    package = module.partition(".")[0]
    try:
        import_module(package)
        return import_module(module)
    except ImportError as error:
        raise MissingExtraError(package, extra) from error
