"""Where results go."""

from __future__ import annotations

from pathlib import Path

import pytest

from tans import workflow
from tans.errors import InputError
from tans.interrupts import CAN_WAIT
from tests.interrupted import interruptions


def test_a_folder_in_use_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    workflow.check_folder(tmp_path / "new")
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        workflow.check_folder(tmp_path)
    workflow.check_folder(tmp_path, force=True)
    with pytest.raises(InputError, match="is a file"):
        workflow.check_folder(tmp_path / "notes.txt", force=True)
    with pytest.raises(InputError, match="cannot be written"):
        workflow.check_folder(tmp_path / "notes.txt" / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.long
@pytest.mark.skipif(not CAN_WAIT, reason="this system has no alarms")
def test_an_interrupt_leaves_no_folder_that_was_reserved(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "deep"

    def reserve() -> None:
        with workflow.reserved(folder):
            pass

    points = 0
    for _ in interruptions(reserve):
        points += 1
        assert not list(tmp_path.iterdir())
    assert not list(tmp_path.iterdir())
    assert points > 50
