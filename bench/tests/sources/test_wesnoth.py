from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from tans_bench.sources.wesnoth import FRAMES, IMAGES, RACES, TERRAINS, TILES, terrain, units

from .conftest import MakePackage, draw


def _sprite(path: Path, seed: int, side: int = 40, canvas: int = 72) -> None:
    """Noise amid transparency."""
    noise = np.random.default_rng(seed).integers(0, 200, (canvas, canvas, 4), dtype=np.uint8)
    noise[..., 3] = 0
    noise[:side, :side, 3] = 255
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise).save(path)


def test_frames_of_a_unit_share_a_group_and_are_few(make_package: MakePackage) -> None:
    package = make_package("wesnoth-1.16-data")
    folder = package.folder / IMAGES / "units"
    names = ["soldier", *(f"soldier-attack-{i}" for i in range(9)), "soldier+female-idle1"]
    for seed, name in enumerate(names):
        draw(folder / f"orcs/line/{name}.png", seed)
    draw(folder / "drakes/burner.png", 50)
    draw(folder / "transport/boat.png", 51)
    pictures = units([package])
    assert pictures.groups is not None
    drakes, *orcs = pictures.groups
    assert (drakes, set(orcs)) == (
        f"{IMAGES}/units/drakes/burner",
        {f"{IMAGES}/units/orcs/line/soldier"},
    )
    assert len(orcs) == FRAMES
    assert [RACES[label] for label in pictures.labels] == ["drakes", *["orcs"] * FRAMES]


def test_dying_units_and_effects_are_left_out(make_package: MakePackage) -> None:
    package = make_package("wesnoth-1.16-data")
    folder = package.folder / IMAGES / "units/undead"
    names = ("ghost-s-attack", "ghost-die-1", "ghost+female-death2", "ghost-halo", "ghost_flame3")
    for seed, name in enumerate(names):
        draw(folder / f"{name}.png", seed)
    assert len(units([package])) == 1


def test_transparency_of_a_sprite_is_white(make_package: MakePackage) -> None:
    package = make_package("wesnoth-1.16-data")
    _sprite(package.folder / IMAGES / "units/orcs/grunt.png", 0, side=36)
    (image,) = units([package]).images
    assert (image[:, 40:, 40:] == 255).all()
    assert image[:, :28, :28].float().mean() < 128


def test_tiles_of_a_family_share_a_group(make_package: MakePackage) -> None:
    package = make_package("wesnoth-1.16-data")
    folder = package.folder / IMAGES / "terrain"
    names = ("sand/beach", "sand/beach-n-ne", "sand/beach2", "sand/beach2-sw", "sand/shore-cw-r")
    for seed, name in enumerate((*names, "unwalkable/lava05", "unwalkable/lava-A12-tile")):
        _sprite(folder / f"{name}.png", seed)
    pictures = terrain([package])
    assert pictures.groups is not None
    assert [group.removeprefix(f"{IMAGES}/terrain/") for group in pictures.groups] == [
        *("sand/beach", "sand/beach", "sand/beach2", "sand/beach2", "sand/shore"),
        *("unwalkable/lava", "unwalkable/lava"),
    ]
    kinds = [list(TERRAINS)[label] for label in pictures.labels]
    assert kinds == ["sand"] * 5 + ["lava"] * 2


def test_a_family_gives_only_so_many_tiles(make_package: MakePackage) -> None:
    package = make_package("wesnoth-1.16-data")
    for number in range(TILES + 5):
        _sprite(package.folder / IMAGES / f"terrain/water/ocean{number:02d}.png", number)
    assert len(terrain([package])) == TILES


def test_slivers_masks_and_damaged_tiles_are_left_out(make_package: MakePackage) -> None:
    package = make_package("wesnoth-1.16-data")
    folder = package.folder / IMAGES / "terrain/castle"
    _sprite(folder / "keep.png", 0)
    _sprite(folder / "keep-mask.png", 1)
    _sprite(folder / "sliver.png", 2, side=20)
    _sprite(folder / "empty.png", 3, side=0)
    (folder / "damaged.png").write_bytes(b"no picture")
    assert terrain([package]).groups == (f"{IMAGES}/terrain/castle/keep",)
