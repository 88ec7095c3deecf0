"""What is in a zoo, and that the stored counts are of the one that ships."""

from __future__ import annotations

from pathlib import Path

from bench.tests.conftest import run_and_draw

from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Table
from tans_bench.studies.shipped import EXPERIMENT, Count

STORED = Path(__file__).parents[2] / "results"


def test_what_is_in_a_zoo_is_counted(bench: Bench, tmp_path: Path) -> None:
    bench.results.write("choices/greek/tans", {"zoo": "another"})
    told, zoos = run_and_draw(EXPERIMENT, bench, tmp_path)
    assert isinstance(told, Table)
    assert isinstance(zoos, Table)
    cells = dict(map(tuple, told.rows))
    assert cells["digest"] == bench.digest
    assert cells["networks"] == str(len(bench.zoo.entries()))
    assert cells["source tasks beside ImageNet"] == "2"
    assert zoos.rows == [["choices", "another", "1", "no"]]
    stored = bench.results.read("shipped")
    assert stored is not None
    assert 0 < stored["opened_bytes"] <= stored["searched_bytes"] < stored["bytes"]
    assert 0 < stored["safetensors_bytes"] < stored["json_bytes"]


def test_another_zoo_is_counted_anew(bench: Bench) -> None:
    assert not Count().done(bench)
    bench.results.write("shipped", {"zoo": "another"})
    assert not Count().done(bench)
    bench.results.write("shipped", {"zoo": bench.digest})
    assert Count().done(bench)


def test_the_stored_counts_are_of_the_zoo_that_ships() -> None:
    """Where not, run ``tans bench run shipped --results bench/results``, and report."""
    assert Count().done(Bench.open(STORED))
