"""One file a run: written whole, read back, and damaged ones are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from tans.errors import ResultError
from tans.evaluation.results import Results


def test_a_result_is_read_back_with_what_it_was_measured_on(tmp_path: Path) -> None:
    results = Results(tmp_path / "not" / "there")
    assert results.read("runs/a/b") is None
    results.write("runs/a/b", {"accuracy": 0.1 + 0.2})
    stored = results.read("runs/a/b")
    assert stored is not None
    assert stored["accuracy"] == 0.1 + 0.2
    assert {"torch", "threads", "device"} <= stored.keys()
    assert not list(tmp_path.rglob("*.tmp"))


def test_results_below_a_folder_come_in_order_of_name(tmp_path: Path) -> None:
    results = Results(tmp_path)
    for name in ("runs/b/x", "runs/a/y", "choices/a/z"):
        results.write(name, {"name": name})
    assert [stored["name"] for stored in results.below("runs")] == ["runs/a/y", "runs/b/x"]
    assert list(results.below("nothing")) == []


def test_a_damaged_result_is_named(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"accuracy": 0.')
    with pytest.raises(ResultError, match="run.json cannot be read.*delete it"):
        Results(tmp_path).read("run")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultError, match="cannot write .*file"):
        Results(tmp_path / "file").write("run", {})
