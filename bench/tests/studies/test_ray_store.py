"""What crosses the network stands in tables."""

from __future__ import annotations

from pathlib import Path

from tans_bench.runs.drawing import Table
from tans_bench.runs.results import Results
from tans_bench.studies.ray_store import EXPERIMENT


def test_measured_and_simulated_stand_in_tables(tmp_path: Path) -> None:
    results = Results(tmp_path)
    assert not EXPERIMENT.draw(results)
    names = ("driver_put_bytes_a_task", "worker_get_bytes_a_task", "worker_get_bytes_again")
    exchanged = dict.fromkeys((*names, "sent_bytes", "answered_bytes"), 2500.0)
    commit = {"add_s": 0.1, "publish_s": 0.2, "files": 13.0, "bytes": 70_000.0}
    one = {"all": 4.0, "busiest": 4.0, "driver": 1.0}
    seconds = {"1": one, "2": {"all": 5.0, "busiest": 3.0, "driver": 1.0}}
    run = {"pair": "measured", "workers": 1000, "request_s": 0.15, "pairs_per_s": 200.0}
    run |= dict.fromkeys(("workers_busy", "driver_busy", "committing", "node_line"), 0.25)
    run |= {"gets_per_s": 55.0, "puts_per_s": 35.0}
    results.write(
        "ray_store",
        {
            "exchanged": exchanged,
            "commits": {"8": commit, "256": commit},
            "simulated": [run],
        },
    )
    results.write("ray_pieces", {"looks": seconds, "members": seconds})
    sizes, scaling, simulated = EXPERIMENT.draw(results)
    assert isinstance(sizes, Table)
    assert sizes.rows[-1] == ["a commit of 256, in 13 files", "driver to store", "70.0"]
    assert isinstance(scaling, Table)
    assert scaling.rows[0] == ["8 looks", "1", "1.00", "1.00", "0.25"]
    assert scaling.rows[1] == ["8 looks", "2", "1.25", "0.75", "0.25"]
    assert isinstance(simulated, Table)
    assert simulated.rows == [
        ["measured", "1000", "150", "200.00", "25%", "25%", "25%", "25.0%", "1.00%", "1.00%"]
    ]
