"""A service for many at once: what is run, and what is drawn of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tans.zoo.zoo import Zoo
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Table
from tans_bench.runs.results import Results
from tans_bench.studies import serving
from tests.small_zoo import drawn_task


def test_times_are_drawn_in_multiples_of_one_client_alone(tmp_path: Path) -> None:
    results = Results(tmp_path)
    assert not serving.EXPERIMENT.draw(results)
    for clients, p50, p99 in ((50, 1.0, 2.0), (1, 0.1, 0.2)):
        run = {"clients": clients, "requests": 100, "networks": 2425, "cores": 2, "errors": 0}
        times = {"p50_s": p50, "p99_s": p99, "seconds": 10.0}
        results.write(f"serving.jsonl/{clients}", {**run, **times})
    (table,) = serving.EXPERIMENT.draw(results)
    assert isinstance(table, Table)
    assert [row[0] for row in table.rows] == ["1", "50"]
    assert table.rows[1][3:5] == ["10.0", "20.0"]


@pytest.mark.slow
def test_all_of_fifty_clients_are_answered(small_zoo: Zoo, tmp_path: Path) -> None:
    bench = Bench(Results(tmp_path), small_zoo, lambda *_: drawn_task("green", "three", seed=3))
    run = serving.Trial(50, 100).run(bench)
    assert run["errors"] == 0
    print(f"median {run['p50_s']} s, 99th percentile {run['p99_s']} s")
