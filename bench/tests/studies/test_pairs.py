"""Tables of what a zoo has measured."""

from __future__ import annotations

import csv

from tans_bench.runs.bench import Bench
from tans_bench.runs.runner import run_experiment
from tans_bench.studies.pairs import EXPERIMENT, NETWORKS, TRANSFERS


def test_every_network_and_every_transfer_has_a_line(bench: Bench) -> None:
    assert run_experiment(EXPERIMENT, bench) == 1
    tables = {}
    for name in (NETWORKS, TRANSFERS):
        with (bench.results.folder / name).open(newline="") as file:
            tables[name] = list(csv.DictReader(file))
    entries = {entry.id: entry for entry in bench.zoo.entries(vectors=False)}
    assert [row["id"] for row in tables[NETWORKS]] == list(entries)
    for row in tables[NETWORKS]:
        assert int(row["params"]) == entries[row["id"]].body_params
    assert len(tables[TRANSFERS]) == len(list(bench.zoo.transfers())) > 0


def test_tables_that_are_stored_stay(bench: Bench) -> None:
    bench.results.folder.mkdir()
    for name in (NETWORKS, TRANSFERS):
        (bench.results.folder / name).write_text("id\n")
    assert run_experiment(EXPERIMENT, bench) == 0
    assert (bench.results.folder / NETWORKS).read_text() == "id\n"
