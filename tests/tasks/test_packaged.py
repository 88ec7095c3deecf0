"""Tasks by name, from whatever distribution provides them."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import EntryPoint

import pytest

from tans import plugins
from tans.errors import InputError, MissingBenchError
from tans.tasks.packaged import fetch_tasks
from tans.tasks.task import Task
from tests.small_zoo import drawn_task

ROLES = {"plums": "train", "pears": "train", "nuts": "dev"}


class Fruit:
    """Provides drawn tasks."""

    def names(self, role: str | None = None) -> Sequence[str]:
        return [name for name, own in ROLES.items() if role in (None, own)]

    def fetch(self, name: str) -> Task:
        return drawn_task(name, "fruit")


FRUIT = Fruit()


@pytest.fixture
def fruit(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("fruit", "tests.tasks.test_packaged:FRUIT", "tans.tasks")
    monkeypatch.setattr(plugins, "entry_points", lambda group: [point] if group else [])


@pytest.mark.usefixtures("fruit")
def test_a_name_is_one_task_and_a_role_is_all_of_it() -> None:
    assert [task.name for task in fetch_tasks("nuts")] == ["nuts"]
    assert [task.name for task in fetch_tasks("train")] == ["plums", "pears"]


@pytest.mark.usefixtures("fruit")
def test_an_unknown_name_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(InputError, match="'figs' is neither .* one of: plums, pears, nuts"):
        fetch_tasks("figs")


def test_without_a_provider_the_command_to_install_one_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(plugins, "entry_points", lambda **_: ())
    with pytest.raises(MissingBenchError, match="run: pip install tans-bench"):
        fetch_tasks("digits")
