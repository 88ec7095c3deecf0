from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from tans_bench.errors import SourceError
from tans_bench.sources.antiquity import (
    ARCHIVE,
    GROUND,
    GROUND_KINDS,
    PORTRAIT_KINDS,
    PORTRAITS,
    SHIELD_MAKERS,
    SHIELDS,
    ground,
    portraits,
    shields,
)
from tans_bench.sources.packages import Package

from .conftest import MakePackage


def _picture(seed: int, side: int = 64) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 256, (side, side, 4), dtype=np.uint8)
    noise[..., 3] = 0
    data = io.BytesIO()
    Image.fromarray(noise).save(data, "dds")
    return data.getvalue()


def _package(make: MakePackage, pictures: dict[str, bytes]) -> Package:
    package = make("0ad-data")
    (package.folder / ARCHIVE).parent.mkdir(parents=True)
    with zipfile.ZipFile(package.folder / ARCHIVE, "w") as packed:
        for name, data in pictures.items():
            packed.writestr(name, data)
    return package


def _named(make: MakePackage, folder: str, *names: str, side: int = 64) -> Package:
    return _package(
        make,
        {f"{folder}{name}.cached.dds": _picture(i, side) for i, name in enumerate(names)},
    )


def test_units_are_grouped_by_people_and_elephants_left_out(make_package: MakePackage) -> None:
    package = _named(
        make_package,
        PORTRAITS,
        *("units/rome_infantry_spearman.png", "units/rome_ship_trireme.png"),
        *("units/han/cavalry_archer.png", "units/maur_champion_infantry_elephant.png"),
        *("gaia/fauna_bear_brown.png", "gaia/fauna_generic.png", "unknown/thing.png"),
    )
    pictures = portraits([package])
    kinds = [list(PORTRAIT_KINDS)[label].removeprefix("portrait ") for label in pictures.labels]
    assert kinds == ["animal", "rider", "foot soldier", "ship"]
    assert pictures.groups == ("gaia fauna bear", "units han", "units rome", "units rome")


def test_finishes_of_a_shield_are_one_group_and_its_parts_go(make_package: MakePackage) -> None:
    package = _named(
        make_package,
        SHIELDS,
        *("mace_round_a_gold.png", "mace_round_a_silver_player.png", "kart_round_b.png"),
        *("mace_round_back.png", "kart_round_b_norm.png", "wicker_dark.png"),
    )
    pictures = shields([package])
    assert pictures.groups == ("kart_round_b", "mace_round_a", "mace_round_a")
    makers = [list(SHIELD_MAKERS)[label] for label in pictures.labels]
    assert makers == ["shield carthaginian", "shield macedonian", "shield macedonian"]


def test_grounds_of_one_cover_are_cut_into_quarters(make_package: MakePackage) -> None:
    package = _named(
        make_package,
        GROUND,
        *("alpine/grass_01.dds", "alpine_cliff_grass.png", "grass_dirt.png", "yellow.png"),
        side=256,
    )
    pictures = ground([package])
    kinds = [list(GROUND_KINDS)[label] for label in pictures.labels]
    assert kinds == ["ground grass"] * 5 + ["ground cliff"] * 5
    assert len(set(pictures.groups or ())) == 2


def test_tints_of_a_ground_are_one_group(make_package: MakePackage) -> None:
    package = _named(make_package, GROUND, "temp_mud_a.png", "temp_mud_b_aut.dds", "pine_mud.dds")
    assert ground([package]).groups == (" pine mud", " temp mud", " temp mud")


def test_the_players_colour_is_not_transparency(make_package: MakePackage) -> None:
    assert shields([_named(make_package, SHIELDS, "iber_a.png")]).images.float().mean() < 160


def test_damaged_pictures_are_left_out(make_package: MakePackage) -> None:
    package = _package(make_package, {f"{SHIELDS}iber_a.png.cached.dds": b"no picture"})
    with pytest.raises(SourceError, match="no picture of the packages could be read"):
        shields([package])
