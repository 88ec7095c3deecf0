"""Importing less, and at less cost: to import PyTorch alone takes longer than many a command."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module


def lazily(package: str, homes: Mapping[str, str]) -> Callable[[str], object]:
    """The ``__getattr__`` of a package whose names are imported at first use (PEP 562).

    Args:
        package: its name.
        homes: the module in which each of its names lives.
    """

    def get(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(homes[name]), name)
        sys.modules[package].__dict__[name] = value
        return value

    return get


@contextmanager
def uncollected() -> Iterator[None]:
    """Let a program import what it will need while no garbage is looked for.

    What is imported stays, and the collector would go through all of it again and again, for a
    tenth of the time that PyTorch takes to import, and once more at the first image.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
