"""What other distributions add to tans through entry points; tans itself imports none of them.

tans.commands    a Typer app, by the name of its command
tans.tasks       a ``tans.tasks.packaged.TaskProvider``
tans.families    builders of networks, by the name of their space
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points


def plugins(group: str) -> dict[str, EntryPoint]:
    """The entry points of a group by name."""
    return {point.name: point for point in entry_points(group=group)}
