"""One file a run: written whole, read back, and damaged ones are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from tans_bench.errors import ResultError
from tans_bench.runs.results import Results
from tans_bench.runs.versions import CURRENT, FIRST


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


def test_a_result_of_other_versions_is_read_and_never_written_over(tmp_path: Path) -> None:
    results, old = Results(tmp_path), tmp_path / "runs" / "a" / "b.json"
    old.parent.mkdir(parents=True)
    old.write_text('{"accuracy": 0.25}\n')
    assert results.read("runs/a/b") == {"accuracy": 0.25}
    assert results.made == {"runs/a/b": FIRST}
    results.write("runs/a/b", {"accuracy": 0.5})
    assert old.read_text() == '{"accuracy": 0.25}\n'
    (new,) = (path for path in old.parent.iterdir() if path != old)
    assert new.stem == f"b{CURRENT.ending}"
    stored = results.read("runs/a/b")
    assert stored is not None
    assert (stored["accuracy"], stored["versions"]) == (0.5, CURRENT._asdict())
    assert results.made == {"runs/a/b": CURRENT}
    assert [each["accuracy"] for each in results.below("runs")] == [0.5]


def test_what_depends_on_neither_keeps_its_name(tmp_path: Path) -> None:
    results = Results(tmp_path)
    for name in ("imported/a/b", "construction/grid-s0", "costs/zoo"):
        results.write(name, {"seconds": 1})
        assert (tmp_path / f"{name}.json").exists()
        stored = results.read(name)
        assert stored is not None
        assert "versions" not in stored
    assert results.made == {}


def test_short_runs_are_lines_of_a_file(tmp_path: Path) -> None:
    results = Results(tmp_path / "not" / "there")
    assert results.lines("trials") == []
    assert results.find("trials", {"task": "a"}) is None
    for accuracy in (0.25, 0.5):
        results.write("trials.jsonl/a", {"task": "a", "seed": 0, "accuracy": accuracy})
    assert [line["accuracy"] for line in results.lines("trials")] == [0.25, 0.5]
    found = results.find("trials", {"task": "a", "seed": 0})
    assert found is not None
    assert found["accuracy"] == 0.5
    assert {"torch", "threads", "device"} <= found.keys()
    assert results.find("trials", {"task": "a", "seed": 1}) is None


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "trials.jsonl").write_text('{"task": "a"}\n{"task"\n')
    with pytest.raises(ResultError, match=r"trials.jsonl cannot be read.*remove the line"):
        Results(tmp_path).lines("trials")
