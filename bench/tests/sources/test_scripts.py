from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import matplotlib
import pytest
import torch

from tans_bench.errors import SourceError
from tans_bench.sources.fonts import (
    Script,
    Typefaces,
    class_name,
    draw_all,
    faces,
    first_of_families,
    round_robin,
)
from tans_bench.sources.fonts import unlike as rows_unlike
from tans_bench.sources.packages import Package
from tans_bench.sources.pictures import Pictures
from tans_bench.sources.scripts import SOURCES, TYPEFACES

from .conftest import MakePackage

CARRIED = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
SCRIPTS = [source for source in SOURCES if isinstance(source.draw, Script)]


@pytest.fixture
def dejavu(make_package: MakePackage) -> Package:
    package = make_package("fonts-dejavu")
    for name in ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSerif"):
        shutil.copy(CARRIED / f"{name}.ttf", package.folder)
    return package


def test_roles_are_those_fixed_beforehand() -> None:
    roles = {source.name: source.role for source in SOURCES}
    assert {name for name, role in roles.items() if role == "dev"} == {
        "script-greek",
        "script-tamil",
        "script-hangul",
        "script-thai",
        "script-georgian",
    }


def test_no_character_and_no_class_occurs_in_two_tasks() -> None:
    drawn = Counter(
        character
        for source in SCRIPTS
        if isinstance(source.draw, Script)
        for character in source.draw.characters
    )
    assert max(drawn.values()) == 1
    named = Counter(label for source in SOURCES for label in source.classes)
    assert max(named.values()) == 1


def test_every_character_has_its_class() -> None:
    for source in SCRIPTS:
        assert isinstance(source.draw, Script)
        assert len(source.classes) == len(source.draw.characters) <= 20, source.name
        assert all(label.isascii() and label == label.lower() for label in source.classes)


def test_a_script_that_few_families_hold_says_so() -> None:
    for source in SCRIPTS:
        assert isinstance(source.draw, Script)
        assert ("few font families" in source.notes) == (source.draw.fewest < 10), source.name


def test_cases_are_told_apart_where_both_are_classes() -> None:
    classes = {source.name: source.classes for source in SOURCES}
    assert "latin a" in classes["script-latin"]
    assert {"latin small a", "latin small oe"} <= {*classes["script-latin-small"]}
    assert {"cyrillic dje", "cyrillic small dje"} <= {*classes["script-cyrillic-more"]}


def test_packages_outside_the_prefix_keep_their_name() -> None:
    hebrew = next(source for source in SOURCES if source.name == "script-hebrew")
    assert {"debian:culmus", "debian:fonts-ldco", "debian:fonts-noto-core"} <= {*hebrew.packages}
    assert len(set(hebrew.packages)) == len(hebrew.packages)


def test_names_of_syllables_characters_and_signs() -> None:
    assert class_name("가") == "hangul ga"
    assert class_name("ก") == "thai ko kai"
    assert class_name("መ") == "ethiopic ma"
    assert class_name("œ", "latin small") == "latin small oe"
    assert class_name("∞", "math") == "math infinity"


def test_drawings_like_those_of_another_task_are_left_out(dejavu: Package) -> None:
    kept = Script("OXA", unlike=("\u0410Ж",), fewest=1)([dejavu])
    # the Cyrillic a is the Latin one in three faces, and a pixel taller in the serif one
    assert kept.labels.bincount().tolist() == [4, 4, 1]
    assert len(kept.groups or ()) == len(kept)


def test_rows_unlike_others_are_found_by_their_picture(dejavu: Package) -> None:
    glyphs = draw_all(faces([dejavu], "AOX")[0], "AOX", 64)
    assert glyphs is not None
    assert rows_unlike(glyphs[:, None], glyphs[1:2, None]).tolist() == [0, 2]
    assert rows_unlike(glyphs[:, None], torch.flip(glyphs[:1, None], (2,))).tolist() == [0, 1, 2]


def test_what_two_families_draw_alike_is_taken_once(make_package: MakePackage) -> None:
    package = make_package("fonts-stix")
    for name in ("STIXGeneral", "STIXGeneralBol", "DejaVuSans"):
        shutil.copy(CARRIED / f"{name}.ttf", package.folder)
    whole = Script("AI\u00d7", fewest=2)([package])
    doubled = Pictures(
        torch.cat([whole.images, whole.images[:2]]),
        torch.cat([whole.labels, whole.labels[:2]]),
        (*(whole.groups or ()), "another", (whole.groups or ())[1]),
    )
    kept = first_of_families(doubled).tolist()
    assert kept == [row for row in range(len(doubled)) if row != len(whole)]


def test_a_family_gives_no_more_faces_than_allowed(dejavu: Package) -> None:
    pictures = Script("ABC", fewest=2, per_family=1)([dejavu])
    assert Counter(pictures.groups) == {"DejaVu Sans": 3, "DejaVu Serif": 3}


def test_the_faces_taken_of_a_family_are_spread() -> None:
    assert round_robin(["a"] * 9 + ["b"], limit=20, per_group=3) == [0, 3, 6, 9]
    assert round_robin(["a"] * 5, limit=20, per_group=4) == [0, 1, 2, 3]


def test_typefaces_are_classes_and_characters_groups(dejavu: Package) -> None:
    drawn = Typefaces(("DejaVuSans", "DejaVuSerif"), "AEGRgk")([dejavu])
    assert drawn.images.shape == (12, 3, 64, 64)
    assert drawn.labels.tolist() == [0] * 6 + [1] * 6
    assert drawn.groups == tuple("AEGRgk" * 2)


def test_letters_of_one_shape_share_a_group(dejavu: Package) -> None:
    drawn = Typefaces(("DejaVuSans", "DejaVuSerif"), "AIl")([dejavu])
    groups = drawn.groups or ()
    assert groups[1] == groups[2]
    assert groups[0] != groups[1]


def test_a_missing_typeface_is_an_error(dejavu: Package) -> None:
    with pytest.raises(SourceError, match="no font file Missing"):
        Typefaces(("DejaVuSans", "Missing"), "AB")([dejavu])


def test_there_are_twenty_typefaces() -> None:
    assert len(set(TYPEFACES.classes)) == 20
    assert TYPEFACES.family == "typefaces"
