"""Looks at all cells, as if they had been stored."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench.tests.experiments.judged.stored_runs import CELLS, NAMES

from tans_bench.experiments.judged.jobs import Frozen, shortlist
from tans_bench.runs.results import Results


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """Looks at all cells, of which the elastic base is put first."""
    stored = Results(tmp_path)
    for cell in CELLS:
        own = {"task": cell.task, "seed": cell.seed, "images": cell.images}
        accuracy = {name: 0.9 if name == "base@64" else 0.5 for name in NAMES}
        accuracy["digits@64"] = 0.4
        look = {"part": "within", "accuracy": accuracy, "flops": dict.fromkeys(NAMES, 3e7)}
        stored.write(Frozen(cell, "within").name, {**own, **look})
        nearest = {"flags": {"similarity": 0.5, "predicted": 0.1}}
        nearest |= {"digits": {"similarity": 0.4, "predicted": 0.2}}
        stored.write(shortlist(cell).name, {**own, "sources": nearest})
    return stored
