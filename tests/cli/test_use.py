"""The commands of the main job: what goes to which stream, and what comes of it."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import fsspec
import numpy as np
import pytest
import torch
from PIL import Image

from tans.cli import console
from tans.costs import limits
from tans.costs.pace import Pace
from tans.licences import allows_commercial
from tans.zoo.licensing import Licensing
from tans.zoo.zoo import Zoo
from tests.cli.conftest import Run, assert_fails
from tests.small_zoo import drawn_task


@pytest.mark.parametrize("command", ["search", "finetune"])
def test_bad_limits(run: Run, dataset: Path, tmp_path: Path, command: str) -> None:
    output = ["-o", tmp_path / "out"] if command == "finetune" else []
    assert_fails(run(command, dataset, *output, "--max-params", "many"), "'many'", "3M")
    assert_fails(run(command, dataset, *output, "--max-flops", "-1"), "'-1'", "3M")
    assert_fails(run(command, dataset, *output, "--max-latency", "20"), "'20'", "20ms")
    assert not (tmp_path / "out").exists()


def test_missing_folder(run: Run, tmp_path: Path) -> None:
    assert_fails(run("search", tmp_path / "nothing"), "nothing", "expected a folder")
    assert_fails(run("search", tmp_path / "nothing", "--json"), "nothing")


def test_single_class(run: Run, tmp_path: Path) -> None:
    (tmp_path / "data" / "only").mkdir(parents=True)
    for k in range(4):
        Image.new("RGB", (8, 8)).save(tmp_path / "data" / "only" / f"{k}.png")
    assert_fails(run("search", tmp_path / "data"), "1 class", "only")


def test_a_folder_in_use_is_refused(run: Run, dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert_fails(run("finetune", dataset, "-o", tmp_path), "not empty", "--force")
    assert_fails(run("finetune", dataset, "-o", tmp_path / "notes.txt"), "is a file")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.long
def test_second_look(run: Run, dataset: Path, judged_zoo: Zoo) -> None:
    looked = run("search", dataset, "--zoo", judged_zoo.path, "--look", 1, "--json").json
    assert looked["related"] is False
    assert len(looked["looks"]) == 1 + 3 + 1
    assert set(looked["looks"][0]) == {"id", "task", "resolution", "accuracy"}
    assert looked["look_s"] > 0
    assert looked["matches"][0]["low"] <= looked["matches"][0]["predicted_accuracy"]
    table = run("search", dataset, "--zoo", judged_zoo.path).out
    assert "Nothing in this zoo is related to your data" in table
    without = run("search", dataset, "--zoo", judged_zoo.path, "--look", 0, "--json").json
    assert (without["related"], without["looks"], without["look_s"]) == (None, [], 0)
    assert without["matches"][0]["low"] is None


def test_minutes_that_nothing_fits_in(
    run: Run, dataset: Path, small_zoo: Zoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "cached_pace", lambda ref: Pace(ref.name, 1.0, 0.0, 0.3, 0.1))
    where = ("--zoo", small_zoo.path)
    found = run("search", dataset, *where, "--max-minutes", 60, "--json").json["matches"]
    assert all(0 < match["minutes"] <= 60 for match in found)
    assert_fails(run("search", dataset, *where, "--max-minutes", 0.1), "max_minutes", "nearest")
    assert_fails(run("search", dataset, *where, "--max-minutes", 0), "max_minutes", "positive")


@pytest.mark.long
def test_imagenet_beside_is_the_whole_network_at_the_zoos_resolution(
    run: Run, dataset: Path, judged_zoo: Zoo, tmp_path: Path
) -> None:
    best = next(e for e in judged_zoo.entries() if e.task == "red")
    asked = ("--network", best.id, "--beside", "imagenet", "--beside", "blue")
    output = ("-o", tmp_path / "tuned", "--zoo", judged_zoo.path)
    answer = run("finetune", dataset, *asked, "--epochs", 1, "--look", 1, *output, "--json")
    assert answer.code == 0
    chosen, imagenet, blue = (judged_zoo.entry(tuned["id"]) for tuned in answer.json["runs"])
    assert chosen == best
    assert (imagenet.task, imagenet.resolution) == ("imagenet", judged_zoo.resolution)
    assert imagenet.weights != judged_zoo.base
    assert imagenet.ref == judged_zoo.base_ref
    assert (blue.task, blue.ref) == ("blue", judged_zoo.base_ref)
    assert answer.json["search"] is None  # a network that is named is not searched for
    page = (tmp_path / "tuned" / "report.html").read_text(encoding="utf-8")
    assert "Why this network" not in page
    assert "none: the network was named" in page


def test_search_json(run: Run, dataset: Path) -> None:
    answer = run("search", dataset, "--max-params", "2.5M", "--top", 4, "--json")
    assert answer.code == 0
    assert set(answer.json) == {
        "matches", "embedding_s", "search_s", "look_s", "looks", "related", "latency_error",
        "epochs", "shortened", "forbidden", "tried", "notes", "method", "data",
    }  # fmt: skip
    matches = answer.json["matches"]
    assert len(matches) == 4
    for match in matches:
        assert set(match) == {
            "id", "task", "params", "flops", "resolution", "latency_ms", "minutes",
            "predicted_accuracy", "low", "high", "similarity", "licences",
        }  # fmt: skip
        assert isinstance(match["params"], int)
        assert 0 < match["params"] <= 2_500_000
        assert isinstance(match["flops"], int)
        assert match["latency_ms"] is None
        assert 0 <= match["predicted_accuracy"] <= 1


@pytest.mark.long
def test_search_table(run: Run, dataset: Path) -> None:
    answer = run("search", dataset, "--top", 2, "--max-params", "2.5M", "--look", 1)
    assert answer.code == 0
    assert "params" in answer.out
    assert "Embedded the images in" in answer.out
    assert f"Next: tans finetune {dataset} --network " in answer.out


def test_only_what_may_be_used_commercially(
    run: Run, dataset: Path, small_zoo: Zoo, tmp_path: Path
) -> None:
    shutil.copytree(small_zoo.path, tmp_path / "zoo")
    zoo = Zoo.open(tmp_path / "zoo")
    zoo.add_entries([replace(e, licence="CC-BY-NC-4.0") for e in zoo.entries(task="red")])
    asked = ("search", dataset, "--zoo", zoo.path, "--look", 0, "--commercial")
    found = run(*asked, "--top", 10_000, "--json").json
    assert found["forbidden"] == len(zoo.entries(task="red"))
    told = [match["licences"].values() for match in found["matches"]]
    assert all(allows_commercial(each) for part in told for each in part if each is not None)
    answer = run(*asked)
    assert f"{found['forbidden']} networks are left out: a licence" in " ".join(answer.out.split())


def test_every_network_that_ships_may_be_used_commercially() -> None:
    zoo = Zoo.open()
    licensing = Licensing.of(zoo)
    assert all(licensing.chain(entry).commercial for entry in zoo.entries(vectors=False))


def test_nothing_fits(run: Run, dataset: Path) -> None:
    assert_fails(run("search", dataset, "--max-params", "1k"), "no network", "max_params")


def test_skipped_files_are_named(run: Run, dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to(dataset)
    broken = dataset / "red" / "broken.png"
    broken.write_bytes(b"no image")
    try:
        answer = run("search", tmp_path / "data", "--top", 1, "--look", 0, "--json")
    finally:
        broken.unlink()
    assert answer.code == 0
    assert len(answer.json["matches"]) == 1
    assert "warning: 1 left out: damaged (red/broken.png)" in answer.err
    left_out = answer.json["data"]["found"]["left_out"]
    assert left_out == {"damaged": {"count": 1, "some": ["red/broken.png"]}}


def test_unknown_network(run: Run, dataset: Path, tmp_path: Path) -> None:
    assert_fails(run("zoo", "show", "no-such-id"), "no-such-id")
    output = tmp_path / "out"
    assert_fails(run("finetune", dataset, "--network", "no-such-id", "-o", output), "no-such-id")
    assert not output.exists()


@pytest.mark.long
def test_finetune_then_predict(run: Run, dataset: Path, tmp_path: Path) -> None:
    output = tmp_path / "tuned"
    answer = run("finetune", dataset, "--max-params", "1.5M", "--epochs", 1, "-o", output, "--json")
    assert answer.code == 0
    (tuned,) = answer.json["runs"]
    assert tuned["params"] <= 1_500_000
    assert [epoch["epoch"] for epoch in tuned["history"]] == [0, 1]
    assert {path.name for path in output.iterdir()} == {
        "model.safetensors", "model.json", "README.md", "report.html",
    }  # fmt: skip
    assert_fails(run("finetune", dataset, "-o", output), "not empty")
    predictions = run("predict", output, dataset / "red", "missing.png", "--json").json
    assert len(predictions["predictions"]) == 13
    assert {p["label"] for p in predictions["predictions"][:12]} <= {"red", "green", "blue"}
    assert predictions["predictions"][12]["error"]
    lines = run("predict", output, dataset / "red" / "0.png", "missing.png", "--top", 2)
    assert lines.code == 3
    path, *ranked = lines.out.rstrip("\n").split("\t")
    assert path == str(dataset / "red" / "0.png")
    assert len(ranked) == 4
    assert "missing.png" in lines.err
    assert run("predict", output, "missing.png").code == 1
    table = tmp_path / "said.csv"
    assert run("predict", output, dataset / "blue", "missing.png", "--csv", table).code == 3
    head, *rows = csv.reader(table.open(newline="", encoding="utf-8"))
    assert head == ["path", "label", "probability", "error"]
    assert len(rows) == 13
    (error,) = (row[3] for row in rows if row[3])
    assert error.startswith("missing")


def test_finetune_then_export(run: Run, dataset: Path, small_zoo: Zoo, tmp_path: Path) -> None:
    output, network = tmp_path / "tuned", small_zoo.base_ref
    entry = next(e.id for e in small_zoo.entries() if e.ref == network)
    asked = ("--network", entry, "--zoo", small_zoo.path, "--plain-head", "--epochs", 1)
    assert run("finetune", dataset, *asked, "-o", output).code == 0
    assert json.loads((output / "model.json").read_text())["deep_head"] is False
    answer = run("export", output, "--format", "safetensors", "--images", dataset)
    assert answer.code == 0
    assert "over 6 test images of colours" in answer.out
    assert "accuracy" in answer.out
    assert f"Wrote {output}/network.safetensors" in answer.out
    answer = run("export", output, "--format", "timm", "--json")
    assert answer.code == 0
    assert answer.json["files"][0] == str(output / "timm" / "model.safetensors")
    assert answer.json["network"]["difference"] < 1e-4
    assert answer.json["int8"] is None
    assert run("predict", output, dataset / "red").code == 0
    assert_fails(run("export", output, "--format", "onnxx"), "'onnxx'", "expected one of onnx")
    assert_fails(run("export", output, "--format", "onnx", "--int8"), "--images")
    assert_fails(run("export", tmp_path, "--format", "timm"), "no fine-tuned network")
    assert run("export", output).code == 2


@pytest.mark.long
def test_predict_says_what_is_none_of_these(
    run: Run, small_zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = drawn_task("green", "three", n=150)
    network = next(e.id for e in small_zoo.entries() if e.task == "red")
    out = tmp_path / "tuned"
    task.save(tmp_path / "data")
    asked = ("--network", network, "--zoo", small_zoo.path, "--epochs", 1, "-o", out)
    told = run("finetune", tmp_path / "data", *asked)
    assert "is said to be none of them, and so are about 5 % of known ones, by 24" in told.out
    images = tmp_path / "images"
    images.mkdir()
    for k, image in enumerate(task.pixels.at(32)[task.splits == 2][:6]):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(images / f"{k}.png")
    checks = (np.indices((32, 32)).sum(0) % 2 * 255).astype(np.uint8)
    Image.fromarray(checks).save(images / "other.png")
    found = run("predict", out, images, "--top", 2, "--json")
    *known, other = found.json["predictions"]
    assert (other["label"], other["probability"], other["known"]) == (None, None, False)
    assert len(other["ranked"]) == 2
    assert all(p["known"] and p["label"] == p["ranked"][0]["label"] for p in known[:4])
    assert "unlike all that the network learnt from (none of these)" in found.err
    *_, line = run("predict", out, images, "--top", 2).out.splitlines()
    assert line.split("\t")[1:3] == ["none of these", ""]
    assert len(line.split("\t")) == 5
    run("predict", out, images, "--csv", tmp_path / "said.csv")
    *_, row = csv.reader((tmp_path / "said.csv").open(newline=""))
    assert row[1:] == ["none of these", "", ""]
    monkeypatch.setattr(console, "is_terminal", lambda: True)
    assert "none of these" in run("predict", out, images).out
    closed = run("predict", out, images, "--closed")
    assert "none of these" not in closed.out + closed.err
    assert_fails(run("predict", out, images, "--false-alarms", 0.01), "takes 99", "with 24")
    assert_fails(run("predict", out, images, "--false-alarms", 3), "between 0 and 1")


@pytest.mark.long
def test_finetune_goes_on_with_more_classes(
    run: Run, dataset: Path, small_zoo: Zoo, tmp_path: Path
) -> None:
    whole = tmp_path / "whole"
    shutil.copytree(dataset, whole)
    first, second = tmp_path / "first", tmp_path / "second"
    shutil.copytree(dataset, tmp_path / "colours", ignore=shutil.ignore_patterns("blue"))
    network = next(e.id for e in small_zoo.entries() if e.task == "red")
    made = ("--network", network, "--zoo", small_zoo.path, "--epochs", 1, "-o", first)
    assert run("finetune", tmp_path / "colours", *made).code == 0
    for refused in (("--network", network), ("--max-params", "1M"), ("--zoo", small_zoo.path)):
        answer = run("finetune", whole, "--from", first, *refused, "-o", second)
        assert_fails(answer, "none is searched for", "--from")
    assert_fails(run("finetune", whole, "--from", dataset, "-o", second), "no fine-tuned network")
    assert not second.exists()
    answer = run("finetune", whole, "--from", first, "--epochs", 1, "-o", second)
    assert answer.code == 0
    assert "Classes: 2 known (green, red), 1 new (blue); " in answer.out
    card = json.loads((second / "model.json").read_text())
    assert card["classes"] == ["blue", "green", "red"]
    assert card["source"]["entry"] == card["from"]["entry"] == network
    again = ("--from", second, "--epochs", 1, "-o", second, "--force", "--json")
    change = run("finetune", tmp_path / "colours", *again).json["change"]
    assert (change["kept"], change["new"], change["gone"]) == (["green", "red"], [], ["blue"])


@pytest.mark.long
def test_a_network_that_goes_on_reads_as_before(run: Run, small_zoo: Zoo, tmp_path: Path) -> None:
    def scans(root: Path, most: int) -> Path:
        generator = np.random.default_rng(0)
        for name, low in (("dark", 0), ("bright", most // 2)):
            (root / name).mkdir(parents=True)
            for k in range(12):
                samples = generator.integers(low, low + most // 2, (20, 20), dtype=np.uint16)
                Image.fromarray(samples).save(root / name / f"{k}.png")
        return root

    network = next(e.id for e in small_zoo.entries() if e.task == "red")
    made = ("--network", network, "--zoo", small_zoo.path, "--epochs", 1, "-o", tmp_path / "first")
    assert run("finetune", scans(tmp_path / "data", 4000), *made).code == 0
    go_on = ("--from", tmp_path / "first", "--epochs", 1, "-o", tmp_path / "second")
    assert run("finetune", scans(tmp_path / "darker", 900), *go_on).code == 0
    reading = json.loads((tmp_path / "second" / "model.json").read_text())["reading"]
    assert reading["ranges"]["uint16"] == [0, 4095]


@pytest.mark.long
def test_a_check_shows_what_was_understood(run: Run, dataset: Path, tmp_path: Path) -> None:
    page = tmp_path / "check.html"
    answer = run("check", dataset, "-o", page)
    assert answer.code == 0
    assert "Taken for one folder for each class." in answer.out
    assert "red: red/0.png" in answer.out
    assert "Beware: fewer than 10 training images" in answer.out
    assert "Some images of each class" in page.read_text(encoding="utf-8")
    data = run("check", dataset, "--json").json["data"]
    assert data["classes"]["red"] == {"train": 8, "val": 2, "test": 2}
    assert data["found"]["reading"] == {"ranges": {"uint8": [0, 255]}, "ground": [255, 255, 255]}
    assert any("of one colour" in warning for warning in data["warnings"])


@pytest.mark.long
def test_a_check_says_what_more_images_may_bring(run: Run, tmp_path: Path) -> None:
    task = drawn_task("green", "three", n=75)
    mixed = torch.randperm(75, generator=torch.Generator().manual_seed(0))
    replace(task, labels=task.labels[mixed]).save(tmp_path / "data")  # nothing to learn from
    page = tmp_path / "check.html"
    answer = run("check", tmp_path / "data", "-o", page)
    assert answer.code == 0
    (line,) = (line for line in answer.out.splitlines() if line.startswith("Accuracy on frozen"))
    assert "learnt from 11, 22 and 43 of the 48 training images: " in line
    assert "Twice as many images may bring " in line
    assert line in page.read_text(encoding="utf-8")
    curve = run("check", tmp_path / "data", "--json").json["curve"]
    assert curve["learnt_from"] == [11, 22, 43]
    assert curve["low"] <= curve["gain"] <= curve["high"] <= 1
    assert curve["untold"] is None


def test_a_check_tells_why_the_curve_cannot_be_told(run: Run, tmp_path: Path) -> None:
    drawn_task("green", "three", n=20).save(tmp_path / "data")
    answer = run("check", tmp_path / "data")
    assert answer.code == 0
    assert "What more images would bring cannot be told: a quarter of the" in answer.out
    curve = run("check", tmp_path / "data", "--json").json["curve"]
    assert curve["gain"] is None
    assert curve["untold"].endswith("is fewer than 2 for each of 3 classes")


def test_a_check_leaves_the_curve_out(run: Run, dataset: Path) -> None:
    assert "frozen features" in run("check", dataset).out
    assert "frozen features" not in run("check", dataset, "--no-curve").out
    assert run("check", dataset, "--json", "--no-curve").json["curve"] is None


@pytest.mark.long
def test_search_and_finetune_say_what_they_understood(
    run: Run, dataset: Path, small_zoo: Zoo, tmp_path: Path
) -> None:
    answer = run("search", dataset, "--zoo", small_zoo.path, "--top", 1)
    assert "colours: 36 images in 3 classes (blue 12, green 12, red 12)" in answer.err
    network = next(e.id for e in small_zoo.entries() if e.task == "red")
    tuned = ("--network", network, "--zoo", small_zoo.path, "--epochs", 1, "-o", tmp_path / "out")
    answer = run("finetune", dataset, *tuned)
    assert answer.code == 0
    assert "colours: 36 images in 3 classes" in answer.err
    assert "Always guessing" in answer.out
    assert "Recall of" in answer.out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--layout", "heap"), "expected one of classes, splits"),
        (("--split", "train"), "expected NAME=DIR"),
        (("--split", "train=nowhere"), "there are no images"),
        (("--range", "0-4095"), "is not a range"),
        (("--range", "5:5"), "expected two numbers"),
    ],
)
def test_what_a_user_says_of_the_data_is_checked(
    run: Run, dataset: Path, options: tuple[str, ...], words: str
) -> None:
    assert_fails(run("check", dataset, *options), words)


def test_no_network_is_tuned_where_it_cannot_be_written(
    run: Run, dataset: Path, small_zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tuned(*_: object, **__: object) -> None:
        raise AssertionError("training began")

    monkeypatch.setattr("tans.workflow.finetuning.finetune", tuned)
    (tmp_path / "file").write_text("")
    where = ("-o", tmp_path / "file" / "out", "--zoo", small_zoo.path)
    assert_fails(run("finetune", dataset, *where), "cannot be written")


@pytest.mark.parametrize("answer", [True, False])
@pytest.mark.long
def test_an_interrupt_offers_the_best_epoch_so_far(
    run: Run,
    dataset: Path,
    small_zoo: Zoo,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    answer: bool,
) -> None:
    network = next(e.id for e in small_zoo.entries() if e.task == "red")
    asked: list[str] = []

    def confirm(question: str) -> bool:
        asked.append(question)
        return answer

    monkeypatch.setattr(console, "confirm", confirm)
    monkeypatch.setattr("tans.training.Loop.minimise", _interrupted)
    where = ("--network", network, "--zoo", small_zoo.path, "-o", tmp_path / "out", "--json")
    done = run("finetune", dataset, *where)
    assert done.code == 130
    assert "epoch 0" in asked[0]
    assert (tmp_path / "out" / "model.json").exists() == answer
    if answer:
        assert done.json["interrupted"] is True
        assert done.json["runs"][0]["best_epoch"] == 0


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_dataset_elsewhere_is_named_by_its_address(run: Run, dataset: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.put(str(dataset), "/elsewhere", recursive=True)
    here, there = (
        run("check", place, "--no-curve", "--json") for place in (dataset, "memory://elsewhere")
    )
    assert there.code == 0
    assert there.json["data"]["classes"] == here.json["data"]["classes"]
    assert_fails(run("check", "nowhere://images"), "nowhere://images cannot be reached")


@pytest.mark.long
def test_a_query_is_sent_instead_of_the_images(
    run: Run, dataset: Path, small_zoo: Zoo, tmp_path: Path
) -> None:
    for name in ("query.json", "query.safetensors"):
        made = run("embed", dataset, "-o", tmp_path / name, "--zoo", small_zoo.path)
        assert made.code == 0
        assert f"tans search {tmp_path / name} --zoo {small_zoo.path}" in made.out
        found = run("search", tmp_path / name, "--zoo", small_zoo.path, "--json").json
        own = run("search", dataset, "--zoo", small_zoo.path, "--look", 0, "--json").json
        assert found["matches"] == own["matches"]
        assert (found["data"], found["looks"]) == (None, [])
    shown = run("search", tmp_path / "query.json", "--zoo", small_zoo.path)
    assert "without the images no network was looked at again" in shown.out
    assert "tans finetune DATA --network" in shown.out
    printed = run("embed", dataset, "--zoo", small_zoo.path)
    assert printed.json == json.loads((tmp_path / "query.json").read_text())
    assert_fails(run("search", tmp_path / "query.json"), "embedded by retriever")
    for command in (("finetune", "-o", tmp_path / "out"), ("embed",)):
        assert_fails(run(*command, tmp_path / "query.json"), "holds no images")
    assert_fails(run("embed", dataset, "-o", tmp_path / "query.txt"), "expected .json")


@pytest.mark.usefixtures("short_published")
@pytest.mark.long
def test_the_papers_method_is_one_command(
    run: Run, dataset: Path, small_zoo: Zoo, tmp_path: Path
) -> None:
    asked = (dataset, "--method", "paper", "--zoo", small_zoo.path)
    found = run("search", *asked, "--json")
    assert found.json["method"] == "paper"
    assert "Learning the paper's retrieval" in found.err
    table = run("search", *asked, "--max-params", "2M")
    assert "Learning" not in table.err
    assert "limits are applied last" in " ".join(table.err.split())
    assert "--method paper" in table.out
    tuned = run("finetune", *asked, "--epochs", 1, "-o", tmp_path / "tuned", "--json")
    assert tuned.code == 0
    assert tuned.json["search"]["matches"][0]["id"] == found.json["matches"][0]["id"]
    card = json.loads((tmp_path / "tuned" / "model.json").read_text())
    told = {name: card["recipe"][name] for name in ("learning_rate", "deep_head", "epochs")}
    assert told == {"learning_rate": 0.01, "deep_head": False, "epochs": 1}
    assert "as TANS was published" in (tmp_path / "tuned" / "report.html").read_text()


def test_what_the_papers_method_does_not_have(run: Run, dataset: Path, tmp_path: Path) -> None:
    paper = ("--method", "paper")
    output = ("-o", tmp_path / "out")
    assert_fails(run("search", dataset, "--method", "mine"), "'mine'", "tans, paper")
    assert_fails(run("search", dataset, *paper, "--catalogue"), "--catalogue")
    assert_fails(run("search", dataset, *paper, "--server", "http://x"), "--server")
    assert_fails(run("search", dataset, *paper, "--max-minutes", 5), "not of minutes")
    assert_fails(run("finetune", dataset, *output, *paper, "--combine", "distil"), "distil")
    assert_fails(run("finetune", dataset, *output, *paper, "--server", "http://x"), "--server")
    assert not (tmp_path / "out").exists()
