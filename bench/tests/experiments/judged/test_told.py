"""What is told before a fine-tune stands beside what came of it."""

from __future__ import annotations

from bench.tests.experiments.judged.stored_runs import CELLS, add_runs, cells_of

from tans_bench.experiments.judged import field
from tans_bench.experiments.judged.experiment import EXPERIMENT
from tans_bench.experiments.judged.methods import TANS
from tans_bench.runs.drawing import Table
from tans_bench.runs.results import Results


def test_what_was_expected_stands_beside_what_came(results: Results) -> None:
    add_runs(results, TANS, 0.75, field.SIBLINGS)
    for cell in CELLS[:3]:  # three tasks, one seed of each
        line = {"task": cell.task, "seed": cell.seed, "images": cell.images}
        low = 0.7 if cell.task == field.SIBLINGS[0] else 0.76
        told = {"predicted": 0.8, "low": low, "high": 0.9}
        results.write(f"judged_predicted.jsonl/{cell}", {**line, **told})
    *_, expected = EXPERIMENT.draw(results)
    assert isinstance(expected, Table)
    assert cells_of(expected, field.SIBLINGS[0]) == ["80.0", "75.0", "5.0", "20.0", "1 of 1"]
    assert cells_of(expected, field.SIBLINGS[1])[-1] == "0 of 1"
    assert cells_of(expected, "**siblings**") == cells_of(expected, "**all**")
    assert cells_of(expected, "**all**")[-1] == "1 of 3"
