"""Datasets of many images, of many classes, or of hardly any."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tans.errors import TaskError
from tans.tasks.check import warnings
from tans.tasks.task import Task
from tans.zoo.zoo import Zoo
from tests.reliability.counting import Trials

MOST_MEMORY = 3 * 2**30
RUN = """
import resource, sys
from pathlib import Path
from tans.cli import main
try:
    main(sys.argv[1:])
finally:
    own, others = (
        resource.getrusage(who).ru_maxrss
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    status = Path("/proc/self/status")
    if status.exists():  # Linux counts what the process that started this one had as well
        own = next(int(x.split()[1]) for x in status.read_text().splitlines() if "VmHWM" in x)
    print("PEAK", own + others, file=sys.stderr)
"""
LINE = 500
"""Letters of a line on a terminal, at most."""


def draw(root: Path, sizes: list[int], side: int = 32) -> Path:
    """So many images of each class, each class with colours of its own."""
    generator = np.random.default_rng(0)
    for number, size in enumerate(sizes):
        folder = root / f"class {number:04}"
        folder.mkdir(parents=True)
        own = generator.integers(60, 196, (4, 4, 3))
        for k in range(size):
            squares = (own + generator.integers(-60, 60, own.shape)).astype(np.uint8)
            image = Image.fromarray(squares).resize((side, side), Image.Resampling.NEAREST)
            image.save(folder / f"{k}.png", compress_level=1)
    return root


def run(*arguments: object) -> tuple[str, list[str], int]:
    """What a command wrote, what it told, and its peak of memory, its processes added."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    *told, peak = done.stderr.splitlines()
    unit = 1 if sys.platform == "darwin" else 1024
    return done.stdout, told, int(peak.split()[1]) * unit


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell the peak so")
def test_many_images(trials: Trials, tmp_path: Path, small_zoo: Zoo) -> None:
    """20,000 images of 50 classes are searched with and learnt from within 3 GB"""
    data = draw(tmp_path / "data", [400] * 50)
    with trials.trial("search"):
        _, _, peak = run("search", data, "--zoo", small_zoo.path)
        assert peak < MOST_MEMORY
    with trials.trial("finetune"):
        chosen = ("--network", "imagenet", "--epochs", "1", "-o", tmp_path / "tuned")
        _, _, peak = run("finetune", data, "--zoo", small_zoo.path, *chosen)
        assert peak < MOST_MEMORY


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("classes", [300, 1000])
def test_many_classes(trials: Trials, tmp_path: Path, small_zoo: Zoo, classes: int) -> None:
    """Of 300 and of 1,000 classes all commands work, and say no more than can be read"""
    data, tuned = draw(tmp_path / "data", [5] * classes), tmp_path / "tuned"
    commands = {
        "check": ("check", data, "-o", tmp_path / "page.html"),
        "search": ("search", data, "--zoo", small_zoo.path),
        "finetune": ("finetune", data, "--zoo", small_zoo.path, "--epochs", 1, "-o", tuned),
        "predict": ("predict", tuned, data / "class 0000", "--top", 3),
    }
    for name, command in commands.items():
        with trials.trial(name):
            said, told, peak = run(*command)
            lines = [*said.splitlines(), *told]
            assert max(map(len, lines)) < LINE
            assert len(lines) < 300
            assert peak < MOST_MEMORY
    for page in (tmp_path / "page.html", tuned / "report.html"):
        with trials.trial(page.name):
            text = page.read_text()
            assert len(text) < 2_000_000
            assert "more" in text
    with trials.trial("model.json"):
        card = json.loads((tuned / "model.json").read_text())
        assert len(card["classes"]) == classes


@pytest.mark.parametrize(
    ("sizes", "word"),
    [
        ([], "no class folder"),
        ([0, 0], "no class folder"),
        ([1], "expected at least 2"),
        ([9], "expected at least 2"),
        ([1, 1], "class 0000"),
        ([1] * 50, "class 0000"),
        ([9, 1], "class 0001"),
        ([9, 0], "class 0001"),
    ],
    ids=str,
)
def test_hardly_any(trials: Trials, tmp_path: Path, sizes: list[int], word: str) -> None:
    """One class, one image of a class, or none: one sentence says what is lacking"""
    with trials.trial(sizes):
        (tmp_path / "data").mkdir()
        with pytest.raises(TaskError, match=word) as refused:
            Task.from_path(draw(tmp_path / "data", sizes))
        assert len(str(refused.value)) < LINE


@pytest.mark.parametrize("sizes", [[2, 2], [2] * 100, [1000, 2], [500, 50, 5, 2]], ids=str)
@pytest.mark.long
def test_few_and_uneven(trials: Trials, tmp_path: Path, sizes: list[int]) -> None:
    """Two images of a class, or classes of very different sizes, are used, and it is told"""
    with trials.trial(sizes):
        task = Task.from_path(draw(tmp_path / "data", sizes))
        assert len(task) == sum(sizes)
        told = warnings(task)
        assert any("fewer than 10 training images" in one for one in told)
        assert any("uneven" in one for one in told) == (max(sizes) > min(sizes))
        assert max(map(len, told)) < LINE
