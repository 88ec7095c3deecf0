"""Commands run in this process, and a dataset for them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tans import cli
from tans.meta.calibrator import Calibrator
from tans.meta.evidence import COLUMNS
from tans.zoo.zoo import Zoo


@dataclass(frozen=True)
class Answer:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Answer]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process."""

    def run(*arguments: object) -> Answer:
        with pytest.raises(SystemExit) as stopped:
            cli.main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        code = stopped.value.code
        return Answer(code if isinstance(code, int) else 0, out, err)

    return run


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of 12 little images, told apart by colour."""
    root = tmp_path_factory.mktemp("data") / "colours"
    for name, colour in {
        "red": (200, 30, 30),
        "green": (30, 200, 30),
        "blue": (30, 30, 200),
    }.items():
        (root / name).mkdir(parents=True)
        for k in range(12):
            shade = tuple(channel + k for channel in colour)
            Image.new("RGB", (20 + k, 20), shade).save(root / name / f"{k}.png")
    return root


@pytest.fixture
def judged_zoo(small_zoo: Zoo, tmp_path: Path) -> Zoo:
    """A zoo whose judge always takes ImageNet's network."""
    shutil.copytree(small_zoo.path, tmp_path / "judged")
    zoo = Zoo.open(tmp_path / "judged")
    weights = tuple(20.0 if column == "resolution" else 0.0 for column in COLUMNS)
    Calibrator((0.0,) * len(COLUMNS), weights, bias=-10.0, strength=1.0, margin=0.5).save(
        zoo.retrieval
    )
    return zoo


def assert_fails(answer: Answer, *words: str) -> None:
    """One error, the last line on standard error, that holds the words; nothing else comes of it.

    What was understood of the data may stand before it.
    """
    assert (answer.code, answer.out) == (1, "")
    *before, last = answer.err.splitlines()
    assert not any(line.startswith(("error: ", "Traceback")) for line in before)
    assert last.startswith("error: ")
    for word in words:
        assert word in last
