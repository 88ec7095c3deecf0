"""Scripts are timed on this source, and by turns on another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tans.errors import InputError
from tans_bench.experiments.catalogue import get_experiment
from tans_bench.runs.bench import Bench
from tans_bench.runs.experiment import Experiment
from tans_bench.runs.runner import run_experiment
from tans_bench.runs.turns import BEFORE, NOW, Timed, Turns, compared, table

SCRIPT = """
import json, sys, tans
from pathlib import Path
fast = "earlier" not in tans.__file__
print("more than one line")
print(json.dumps({"whole": 1.0 if fast else 2.0, "read": len(Path(sys.argv[1], "x").read_text())}))
"""


def drawn(folder: Path) -> None:
    (folder / "x").write_text("three")


@pytest.fixture
def timed(tmp_path: Path) -> Experiment[Turns]:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    plan = Turns(Timed("speed", script, drawn, rounds=2))
    return Experiment("speed", "Speed", "How fast?", plan, drawn=lambda *_: [])


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    package = tmp_path / "earlier" / "tans"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    return package.parent


def test_this_source_alone_is_timed_once(bench: Bench, timed: Experiment[Turns]) -> None:
    assert run_experiment(timed, bench) == 1
    assert run_experiment(timed, bench) == 0
    stored = bench.results.read("speed")
    assert stored is not None
    assert stored["seconds"] == {NOW: {"whole": 1.0, "read": 5}}
    assert [row[1] for row in table(stored, "").rows] == ["1.00", "5.00"]


def test_an_earlier_source_takes_turns(
    bench: Bench, timed: Experiment[Turns], earlier: Path
) -> None:
    run_experiment(timed, bench)
    both = compared(timed, earlier)
    assert run_experiment(both, bench) == 1
    assert run_experiment(both, bench) == 0
    stored = bench.results.read("speed")
    assert stored is not None
    assert stored["seconds"][BEFORE]["whole"] == 2.0
    assert stored["times_as_fast"] == {"whole": 2.0, "read": 1.0}
    assert stored["rounds"] == 2
    assert table(stored, "").rows[0] == ["whole", "2.00", "1.00", "2.00"]


def test_what_cannot_be_compared_is_said(timed: Experiment[Turns], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="main compares no earlier source"):
        compared(get_experiment("main"), tmp_path)
    with pytest.raises(InputError, match=r"no package tans in .*expected the 'src' of a checkout"):
        compared(timed, tmp_path / "nothing")


def test_the_preset_changes_nothing(timed: Experiment[Turns]) -> None:
    assert timed.scaled("gpu") == replace(timed)
