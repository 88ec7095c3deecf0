"""All ways to find the nearest of a few thousand networks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bench.tests.conftest import run_and_draw

from tans.meta.retriever import Retriever
from tans.search import vectors
from tans.zoo.zoo import Zoo
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Table
from tans_bench.runs.experiment import Fixed
from tans_bench.studies import million
from tans_bench.studies.million import EXPERIMENT, OPENED, RUNS, Opened, Search, drawn


@pytest.mark.parametrize("kind", million.KINDS)
@pytest.mark.slow
def test_ways_are_measured_beside_the_exact_one(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(million, "PEERS", (5000,))
    monkeypatch.setattr(vectors, "FEW", 1000)
    plan = Fixed((Search(kind, 5000, 1.0), Search(kind, 5000, 0.3)))
    (table,) = run_and_draw(replace(EXPERIMENT, plan=plan), bench, tmp_path)
    everything, limited = (line["ways"] for line in bench.results.lines(RUNS))
    assert everything.keys() == {"product", "tans", "usearch", "lancedb", "lancedb, refined"}
    assert limited.keys() == {"product", "tans"}
    assert everything["product"]["recall"] == 0
    for ways in (everything, limited):
        assert ways["tans"]["recall"] >= 0.99
    assert isinstance(table, Table)
    assert len(table.rows) == 7


def test_a_zoo_of_many_is_opened_and_searched(bench: Bench, tmp_path: Path) -> None:
    plan = Fixed((Opened(500),))
    (table,) = run_and_draw(replace(EXPERIMENT, plan=plan), bench, tmp_path)
    (line,) = bench.results.lines(OPENED)
    assert line["rows"] == 500
    assert line["seconds"] > 0
    assert isinstance(table, Table)
    assert table.rows[0][0] == "500"


def test_entries_are_repeated_with_embeddings_of_their_own(bench: Bench, tmp_path: Path) -> None:
    million.repeat_entries(bench.zoo, tmp_path / "zoo", 300)
    made = Zoo.open(tmp_path / "zoo")
    columns, learnt = made.columns(), Retriever.load(made.retrieval)
    assert len(columns) == len(learnt.matrix) == 300
    assert learnt.networks == columns.digest
    assert len(learnt.matrix.unique(dim=0)) == 300


def test_vectors_are_of_unit_length_and_seeded(bench: Bench) -> None:
    for kind in million.KINDS:
        matrix, queries = drawn(kind, 50, bench.zoo)
        assert np.linalg.norm(matrix, axis=1) == pytest.approx(1, abs=1e-5)
        assert (drawn(kind, 50, bench.zoo)[1] == queries).all()
