"""Standard streams that are closed, are full, or whose reader goes away."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.reliability.counting import Trials

TANS = 'exec "$PYTHON" -c "from tans.cli import main; main()" "$@"'
FULL = Path("/dev/full")

pytestmark = pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")


def tans(arguments: Sequence[object], redirected: str) -> subprocess.CompletedProcess[str]:
    """A command whose streams a shell has redirected."""
    return subprocess.run(
        ["sh", "-c", f"{TANS} {redirected}", "tans", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHON": sys.executable, "PYTHONUNBUFFERED": ""},
    )


def with_reader_gone(arguments: Sequence[object], both: bool = False) -> tuple[int, str]:
    """Exit code and standard error of a command whose results nobody reads."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-c", "from tans.cli import main; main()", *map(str, arguments)]
    done = subprocess.run(
        command, stdout=write, stderr=write if both else subprocess.PIPE, text=True
    )
    os.close(write)
    return done.returncode, done.stderr or ""


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of 12 little images."""
    root = tmp_path_factory.mktemp("data") / "colours"
    generator = np.random.default_rng(0)
    for name, level in (("dark", 40), ("bright", 200)):
        (root / name).mkdir(parents=True)
        for index in range(12):
            pixels = (level + generator.integers(-20, 20, (24, 24, 3))).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{index}.png")
    return root


@pytest.fixture(scope="module")
def tuned(colours: Path) -> Path:
    """A network that is fine-tuned on them while nobody reads along."""
    folder = colours.parent / "tuned"
    code, _ = with_reader_gone(
        ["finetune", colours, "-o", folder, "--epochs", 1, "--look", 0], both=True
    )
    assert code == 141
    return folder


QUICK: list[list[object]] = [["--version"], ["--help"], ["zoo", "list"]]


def commands(colours: Path, tuned: Path) -> list[list[object]]:
    """One of each kind that prints results."""
    return [
        *QUICK,
        ["zoo", "list", "--json"],
        ["check", colours],
        ["search", colours, "--look", 0],
        ["predict", tuned, colours],
        ["predict", tuned, colours, "--json"],
    ]


@pytest.mark.slow
def test_a_reader_that_has_enough(trials: Trials, colours: Path, tuned: Path) -> None:
    """A reader that goes away, as `head` does: exit code 141, and not a word"""
    for command in commands(colours, tuned):
        with trials.trial(command):
            code, err = with_reader_gone(command)
            assert code == 141
            assert "error" not in err
            assert "Traceback" not in err
            assert "Exception" not in err


@pytest.mark.slow
def test_work_is_not_lost_with_its_reader(trials: Trials, colours: Path, tuned: Path) -> None:
    """A fine-tune whose readers go away, or whose output is closed or full: it is saved"""
    with trials.trial("a closed pipe"):
        assert {path.name for path in tuned.iterdir()} == {
            "README.md",
            "model.json",
            "model.safetensors",
            "report.html",
        }
    for number, redirected in enumerate((">&-", "2>&-", ">/dev/full 2>&1", "<&- >&- 2>&-")):
        with trials.trial(redirected):
            folder = colours.parent / f"tuned{number}"
            arguments = ["finetune", colours, "-o", folder, "--epochs", 1, "--look", 0]
            done = tans(arguments, redirected)
            assert done.returncode == (0 if redirected == "2>&-" else 1)
            assert "Traceback" not in done.stderr
            assert len(list(folder.iterdir())) == 4


@pytest.mark.slow
def test_results_that_cannot_be_written(trials: Trials, colours: Path, tuned: Path) -> None:
    """Standard output that is closed from the start, or full: one error and exit code 1"""
    for redirected, tried in ((">&-", commands(colours, tuned)), (">/dev/full", QUICK)):
        for command in tried:
            with trials.trial((command, redirected)):
                done = tans(command, redirected)
                assert done.returncode == 1
                assert done.stdout == ""
                *before, last = done.stderr.splitlines()
                assert last.startswith("error: the result cannot be written to standard output")
                assert not [line for line in before if line.startswith(("error", "Traceback"))]


@pytest.mark.slow
def test_warnings_that_cannot_be_written(trials: Trials, colours: Path, tuned: Path) -> None:
    """Standard error that is closed from the start, or full: the results come all the same"""
    tried = (("2>/dev/full", commands(colours, tuned)), ("2>&-", QUICK), ("2>&- <&-", QUICK))
    for redirected, some in tried:
        for command in some:
            with trials.trial((command, redirected)):
                done = tans(command, redirected)
                assert done.returncode == 0
                assert done.stdout
                assert done.stderr == ""


@pytest.mark.slow
def test_errors_that_cannot_be_written(trials: Trials) -> None:
    """Standard error that is closed or full where there is an error: its exit code stays"""
    for command, code in ((["search", "/no/such"], 1), (["search"], 2), (["no-such"], 2)):
        for redirected in ("2>&-", "2>/dev/full", ">&- 2>&-"):
            with trials.trial((command, redirected)):
                assert tans(command, redirected).returncode == code
