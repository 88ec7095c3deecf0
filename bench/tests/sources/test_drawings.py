from __future__ import annotations

import pytest

from tans_bench.sources.drawings import (
    CLIPART,
    FOOD,
    SHAPES,
    SOURCES,
    THINGS,
    clipart,
    food,
    shapes,
    textiles,
    things,
)

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


def test_things_leave_out_food_wherever_it_is_filed(make_package: MakePackage) -> None:
    package = make_package("openclipart-png")
    root = package.folder / "usr/share/openclipart/png"
    draw(root / "education/slate.png", 0)
    draw(root / "education/apple.png", 1)
    draw(root / "food/fruit/apple.png", 1)
    assert things([package]).groups == ("slate",)


def test_things_leave_out_what_clipart_holds(make_package: MakePackage) -> None:
    package = make_package("openclipart-png")
    root = package.folder / "usr/share/openclipart/png"
    for seed, path in enumerate(("office/pen.png", "education/pen.png", "education/desk.png")):
        draw(root / path, seed)
    assert things([package]).groups == ("desk",)


def test_versions_of_a_design_are_one_group(make_package: MakePackage) -> None:
    package = make_package("openclipart-png")
    root = package.folder / "usr/share/openclipart/png"
    names = ("jigsaw_blue_02", "jigsaw_red_02", "jigsaw_red_03")
    for seed, name in enumerate(names):
        draw(root / f"shapes/jigsaw/{name}.png", seed)
    assert shapes([package]).groups == ("jigsaw 02", "jigsaw 02", "jigsaw 03")


def test_food_is_grouped_by_first_word_and_kept_once(make_package: MakePackage) -> None:
    package = make_package("openclipart-png")
    root = package.folder / "usr/share/openclipart/png/food"
    for seed, name in enumerate(("fruit/pear_01", "fruit/pear_bw_ganson", "desserts/flan")):
        draw(root / f"{name}.png", seed)
    draw(root / "fruit/pear_copy.png", 0)
    pictures = food([package])
    kinds = [list(FOOD)[label] for label in pictures.labels]
    assert kinds == ["clipart desserts", *["clipart fruit and vegetables"] * 2]
    assert pictures.groups == ("flan", "pear", "pear")


def test_the_tasks_of_openclipart_share_no_folder() -> None:
    roots = [
        {pattern.removesuffix("/**") for patterns in folders.values() for pattern in patterns}
        for folders in (CLIPART, THINGS, SHAPES, FOOD)
    ]
    assert len(set.union(*roots)) == sum(map(len, roots))
    assert all(folder.startswith("food") == (folder in roots[3]) for folder in set.union(*roots))
    assert [source.name for source in SOURCES if source.role == "dev"] == ["clipart-food"]


@pytest.mark.parametrize("side", [40, 250])
def test_textiles_lose_their_white_frame(make_package: MakePackage, side: int) -> None:
    package = make_package("conformal-clip-data")
    folder = package.folder / "conformal_clip_data/data/textile_images/simulated"
    for label, name in enumerate(("nominal", "local", "global")):
        draw(folder / name / "textile_0001.jpg", label, side)
    pictures = textiles([package])
    assert pictures.images.shape == (3, 3, 128, 128)
    assert pictures.labels.tolist() == [0, 1, 2]
