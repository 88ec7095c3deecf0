from __future__ import annotations

from pathlib import Path

import pytest

from tans_bench.sources.stamps import (
    ANIMALS,
    DRAWINGS,
    NOT_DRAWINGS,
    NOT_PHOTOS,
    PHOTOS,
    ROOT,
    SOURCES,
    animals,
    drawings,
    photos,
)

from .conftest import MakePackage, draw

SQUARE = '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40">{}</svg>'


def _vector(path: Path, shape: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(SQUARE.format(shape))


def test_photographs_leave_out_animals_food_and_drawings(make_package: MakePackage) -> None:
    package = make_package("tuxpaint-stamps-default")
    root = package.folder / ROOT
    for seed, path in enumerate(
        (
            *("animals/birds/gull.png", "food/fruit/kiwi.png", "food/fruit/cartoon/pear.png"),
            *("vehicles/auto/sedan.png", "household/dishes/mug.png", "plants/trees/birch.png"),
        )
    ):
        draw(root / path, seed)
    pictures = photos([package])
    assert pictures.groups == ("plants/trees/birch", "vehicles/auto/sedan")
    names = [list(PHOTOS)[label] for label in pictures.labels]
    assert names == ["stamp plants", "stamp vehicles"]


def test_a_series_of_stamps_is_one_group(make_package: MakePackage) -> None:
    package = make_package("tuxpaint-stamps-default")
    folder = package.folder / ROOT / "animals/mammals"
    for seed, name in enumerate(("pig", "pig_golden2", "fox", "bovines/yak")):
        draw(folder / f"{name}.png", seed)
    pictures = animals([package])
    groups = [group.rpartition("/")[2] for group in pictures.groups or ()]
    assert groups == ["yak", "fox", "pig", "pig"]
    kinds = [list(ANIMALS)[label].removeprefix("stamp ") for label in pictures.labels]
    assert kinds == ["hoofed mammals", "other mammals", "hoofed mammals", "hoofed mammals"]


def test_a_stamp_drawn_twice_is_read_once_and_vectors_are_drawn(make_package: MakePackage) -> None:
    pytest.importorskip("resvg_py")
    package = make_package("tuxpaint-stamps-default")
    root = package.folder / ROOT
    draw(root / "town/houses/cartoon/inn.png", 0)
    _vector(root / "town/houses/cartoon/inn.svg", '<rect width="20" height="40"/>')
    _vector(root / "clothes/hats/fez.svg", '<circle cx="9" cy="9" r="9" fill="red"/>')
    _vector(root / "clothes/empty.svg", "")
    _vector(root / "food/bread.svg", '<circle cx="20" cy="20" r="9"/>')
    (root / "people").mkdir()
    (root / "people/damaged.svg").write_text("no drawing")
    pictures = drawings([package])
    assert pictures.groups == ("clothes/hats/fez", "town/houses/cartoon/inn")
    fez = pictures.images[0].float()
    corner, middle = fez[:, 0, 0], fez[:, 64, 64]
    assert corner.min() > 250
    assert middle.tolist() == [255, 0, 0]


def test_training_reserves_animals_and_drawn_food() -> None:
    for folders in (PHOTOS, DRAWINGS):
        patterns = [pattern for patterns in folders.values() for pattern in patterns]
        assert not any(pattern.startswith("animals") for pattern in patterns)
    assert not any("food" in pattern for patterns in DRAWINGS.values() for pattern in patterns)
    assert "*/cartoon/*" in NOT_PHOTOS
    assert "seasonal/easter/*" in NOT_DRAWINGS
    assert {source.name: source.role for source in SOURCES} == {
        "stamps-photos": "train",
        "stamps-drawings": "train",
        "stamps-animals": "dev",
    }
