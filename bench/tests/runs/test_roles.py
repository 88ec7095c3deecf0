"""Who may see which packaged task."""

from __future__ import annotations

import pytest
from bench.tests.conftest import unseen

from tans.errors import InputError
from tans_bench.runs import roles
from tans_bench.runs.roles import (
    DEV,
    FIRST_DEV,
    FORMERLY_SEALED,
    first_role,
    is_sibling,
    prepared,
    role,
)


def test_the_tasks_of_the_first_experiments_are_dev_tasks_now() -> None:
    assert (len(FIRST_DEV), len(FORMERLY_SEALED)) == (8, 12)
    assert not set(FIRST_DEV) & set(FORMERLY_SEALED)
    assert {*FIRST_DEV, *FORMERLY_SEALED} == {*DEV}
    assert {role(name) for name in DEV} == {"dev"}


def test_what_a_task_was_in_the_first_experiments_is_known() -> None:
    assert {first_role(name) for name in FIRST_DEV} == {"dev"}
    assert {first_role(name) for name in FORMERLY_SEALED} == {"sealed"}
    assert first_role("a-newer-one") == ""


def test_siblings_are_known_by_name() -> None:
    assert is_sibling("script-greek")
    assert not is_sibling("solar-cells")


def test_a_task_has_at_most_so_many_training_images(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = unseen("made-up", None)
    monkeypatch.setattr(roles, "fetch", lambda _: whole)
    assert int((prepared("made-up", 30).splits == 0).sum()) == 30
    assert prepared("made-up", None) is whole


def test_an_unknown_task_is_an_error() -> None:
    with pytest.raises(InputError, match="no-such-task"):
        prepared("no-such-task", 30)
