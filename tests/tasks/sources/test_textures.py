from __future__ import annotations

import io
import zipfile

import numpy as np
from PIL import Image

from tans.tasks.sources.packages import Package
from tans.tasks.sources.textures import THEMES, openarena

from .conftest import MakePackage


def _picture(seed: int, side: int) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 256, (side, side, 4), dtype=np.uint8)
    noise[..., 3] = 0
    data = io.BytesIO()
    Image.fromarray(noise).save(data, "png")
    return data.getvalue()


def _package(make: MakePackage, files: dict[str, bytes]) -> Package:
    package = make("openarena-081-textures")
    folder = package.folder / "usr/share/games/openarena/baseoa"
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "pak4-textures.pk3", "w") as packed:
        for name, data in files.items():
            packed.writestr(name, data)
    return package


def test_large_textures_give_quarters_of_their_group(make_package: MakePackage) -> None:
    files = {
        "textures/skies/small.png": _picture(0, 64),
        "textures/sfx/large.png": _picture(1, 256),
        "textures/unknown/other.png": _picture(2, 64),
        "textures/sfx/damaged.png": b"no picture",
        "readme.txt": b"text",
    }
    pictures = openarena([_package(make_package, files)])
    assert pictures.groups == ("textures/sfx/large",) * 5 + ("textures/skies/small",)
    themes = [THEMES[label] for label in pictures.labels]
    assert themes == ["sfx"] * 5 + ["skies"]


def test_the_fourth_channel_is_not_transparency(make_package: MakePackage) -> None:
    package = _package(make_package, {"textures/skies/a.png": _picture(0, 64)})
    assert openarena([package]).images.float().mean() < 160
