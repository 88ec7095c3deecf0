from __future__ import annotations

import pytest

from tans.tasks.sources.drawings import CLIPART, clipart, textiles

from .conftest import MakePackage, draw


def test_clipart_leaves_out_food_wherever_it_is_filed(make_package: MakePackage) -> None:
    package = make_package("openclipart-png")
    root = package.folder / "usr/share/openclipart/png"
    draw(root / "tools/hammer.png", 0)
    draw(root / "animals/birds/turkey.png", 1)
    draw(root / "animals/birds/gull.png", 2)
    draw(root / "food/meats_and_eggs/turkey.png", 1)
    pictures = clipart([package])
    names = [group.rpartition("/")[2] for group in pictures.groups or ()]
    assert sorted(names) == ["gull.png", "hammer.png"]
    assert [list(CLIPART)[label] for label in pictures.labels] == ["clipart birds", "clipart tools"]


def test_no_class_of_clipart_is_food() -> None:
    folders = [folder for folders in CLIPART.values() for folder in folders]
    assert not any("food" in folder for folder in folders)


def test_clipart_filed_under_two_classes_goes(make_package: MakePackage) -> None:
    package = make_package("openclipart-png")
    root = package.folder / "usr/share/openclipart/png"
    for folder, seed in (("tools", 0), ("plants", 0), ("office", 1)):
        draw(root / folder / f"thing{seed}.png", seed)
    groups = clipart([package]).groups or ()
    assert len(groups) == 1
    assert "office" in groups[0]


@pytest.mark.parametrize("side", [40, 250])
def test_textiles_lose_their_white_frame(make_package: MakePackage, side: int) -> None:
    package = make_package("conformal-clip-data")
    folder = package.folder / "conformal_clip_data/data/textile_images/simulated"
    for label, name in enumerate(("nominal", "local", "global")):
        draw(folder / name / "textile_0001.jpg", label, side)
    pictures = textiles([package])
    assert pictures.images.shape == (3, 3, 128, 128)
    assert pictures.labels.tolist() == [0, 1, 2]
