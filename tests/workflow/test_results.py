"""Where results go."""

from __future__ import annotations

from pathlib import Path

import pytest

from tans import workflow
from tans.errors import InputError


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
