"""Importing less: what a command does not need yet is not there yet."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import tans.workflow
from tans.imports import lazily, uncollected

LATER = (
    "lancedb", "matplotlib", "onnxruntime", "pandas", "ray", "scipy.fft", "scipy.optimize",
    "scipy.special", "sklearn", "sympy", "tans.build.engine", "tans.export.finetuned",
    "tans.report", "timm", "torch._dynamo", "torch.utils.flop_counter", "torchvision",
    "transformers",
)  # fmt: skip
"""Modules that a search needs late, if at all."""
UNTIL_AN_IMAGE = """
import os, sys

def stop(event, arguments):
    if event == "open" and str(arguments[0]).endswith(".png"):
        print(*sys.modules, flush=True)
        os._exit(0)

sys.addaudithook(stop)
from tans.cli import main
main(["search", sys.argv[1]])
"""


@pytest.mark.long
def test_a_search_imports_little_before_the_first_image(tmp_path: Path) -> None:
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        for k in range(12):
            Image.new("RGB", (8, 8), (k, 0, 0)).save(tmp_path / label / f"{k}.png")
    done = subprocess.run(
        [sys.executable, "-c", UNTIL_AN_IMAGE, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stdout.split())
    assert "torch" in loaded
    assert loaded.isdisjoint(LATER)


def test_all_names_of_the_workflow_are_there() -> None:
    for name in tans.workflow.__all__:
        assert getattr(tans.workflow, name) is not None
    with pytest.raises(AttributeError, match="'tans.workflow' has no attribute 'serach'"):
        tans.workflow.serach  # noqa: B018


def test_a_name_is_imported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lazy", type(sys)("lazy"))
    get = lazily("lazy", {"sqrt": "math"})
    assert get("sqrt") is sys.modules["lazy"].__dict__["sqrt"]


def test_garbage_is_collected_again_afterwards() -> None:
    try:
        with uncollected():
            assert not gc.isenabled()
        assert gc.isenabled()
        gc.disable()
        with uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
        gc.unfreeze()
