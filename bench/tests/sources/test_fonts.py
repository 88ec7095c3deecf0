from __future__ import annotations

import shutil
from pathlib import Path

import matplotlib
import pytest
import torch

from tans_bench.errors import SourceError
from tans_bench.sources.fonts import Script, class_name, draw_all, faces, round_robin
from tans_bench.sources.packages import Package

from .conftest import MakePackage

CARRIED = Path(matplotlib.get_data_path()) / "fonts" / "ttf"


@pytest.fixture
def dejavu(make_package: MakePackage) -> Package:
    package = make_package("fonts-dejavu")
    for name in ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSerif.ttf"):
        shutil.copy(CARRIED / name, package.folder)
    (package.folder / "broken.ttf").write_bytes(b"no font")
    return package


def test_faces_are_those_that_hold_every_character(dejavu: Package) -> None:
    found = faces([dejavu], "AБλ")
    assert {face.family for face in found} == {"DejaVu Sans", "DejaVu Serif"}
    assert len(found) == 3
    assert faces([dejavu], "Aあ") == []


def test_characters_are_drawn_black_on_white_and_centred(dejavu: Package) -> None:
    glyphs = draw_all(faces([dejavu], "HOX")[0], "HOX", 64)
    assert glyphs is not None
    assert glyphs.shape == (3, 64, 64)
    assert int(glyphs.min()) == 0
    assert (glyphs[:, 0] == 255).all()
    assert (glyphs[:, :, 0] == 255).all()
    ink = (255 - glyphs.float()).sum(0)
    middle = (ink.sum(0) * torch.arange(64)).sum() / ink.sum()
    assert 30 < middle < 33


def test_a_character_that_is_blank_or_doubled_refuses_the_face(dejavu: Package) -> None:
    face = faces([dejavu], "A")[0]
    assert draw_all(face, "A\u00a0", 32) is None
    assert draw_all(face, "A\u0410", 32) is None  # Latin and Cyrillic A look the same


def test_too_few_families_are_an_error(dejavu: Package) -> None:
    with pytest.raises(SourceError, match="at least 10 families"):
        Script("ABC")([dejavu])


def test_clones_of_one_design_share_a_group(dejavu: Package) -> None:
    pictures = Script("ABC", fewest=2)([dejavu])
    assert pictures.images.shape == (9, 3, 64, 64)
    assert pictures.labels.tolist() == [0, 1, 2] * 3
    assert set(pictures.groups or ()) == {"DejaVu Sans", "DejaVu Serif"}


def test_names_tell_scripts_and_letters_apart() -> None:
    assert class_name("Б") == "cyrillic be"
    assert class_name("Й") == "cyrillic short i"
    assert class_name("ς") == "greek final sigma"


def test_families_take_turns() -> None:
    chosen = round_robin(["a"] * 5 + ["b", "c", "c"], limit=5)
    assert chosen == sorted(chosen)
    assert [("a" * 5 + "bcc")[index] for index in chosen] == ["a", "a", "b", "c", "c"]
    assert round_robin(["a", "a"], limit=9) == [0, 1]
