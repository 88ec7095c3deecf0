"""Small stand-ins for unpacked packages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tans_bench.sources.packages import Package

MakePackage = Callable[[str], Package]


@pytest.fixture
def make_package(tmp_path: Path) -> MakePackage:
    def make(name: str) -> Package:
        folder = tmp_path / name / "content"
        folder.mkdir(parents=True)
        return Package("debian", name, "1.0", "00" * 32, folder)

    return make


def draw(path: Path, seed: int, side: int = 32) -> None:
    """A picture of noise, different for every seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
