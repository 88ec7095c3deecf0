"""Three forms of one supernet, on the small zoo."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from bench.tests.conftest import run_and_draw

from tans.build.engine import BuildSettings
from tans.training import Recipe
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Table
from tans_bench.runs.experiment import Fixed
from tans_bench.studies import storage
from tans_bench.studies.storage import EXPERIMENT, FORMS, RUNS, Store


@pytest.mark.long
def test_smaller_forms_take_fewer_bytes(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = BuildSettings(recipe=Recipe(epochs=1))
    monkeypatch.setattr(storage, "BuildSettings", lambda: settings)
    small = replace(EXPERIMENT, plan=Fixed((Store("icons-apps"),)))
    (table,) = run_and_draw(small, bench, tmp_path)
    (line,) = bench.results.lines(RUNS)
    whole, half, packed = (line[form]["bytes"] for form in FORMS)
    assert whole > half > packed
    assert line["moved"] > 0
    assert isinstance(table, Table)
    assert table.rows[0][0] == "icons-apps"
    assert table.rows[0][2].endswith(f"{whole / 1e6:.2f} MB")
