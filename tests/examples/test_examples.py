"""Every script of ``examples`` runs as its first lines say, on the images that ship beside it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import tans

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(script: str, *options: object, folder: Path) -> str:
    command = [sys.executable, EXAMPLES / script, *map(str, options)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.long
def test_photographs_become_an_onnx_file(tmp_path: Path) -> None:
    out = run("photos_to_onnx.py", "--epochs", 2, "-o", "tuned", folder=tmp_path)
    assert "of the test images are told right" in out
    image = next((EXAMPLES / "greek" / "test").rglob("*.png"))
    script = [sys.executable, tmp_path / "tuned" / "predict_onnx.py", image]
    assert image.name in subprocess.check_output(script, text=True, cwd=tmp_path)


@pytest.mark.slow
def test_a_timm_model_is_searched_and_fine_tuned_in_a_zoo(tmp_path: Path) -> None:
    out = run("timm_into_zoo.py", folder=tmp_path)
    assert "timm:mobilenetv3_small_050 at 64 px" in out
    assert " for greek" in out
    assert "of the test images are told right" in out


@pytest.mark.long
def test_a_zoo_of_three_datasets_is_searched_for_a_fourth(tmp_path: Path) -> None:
    lines = run("own_zoo.py", folder=tmp_path).splitlines()
    assert len(lines) == 5
    known = ("vowels", "round", "angular", "imagenet")  # which is best, chance decides
    assert all(any(f"learnt {name}," in line for name in known) for line in lines)
    stored = {entry.task for entry in tans.Zoo.open(tmp_path / "runs" / "own_zoo").entries()}
    assert stored == set(known)


@pytest.mark.slow
def test_the_estimator_stands_in_a_pipeline(tmp_path: Path) -> None:
    out = run("sklearn_pipeline.py", "--epochs", 1, folder=tmp_path)
    assert "at most 1.5 M parameters" in out
    assert "at most 3.0 M parameters" in out
