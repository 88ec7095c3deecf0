from __future__ import annotations

import io
import zipfile

import numpy as np
import torch
from PIL import Image

from tans_bench.sources.packages import Package
from tans_bench.sources.pictures import Pictures
from tans_bench.sources.textures import (
    MATERIALS,
    THEMES,
    class_of,
    openarena,
    shades_joined,
    ufoai,
)

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


def test_materials_are_read_from_names_and_variants_share_a_group(
    make_package: MakePackage,
) -> None:
    package = make_package("ufoai-textures")
    folder = package.folder / "usr/share/games/ufoai/base"
    folder.mkdir(parents=True)
    names = (
        *("wall_brick01.png", "wall002_red.png", "wall002_dark.jpg", "wallpaper003.png"),
        *("wall002_nm.png", "wall002_red.txt", "box01.png", "floor_se04.jpg"),
    )
    with zipfile.ZipFile(folder / "0textures.pk3", "w") as packed:
        for seed, name in enumerate(names):
            packed.writestr(f"textures/tex_a/{name}", _picture(seed, 64))
    pictures = ufoai([package])
    assert pictures.groups is not None
    materials = [list(MATERIALS)[label] for label in pictures.labels]
    folder_of = "textures/tex_a"
    assert sorted(zip(materials, pictures.groups, strict=True)) == [
        ("brick", f"{folder_of}/wall_brick01"),
        ("floor", f"{folder_of}/floor_se04"),
        ("wall", f"{folder_of}/wall002"),
        ("wall", f"{folder_of}/wall002"),
        ("wallpaper", f"{folder_of}/wallpaper003"),
    ]


def test_the_longest_beginning_names_the_class() -> None:
    beginnings = {"a": ("wall",), "b": ("wallpaper", "floor")}
    names = ("Wallpaper1", "wall1", "floor", "ceiling")
    assert [class_of(name, beginnings) for name in names] == [1, 0, 1, None]


def test_shades_of_a_texture_are_joined_in_a_class_and_dropped_across() -> None:
    generator = torch.Generator().manual_seed(0)
    plain = torch.randint(0, 100, (3, 1, 32, 32), generator=generator)
    colours = torch.tensor([1.0, 0.5, 2.0]).view(1, 3, 1, 1)
    shades = torch.cat([plain.expand(-1, 3, -1, -1), (plain[:2] * colours)]).to(torch.uint8)
    pictures = Pictures(shades, torch.tensor([0, 1, 0, 0, 0]), ("a", "b", "c", "d", "e"))
    joined = shades_joined(pictures)  # rows 0 and 3 are one texture in one class, 1 and 4 in two
    assert joined.groups == ("a", "c", "a")
    assert joined.labels.tolist() == [0, 0, 0]
