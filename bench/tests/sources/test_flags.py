from __future__ import annotations

import json
import shutil

import pytest

from tans_bench.errors import SourceError
from tans_bench.sources.flags import CONTINENTS, flags
from tans_bench.sources.packages import Package

from .conftest import MakePackage, draw

COUNTRIES = (("ke", "Africa"), ("pe", "South America"), ("fr", "Europe"), ("xx", None))


@pytest.fixture
def packages(make_package: MakePackage) -> list[Package]:
    icons, pictures, glossy = (make_package(name) for name in ("icons", "pictures", "glossy"))
    (icons.folder / "package").mkdir()
    countries = [{"code": code, "continent": where} for code, where in COUNTRIES]
    countries.append({"code": "re", "continent": "Africa"})
    (icons.folder / "package/country.json").write_text(json.dumps(countries))
    for seed, code in enumerate(("fr", "ke", "pe", "re", "xx", "_olympic")):
        draw(pictures.folder / f"package/png250px/{code}.png", seed)
    return [icons, pictures, glossy]


def _glossy(packages: list[Package], code: str, seed: int) -> None:
    draw(packages[2].folder / f"usr/share/iso-flags-png-320x240/{code}.png", seed)


def test_the_continent_is_the_class_and_the_country_the_group(packages: list[Package]) -> None:
    _glossy(packages, "ke", 20)
    pictures = flags(packages)
    names = [CONTINENTS[label] for label in pictures.labels]
    assert names == ["Europe", "Africa", "South America", "Africa"]
    assert pictures.groups == ("fr", "ke", "pe", "ke")


def test_copies_and_flags_that_two_continents_fly_are_left_out(packages: list[Package]) -> None:
    _glossy(packages, "fr", 0)
    folder = packages[1].folder / "package/png250px"
    shutil.copy(folder / "ke.png", folder / "pe.png")
    assert flags(packages).groups == ("fr",)


def test_drawings_in_svg_are_read_whole_on_a_square(packages: list[Package]) -> None:
    pytest.importorskip("resvg_py")
    folder = packages[0].folder / "package/flags/4x3"
    folder.mkdir(parents=True)
    band = '<path fill="#00f" d="M0 0h32v48h-32z"/><path fill="#f00" d="M32 0h32v48h-32z"/>'
    head = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 48">'
    (folder / "ke.svg").write_text(f"{head}{band}</svg>")
    image = flags(packages).images[0]
    assert image[:, 0, 0].tolist() == [0, 0, 255]
    assert image[:, 63, 63].tolist() == [255, 0, 0]


def test_packages_without_flags_are_an_error(packages: list[Package]) -> None:
    shutil.rmtree(packages[1].folder / "package")
    with pytest.raises(SourceError, match="no picture"):
        flags(packages)
