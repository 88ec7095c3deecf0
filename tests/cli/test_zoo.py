"""The commands for zoos."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tans.search import embed
from tans.zoo.zoo import Zoo
from tests.cli.conftest import Run, assert_fails
from tests.networks.incoming.sources import onnx_file
from tests.small_zoo import drawn_task


@pytest.mark.long
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


def test_zoo_add_takes_a_graph_and_what_is_said_of_it(
    run: Run, small_zoo: Zoo, tmp_path: Path
) -> None:
    shutil.copytree(small_zoo.path, tmp_path / "zoo")
    graph = onnx_file(tmp_path / "tiny.onnx")
    said = ("--licence", "mit", "--origin", "stones", "--family", "rocks", "--mean", "120,110,100")
    options = (graph, "--zoo", tmp_path / "zoo", *said)
    assert_fails(run("zoo", "add", *options), "give --std")
    answer = run("zoo", "add", *options, "--std", "60")
    assert answer.code == 0
    assert "features of tiny.onnx are its tensor pooled" in answer.err
    (entry,) = Zoo.open(tmp_path / "zoo").entries(task="stones")
    assert answer.out.startswith(f"{entry.id}: onnx:tiny at 32 px, MIT")
    assert (entry.licence, entry.ref.input.std) == ("MIT", (60.0, 60.0, 60.0))
    shown = run("zoo", "show", entry.id, "--zoo", tmp_path / "zoo", "--json").json
    assert (shown["family"], shown["licence"]) == ("rocks", "MIT")
    assert "stones" in run("zoo", "list", "--zoo", tmp_path / "zoo").out


def test_zoo_add_refuses_what_does_not_go_together(run: Run, small_zoo: Zoo) -> None:
    into = ("--zoo", small_zoo.path)
    assert_fails(run("zoo", "add", "a", "b", "--weights", "w.pth", *into), "came with 2 networks")
    assert_fails(run("zoo", "add", "a", "--mean", "1,2", *into), "one number or three")
    assert_fails(run("zoo", "add", "nonsense", *into), "no network 'nonsense' is known")


@pytest.mark.long
def test_a_zoo_is_pushed_searched_where_it_lies_and_pulled(
    run: Run, small_zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TANS_CACHE", str(tmp_path / "cache"))
    address = "memory://command/zoo"
    pushed = run("zoo", "push", small_zoo.path, address)
    assert (pushed.code, f"--zoo {address}" in pushed.out) == (0, True)
    assert run("zoo", "push", small_zoo.path, address, "--json").json["sent"] == 0
    listed = run("zoo", "list", "--zoo", address)
    assert f"networks in {address}" in listed.out
    assert f"Fetching tables and retrieval of {address}" in listed.err
    assert run("zoo", "list", "--zoo", address).err == ""
    query = tmp_path / "query.json"
    embed(drawn_task("green", "three", seed=3), small_zoo).save(query)
    found, own = (run("search", query, "--zoo", z, "--json") for z in (address, small_zoo.path))
    assert found.json["matches"] == own.json["matches"]
    assert not list((tmp_path / "cache" / "zoos" / "files").glob("weights/*"))
    pulled = run("zoo", "pull", address, tmp_path / "here")
    assert (pulled.code, "Next: tans search" in pulled.out) == (0, True)
    merged = run("zoo", "merge", tmp_path / "here", address, "-o", tmp_path / "both")
    assert (merged.code, "tans train --zoo" in merged.out) == (0, True)
    for command in (
        ("add", "resnet18", "--zoo", address),
        ("copy", address),
        ("pull", address, address),
        ("transfers", "--tasks", tmp_path, "--zoo", address),
    ):
        assert_fails(run("zoo", *command), "only read", "tans zoo pull", "push")
    assert_fails(run("zoo", "list", "--zoo", "memory://nothing"), "no zoo at memory://nothing")
    assert_fails(run("zoo", "push", small_zoo.path, tmp_path), "is no address")
