from __future__ import annotations

import json
from pathlib import Path

import pytest

from tans_bench.errors import SourceError
from tans_bench.sources.packages import Package
from tans_bench.sources.symbols import (
    SOURCES,
    Icon,
    Symbols,
    fontawesome,
    material,
    remix,
    tabler,
)

from .conftest import MakePackage

LISTS = """alphabet:
  icons:
    - a
    - 'n'
  label: Alphabet
arrows:
  icons:
    - arrow-up
    - a
  label: Arrows
kitchen:
  icons:
    - 'n'
  label: Kitchen
"""


def _symbol(package: Package, path: str, box: tuple[int, int, int, int]) -> Path:
    """A black rectangle on a canvas of 32 units, as an SVG file of a package."""
    file = package.folder / "package" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    x, y, width, height = box
    rectangle = f'<rect x="{x}" y="{y}" width="{width}" height="{height}" fill="currentColor"/>'
    head = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">'
    file.write_text(f"{head}{rectangle}</svg>")
    return file


def _named(icons: list[Icon]) -> list[tuple[str, str]]:
    return sorted((icon.category, icon.name) for icon in icons)


def test_icons_of_one_chosen_category_are_listed(
    make_package: MakePackage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tans_bench.sources.symbols.FONTAWESOME", ("alphabet", "arrows"))
    package = make_package("set")
    for name in ("solid/a", "solid/n", "regular/n", "brands/n", "solid/arrow-up", "solid/other"):
        _symbol(package, f"svgs-full/{name}.svg", (0, 0, 8, 8))
    (package.folder / "package/metadata").mkdir()
    (package.folder / "package/metadata/categories.yml").write_text(LISTS)
    listed = _named(list(fontawesome(package)))
    assert listed == [("alphabet", "n"), ("alphabet", "n"), ("arrows", "arrow-up")]


def test_folders_are_categories(make_package: MakePackage) -> None:
    package = make_package("set")
    _symbol(package, "av/svg/production/ic_play_arrow_24px.svg", (0, 0, 8, 8))
    _symbol(package, "av/svg/production/ic_play_arrow_48px.svg", (0, 0, 8, 8))
    _symbol(package, "icons/Health & Medical/heart-fill.svg", (0, 0, 8, 8))
    assert _named(list(material(package))) == [("av", "play_arrow")]
    assert _named(list(remix(package))) == [("Health & Medical", "heart-fill")]


def test_a_list_names_the_categories(make_package: MakePackage) -> None:
    package = make_package("set")
    _symbol(package, "icons/outline/bell.svg", (0, 0, 8, 8))
    _symbol(package, "icons/filled/bell.svg", (0, 0, 8, 8))
    _symbol(package, "icons/outline/unlisted.svg", (0, 0, 8, 8))
    listed = {"bell": {"category": "Alerts"}}
    (package.folder / "package/icons.json").write_text(json.dumps(listed))
    assert _named(list(tabler(package))) == [("Alerts", "bell"), ("Alerts", "bell")]


def test_symbols_are_black_on_white_and_variants_share_a_group(make_package: MakePackage) -> None:
    pytest.importorskip("resvg_py")
    package = make_package("set")
    _symbol(package, "icons/One/bell-fill.svg", (0, 0, 16, 16))
    _symbol(package, "icons/One/bell-off-line.svg", (16, 16, 16, 16))
    _symbol(package, "icons/Two/clock-2-line.svg", (0, 16, 16, 16))
    _symbol(package, "icons/Other/flag-line.svg", (16, 0, 16, 16))
    pictures = Symbols(("One", "Two"), remix)([package])
    assert pictures.labels.tolist() == [0, 0, 1]
    assert pictures.groups == ("bell", "bell", "clock")
    assert pictures.images[0, :, 8, 8].tolist() == [0, 0, 0]
    assert pictures.images[0, :, 56, 56].tolist() == [255, 255, 255]


def test_a_symbol_of_two_categories_and_copies_are_left_out(make_package: MakePackage) -> None:
    pytest.importorskip("resvg_py")
    package = make_package("set")
    _symbol(package, "icons/One/square-line.svg", (0, 0, 16, 16))
    _symbol(package, "icons/Two/box-line.svg", (0, 0, 16, 16))
    _symbol(package, "icons/Two/bar-line.svg", (0, 0, 32, 8))
    _symbol(package, "icons/Two/beam-line.svg", (0, 0, 32, 8))
    pictures = Symbols(("One", "Two"), remix)([package])
    assert pictures.labels.tolist() == [1]
    assert pictures.groups == ("bar",)


def test_mere_discs_are_left_out(make_package: MakePackage) -> None:
    pytest.importorskip("resvg_py")
    package = make_package("set")
    _symbol(package, "icons/One/circle.svg", (0, 0, 16, 16))
    _symbol(package, "icons/One/square.svg", (16, 0, 16, 16))
    assert Symbols(("One",), remix)([package]).groups == ("square",)


def test_a_set_without_the_categories_is_an_error(make_package: MakePackage) -> None:
    with pytest.raises(SourceError, match="no picture"):
        Symbols(("One",), remix)([make_package("empty")])


def test_no_class_shows_what_is_reserved_for_judging() -> None:
    words = {word for source in SOURCES for label in source.classes for word in label.split()}
    reserved = {"food", "sport", "sports", "users", "user", "people", "device", "devices"}
    assert words.isdisjoint(reserved | {"hardware", "computers", "gaming", "flags", "hands"})
