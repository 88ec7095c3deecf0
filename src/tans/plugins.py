"""What other distributions add: plugins through entry points, libraries that extras bring, stores.

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


STORES = {"s3": ("s3fs", "s3"), "hf": ("huggingface_hub", "hub")}
"""By the beginning of an address: the library that reaches such a store, and the extra with it."""


def is_distant(place: str) -> bool:
    """Whether a place is an address of another store, and no path."""
    return "://" in place


def filesystem(address: str) -> tuple[Any, str]:
    """The store that an address leads to, through fsspec, and the path in it.

    Who may use it, fsspec finds out as always: from the environment or the store's own files.

    Raises:
        MissingExtraError: an extra of tans brings what reaches such a store.
        ImportError, OSError, ValueError: as of fsspec, where there is no such store.
    """
    import fsspec

    try:
        return fsspec.core.url_to_fs(address)
    except ImportError as error:
        kind = address.partition("://")[0]
        if kind in STORES:
            raise MissingExtraError(*STORES[kind]) from error
        raise
