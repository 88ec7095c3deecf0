"""Tasks that can be had by name, where another distribution provides them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tans.errors import InputError, MissingBenchError
from tans.plugins import plugins
from tans.tasks.task import Task


class TaskProvider(Protocol):
    """Tasks that can be had by name."""

    def names(self, role: str | None = None) -> Sequence[str]:
        """Names of its tasks; of those of one role, such as ``train``, where one is given."""

    def fetch(self, name: str) -> Task:
        """The task of that name."""


def fetch_tasks(name: str) -> list[Task]:
    """The task of that name, or all of a role such as ``train``.

    Raises:
        MissingBenchError: no installed distribution provides tasks.
        InputError: none of them knows the name.
    """
    providers: list[TaskProvider] = [point.load() for point in plugins("tans.tasks").values()]
    if not providers:
        raise MissingBenchError(f"the packaged task {name!r}")
    for provider in providers:
        if of_role := provider.names(name):
            return [provider.fetch(task) for task in of_role]
        if name in provider.names():
            return [provider.fetch(name)]
    known = ", ".join(task for provider in providers for task in provider.names())
    raise InputError(f"{name!r} is neither a folder nor a packaged task; choose one of: {known}")
