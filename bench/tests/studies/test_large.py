"""What tasks of a few hundred drawn images take."""

from __future__ import annotations

import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from bench.tests.conftest import run_and_draw
from PIL import Image

from tans_bench.errors import ResultError
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Table
from tans_bench.runs.experiment import Fixed
from tans_bench.studies import large
from tans_bench.studies.large import COMMANDS, EXPERIMENT, RATES, Commands, Rates, watched
from tans_bench.studies.scripts.drawn_images import CLASSES, draw_folder, pack


@pytest.mark.slow
def test_commands_are_watched_and_a_million_is_foretold(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large, "MILLION", 1000)
    plan = Fixed((Commands(300), Commands(400)))
    tables = run_and_draw(replace(EXPERIMENT, plan=plan), bench, tmp_path)
    for line in bench.results.lines(COMMANDS):
        assert len(line["commands"]) == 4
        for found in line["commands"].values():
            assert 0 < found["own_gb"] < found["resident_gb"] < 3
            assert found["seconds"] > 0
    assert [len(table.rows) for table in tables if isinstance(table, Table)] == [8, 4]


@pytest.mark.slow
def test_loaders_are_measured_beside_each_other(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large, "ROUNDS", 1)
    plan = Fixed((Rates(32, images=200),))
    (table,) = run_and_draw(replace(EXPERIMENT, plan=plan), bench, tmp_path)
    (line,) = bench.results.lines(RATES)
    assert line["of_torchvision"]["torchvision"] == 1
    assert min(line["rates"].values()) > 0
    assert isinstance(table, Table)
    assert len(table.rows) == 5


@pytest.mark.long
def test_a_command_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="nothing at"):
        watched(["check", str(tmp_path / "missing")], tmp_path / "cache")


def test_pictures_are_the_same_each_time_and_packed_in_order(tmp_path: Path) -> None:
    for name in ("one", "two"):
        draw_folder(tmp_path / name, 2 * CLASSES)
    files = sorted((tmp_path / "one").glob("*/*.jpg"))
    assert len(files) == 2 * CLASSES
    assert len({file.parent.name for file in files}) == CLASSES
    for file in files:
        assert file.read_bytes() == (tmp_path / "two" / file.parent.name / file.name).read_bytes()
        with Image.open(file) as image:
            assert all(64 <= side <= 160 for side in image.size)
    pack(tmp_path / "one", tmp_path / "shards", each=60)
    shards = sorted((tmp_path / "shards").iterdir())
    with tarfile.open(shards[0]) as first, tarfile.open(shards[1]) as second:
        assert len(first.getnames()) == 120
        assert second.getnames()[:2] == ["0000060.jpg", "0000060.cls"]
