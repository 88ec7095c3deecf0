"""A small zoo with a file of every kind that a build or a training leaves, and commands on it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import lancedb
import pytest
from PIL import Image

from tans import cli
from tans.build.costing import fixed_costing
from tans.build.plan.ledger import REPORT
from tans.meta.calibrator import Calibrator
from tans.meta.data import MetaData
from tans.meta.evidence import COLUMNS
from tans.meta.presets import MetaSettings
from tans.meta.train import meta_train
from tans.zoo.rows import LedgerLine
from tans.zoo.sources import Sources
from tans.zoo.zoo import Zoo
from tests.small_zoo import once

Command = Callable[..., str]
"""Runs a command that fails, and gives its error."""


def thin_out(folder: Path) -> None:
    """Leave a network of each source, so that a check of all is quick."""
    zoo = Zoo.open(folder)
    sources = Sources.of(zoo)
    kept = [*sources.largest.values(), sources.base, sources.whole[0]]
    ids = ", ".join(f"'{entry.id}'" for entry in kept)
    lancedb.connect(folder).open_table("entries").delete(f"id not in ({ids})")
    Zoo.open(folder).compact()


def complete(folder: Path) -> None:
    """Add what the small zoo lacks."""
    thin_out(folder)
    zoo = Zoo.open(folder)
    settings = MetaSettings(steps=2, query_images=20, query_least=20, evaluate_every=0)
    meta_train(MetaData.from_zoo(zoo), settings).save(zoo.retrieval)
    Calibrator((0.0,) * len(COLUMNS), (0.1,) * len(COLUMNS), bias=0.0, strength=1.0).save(
        zoo.retrieval
    )
    fixed_costing(folder, "lite0", 32, "flops")
    zoo.seals.put(REPORT, b"# Construction of a zoo\n")
    zoo.ledger.add([LedgerLine("red-00000000", "red", 1.0, 0.5, None, 0.1, 0.2)])
    zoo.compact()
    task, entry = zoo.task("red"), zoo.entries(task="red")[0]
    zoo.add_entry(replace(entry, val_accuracy=0.5))  # leaves a file of deleted rows
    assert task.sheet


@pytest.fixture(scope="session")
def whole_zoo(measured_zoo: Zoo, session_folder: Path) -> Zoo:
    """To be read only."""

    def make(folder: Path) -> None:
        shutil.copytree(measured_zoo.path, folder)
        complete(folder)

    return Zoo.open(once(session_folder / "whole", make))


@pytest.fixture
def broken_zoo(whole_zoo: Zoo, tmp_path: Path) -> Path:
    """A copy to be broken."""
    return shutil.copytree(whole_zoo.path, tmp_path / "zoo", symlinks=True)


@pytest.fixture(scope="session")
def colours(session_folder: Path) -> Path:
    """A folder of images to search for."""

    def make(folder: Path) -> None:
        for name, colour in {"red": (200, 30, 30), "green": (30, 200, 30)}.items():
            (folder / name).mkdir(parents=True)
            for k in range(12):
                shade = tuple(part + 2 * k for part in colour)
                Image.new("RGB", (20 + k, 20), shade).save(folder / name / f"{k}.png")

    return once(session_folder / "colours", make)


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command in this process that must end in one error, and nothing else."""

    def run(*arguments: object) -> str:
        with pytest.raises(SystemExit) as stopped:
            cli.main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        errors = [line for line in err.splitlines() if line.startswith("error: ")]
        assert (stopped.value.code, out, len(errors)) == (1, "", 1), (stopped.value.code, out, err)
        assert "Traceback" not in err
        return errors[0]

    return run
