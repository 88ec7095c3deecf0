"""Who may see which packaged task."""

from __future__ import annotations

import pytest
from bench.tests.conftest import unseen

from tans.errors import InputError
from tans_bench.runs import roles
from tans_bench.runs.roles import DEV, SEALED, is_sibling, prepared, role


def test_no_task_has_two_roles() -> None:
    assert not set(DEV) & set(SEALED)
    assert {role(name) for name in DEV} == {"dev"}
    assert {role(name) for name in SEALED} == {"sealed"}


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
