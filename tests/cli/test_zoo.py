"""The commands for zoos."""

from __future__ import annotations

from pathlib import Path

from tans.zoo.zoo import Zoo
from tests.cli.conftest import Run, assert_fails


def test_zoo_copy(run: Run, small_zoo: Zoo, tmp_path: Path) -> None:
    def copied(name: str, *options: object) -> list[str]:
        answer = run("zoo", "copy", tmp_path / name, *options, "--zoo", small_zoo.path)
        assert (answer.code, answer.err) == (0, "")
        assert f"tans train --zoo {tmp_path / name}" in answer.out
        return [task.name for task in Zoo.open(tmp_path / name).tasks()]

    assert copied("all") == ["blue", "imagenet", "red"]
    assert copied("named", "--tasks", "red, blue") == ["blue", "imagenet", "red"]
    assert copied("one", "--tasks", "red") == ["imagenet", "red"]
    assert len(copied("diverse", "--diverse", 1)) == 2
    both = run("zoo", "copy", tmp_path / "new", "--tasks", "red", "--diverse", 1)
    assert_fails(both, "--tasks and --diverse")
    unknown = run("zoo", "copy", tmp_path / "new", "--tasks", "rad", "--zoo", small_zoo.path)
    assert_fails(unknown, "nearest are red")
    assert_fails(run("zoo", "copy", tmp_path, "--zoo", small_zoo.path), "in use", str(tmp_path))
    assert not (tmp_path / "new").exists()


def test_zoo_list_and_show(run: Run) -> None:
    entries = run("zoo", "list", "--json").json["entries"]
    assert {"imagenet"} < {entry["task"] for entry in entries}
    whole = max((e for e in entries if e["task"] == "imagenet"), key=lambda e: e["params"])
    assert whole["params"] > 4_600_000  # EfficientNet-Lite0 with its 1000 classes
    shown = run("zoo", "show", whole["id"], "--json").json
    assert {name: shown[name] for name in whole} == whole
    assert shown["data_licence"] is None
    own = run("zoo", "show", next(e["id"] for e in entries if e["task"] == "flags"), "--json").json
    assert (own["base_licence"], own["data_licence"]) == (whole["licence"], own["licence"])
    assert whole["id"] in run("zoo", "show", whole["id"]).out
    assert "imagenet" in run("zoo", "list").out
    assert whole["id"] in run("zoo", "list", "--task", "imagenet").out


def test_zoo_add_names_what_can_be_added(run: Run, tmp_path: Path) -> None:
    Zoo.create(tmp_path / "zoo")
    answer = run("zoo", "add", "resnet18", "--zoo", tmp_path / "zoo")
    assert_fails(answer, "has no base", "tans zoo copy")
    assert_fails(run("zoo", "add", "resnet18", "--zoo", tmp_path / "none"), "no zoo in")
