from __future__ import annotations

import json

import pytest

from tans_bench.errors import SourceError
from tans_bench.sources.emoji import (
    GOOGLE_RESERVED,
    OPENMOJI_BLACK,
    OPENMOJI_COLOUR,
    RESERVED,
    RESERVED_EXTRAS,
    TRAINING,
    TWITTER,
    Datasource,
    OpenMoji,
    base,
)
from tans_bench.sources.packages import Package

from .conftest import MakePackage, draw

THINGS = {"toy tools": ("tool",), "toy fruit": ("food-fruit",)}
Entry = tuple[str, str, str, bool]
"""Code points, group, subgroup, and whether it is drawn."""


def _datasource(make: MakePackage, entries: list[Entry]) -> Package:
    package = make("emoji-datasource-toy")
    listed = []
    for seed, (unified, group, subgroup, drawn) in enumerate(entries):
        draw(package.folder / "package/img/toy/64" / f"{unified}.png", seed)
        listed.append(
            {
                "category": group,
                "subcategory": subgroup,
                "image": f"{unified}.png",
                "unified": unified,
                "has_img_toy": drawn,
            }
        )
    (package.folder / "package/emoji.json").write_text(json.dumps(listed))
    return package


def _openmoji(make: MakePackage, entries: list[tuple[str, str, str]]) -> Package:
    package = make("openmoji")
    folder = package.folder / "package/black/svg"
    folder.mkdir(parents=True)
    for number, (code, _, _) in enumerate(entries):
        shape = f'<circle cx="{10 + 6 * number}" cy="20" r="8"/>' if number else ""
        head = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 72 72">'
        (folder / f"{code}.svg").write_text(f"{head}{shape}</svg>")
    listed = [dict(zip(("hexcode", "group", "subgroups"), entry, strict=True)) for entry in entries]
    (package.folder / "package/data").mkdir()
    (package.folder / "package/data/openmoji.json").write_text(json.dumps(listed))
    return package


def test_the_two_halves_are_apart_and_whole() -> None:
    assert set(TRAINING).isdisjoint(RESERVED)
    assert len(TRAINING) + len(RESERVED) == 9


def test_no_subgroup_both_trains_and_judges_or_occurs_twice_in_a_task() -> None:
    reserved = [kind for kinds in GOOGLE_RESERVED.values() for kind in kinds]
    for classes in (TWITTER, OPENMOJI_COLOUR, OPENMOJI_BLACK):
        kinds = [kind for group in classes.values() for kind in group]
        assert len(set(kinds)) == len(kinds)
        assert {kind.replace("-", "") for kind in kinds}.isdisjoint(
            kind.replace("-", "") for kind in reserved
        )


def test_the_colour_and_line_tasks_hold_different_drawings() -> None:
    colour, black = ({*sum(task.values(), ())} for task in (OPENMOJI_COLOUR, OPENMOJI_BLACK))
    assert colour.isdisjoint(black)


def test_only_drawn_emoji_of_the_given_groups_are_read(make_package: MakePackage) -> None:
    package = _datasource(
        make_package,
        [
            ("1", "Objects", "tool", True),
            ("2", "Food & Drink", "food-fruit", True),
            ("3", "Food & Drink", "tool", True),
            ("4", "Objects", "tool", False),
            ("5", "Objects", "lock", True),
            ("6", "Objects", "tool", True),
        ],
    )
    pictures = Datasource("toy", THINGS, ("Objects",), without=frozenset({"6"}))([package])
    assert pictures.groups == ("1",)
    assert pictures.labels.tolist() == [0]


def test_classes_can_be_made_of_groups(make_package: MakePackage) -> None:
    entries = [("1", "Symbols", "zodiac", True), ("2", "Objects", "lock", True)]
    package = _datasource(make_package, entries)
    classes = {"toy objects": ("Objects",), "toy symbols": ("Symbols",)}
    pictures = Datasource("toy", classes, ("Objects", "Symbols"), "category")([package])
    assert pictures.labels.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("unified", "expected"),
    [
        ("1F3C3", "1F3C3"),
        ("1F3C3-200D-2640-FE0F-200D-27A1-FE0F", "1F3C3"),
        ("26F9-FE0F-200D-2642-FE0F", "26F9-FE0F"),
        ("1F468-200D-2695-FE0F", "2695-FE0F"),
        ("1F469-200D-2695-FE0F", "2695-FE0F"),
        ("1F469", "1F469"),
        ("27A1-FE0F", "27A1-FE0F"),
        ("0023-FE0F-20E3", "0023-FE0F-20E3"),
    ],
)
def test_those_that_differ_by_gender_or_direction_share_a_base(unified: str, expected: str) -> None:
    assert base(unified) == expected


def test_openmoji_leaves_out_blanks_copies_and_reserved_drawings(make_package: MakePackage) -> None:
    pytest.importorskip("resvg_py")
    reserved = min(RESERVED_EXTRAS)
    package = _openmoji(
        make_package,
        [
            ("A0", "symbols", "arrow"),
            ("A1", "symbols", "arrow"),
            (reserved, "extras-openmoji", "technology"),
            ("A3", "extras-openmoji", "technology"),
            ("A4", "objects", "technology"),
        ],
    )
    copy = (package.folder / "package/black/svg/A1.svg").read_text()
    (package.folder / "package/black/svg/A2.svg").write_text(copy)
    listing = package.folder / "package/data/openmoji.json"
    entries = json.loads(listing.read_text())
    entries.append({"hexcode": "A2", "group": "symbols", "subgroups": "arrow"})
    listing.write_text(json.dumps(entries))
    classes = {"toy arrows": ("arrow",), "toy technology": ("extras technology",)}
    pictures = OpenMoji("black", classes)([package])
    assert pictures.groups == ("A1", "A3")
    assert pictures.labels.tolist() == [0, 1]


def test_a_package_without_these_emoji_is_an_error(make_package: MakePackage) -> None:
    package = _datasource(make_package, [("1", "Flags", "flag", True)])
    with pytest.raises(SourceError, match="no picture"):
        Datasource("toy", THINGS, TRAINING)([package])
