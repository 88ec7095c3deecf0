from __future__ import annotations

import pytest

from tans_bench.errors import SourceError
from tans_bench.sources.icons import SOURCES, Contexts
from tans_bench.sources.packages import Package

from .conftest import MakePackage, draw

NAMES = ("go-up", "go-down", "list-add", "list-remove")


def _theme(make: MakePackage, name: str, seeds: list[int]) -> Package:
    package = make(name)
    folder = package.folder / "usr/share/icons" / name / "48x48/actions"
    for icon, seed in zip(NAMES, seeds, strict=True):
        draw(folder / f"{icon}.png", seed)
    return package


def test_only_wanted_names_in_wanted_folders_are_read(make_package: MakePackage) -> None:
    package = _theme(make_package, "one", [0, 1, 2, 3])
    icons = package.folder / "usr/share/icons/one"
    draw(icons / "48x48/actions/other.png", 10)
    draw(icons / "48x48/devices/go-up.png", 11)
    draw(icons / "16x16/actions/go-up.png", 12)
    draw(package.folder / "usr/share/icons/one-Dark/48x48/actions/go-up.png", 13)
    pictures = Contexts(("actions",), NAMES)([package])
    assert pictures.labels.tolist() == [0, 1, 2, 3]


def test_forked_themes_are_one_group_and_their_copies_go(make_package: MakePackage) -> None:
    original = _theme(make_package, "original", [0, 1, 2, 3])
    fork = _theme(make_package, "fork", [0, 1, 12, 13])
    stranger = _theme(make_package, "stranger", [20, 21, 22, 23])
    pictures = Contexts(("actions",), NAMES)([original, fork, stranger])
    assert pictures.groups == ("original",) * 6 + ("stranger",) * 4


def test_drawings_of_reserved_icons_are_left_out(make_package: MakePackage) -> None:
    package = _theme(make_package, "one", [0, 1, 2, 3])
    draw(package.folder / "usr/share/icons/one/48x48/devices/printer.png", 2)
    reserved = Contexts(("devices",), ("printer",))
    assert Contexts(("actions",), NAMES)([package]).labels.tolist() == [0, 1, 2, 3]
    assert Contexts(("actions",), NAMES, (reserved,))([package]).labels.tolist() == [0, 1, 3]


def test_drawings_of_two_names_are_left_out_beside_reserved_icons(
    make_package: MakePackage,
) -> None:
    package = _theme(make_package, "one", [0, 1, 2, 2])
    draw(package.folder / "usr/share/icons/one/48x48/devices/printer.png", 9)
    reserved = Contexts(("devices",), ("printer",))
    assert Contexts(("actions",), NAMES, (reserved,))([package]).labels.tolist() == [0, 1]


def test_no_icon_name_is_in_two_tasks() -> None:
    names = [label.split()[-1] for source in SOURCES for label in source.classes]
    assert len(set(names)) == len(names)


def test_svg_icons_are_drawn(make_package: MakePackage) -> None:
    pytest.importorskip("resvg_py")
    package = make_package("drawn")
    folder = package.folder / "usr/share/icons/drawn/scalable/actions"
    folder.mkdir(parents=True)
    square = '<rect x="8" y="8" width="16" height="16" fill="#0000ff"/>'
    head = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">'
    (folder / "go-up.svg").write_text(f"{head}{square}</svg>")
    (folder / "go-down.svg").write_text("no drawing")
    pictures = Contexts(("actions",), NAMES)([package])
    assert pictures.labels.tolist() == [0]
    assert pictures.images[0, :, 32, 32].tolist() == [0, 0, 255]
    assert pictures.images[0, :, 2, 2].tolist() == [255, 255, 255]


def test_no_icons_are_an_error(make_package: MakePackage) -> None:
    with pytest.raises(SourceError, match="no picture"):
        Contexts(("actions",), NAMES)([make_package("empty")])
