from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tans_bench.errors import SourceError
from tans_bench.sources.games import (
    EBOARD_ORDER,
    PIECES,
    SCID_ORDER,
    SOURCES,
    chess_pieces,
    one_name_per_design,
    playing_cards,
    tiled,
    without_background,
)
from tans_bench.sources.packages import Package

from .conftest import MakePackage

SIDE = 16
YELLOW = (255, 255, 0)


def _noise(seed: int) -> Image.Image:
    """A picture of noise with a ragged outline, transparent around, different for every seed."""
    noise = np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 4), dtype=np.uint8)
    noise[..., 3] = np.where(noise[..., 3] > 127, 255, 0)
    noise[0, 0] = 0
    return Image.fromarray(noise)


def _sheet(pieces: list[Image.Image], columns: int, ground: tuple[int, ...]) -> Image.Image:
    rows = -(-len(pieces) // columns)
    sheet = Image.new("RGBA", (columns * SIDE, rows * SIDE), ground)
    for index, piece in enumerate(pieces):
        sheet.paste(piece, (index % columns * SIDE, index // columns * SIDE), piece)
    return sheet


def _save(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def _pieces(first: int) -> dict[tuple[str, str], Image.Image]:
    return {piece: _noise(first + index) for index, piece in enumerate(PIECES)}


@pytest.fixture
def packages(make_package: MakePackage) -> list[Package]:
    return [make_package(name) for name in ("eboard", "pychess", "scid-data")]


def _save_eboard(package: Package, name: str, first: int) -> None:
    pieces = _pieces(first)
    row = [pieces[piece] for piece in EBOARD_ORDER]
    square = Image.new("RGBA", (SIDE, SIDE), "black")
    sheet = _sheet([*row[:6], square, *row[6:], square], 7, YELLOW).convert("RGB")
    _save(sheet, package.folder / f"usr/share/games/eboard/{name}.png")


def _save_scid(package: Package, name: str, first: int) -> None:
    pieces = _pieces(first)
    strip = _sheet([pieces[piece] for piece in SCID_ORDER], 12, (0, 0, 0, 0))
    _save(strip, package.folder / f"usr/share/scid/img/pieces/{name}/{name}_65.png")


def test_every_piece_is_put_on_two_squares(packages: list[Package]) -> None:
    _save_scid(packages[2], "One", 0)
    pictures = chess_pieces(packages)
    assert pictures.labels.tolist() == [label for label in range(12) for _ in range(2)]
    assert pictures.groups == ("scid One",) * 24
    assert not bool((pictures.images[0] == pictures.images[1]).all())


def test_sets_of_one_design_are_one_group_and_labels_agree(packages: list[Package]) -> None:
    _save_eboard(packages[0], "Alpha", 0)
    _save_scid(packages[2], "Alpha", 0)
    _save_scid(packages[2], "Other", 100)
    pictures = chess_pieces(packages)
    assert set(pictures.groups or ()) == {"eboard Alpha", "scid Other"}
    assert len(SOURCES[1].classes) == int(pictures.labels.max()) + 1 == 12


def test_sheets_in_perspective_and_unusual_sets_are_left_out(packages: list[Package]) -> None:
    _save_scid(packages[2], "One", 0)
    _save_scid(packages[2], "Blindfold", 50)
    tall = Image.new("RGB", (7 * SIDE, 3 * SIDE))
    _save(tall, packages[0].folder / "usr/share/games/eboard/Tall.png")
    assert set(chess_pieces(packages).groups or ()) == {"scid One"}


def test_pieces_drawn_one_a_file_need_all_twelve(packages: list[Package]) -> None:
    pytest.importorskip("resvg_py")
    for name, pieces in (("whole", PIECES), ("half", PIECES[:6])):
        folder = packages[1].folder / "usr/share/pychess/pieces" / name
        folder.mkdir(parents=True)
        for number, (colour, kind) in enumerate(pieces):
            head = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 36 36">'
            shape = f'<path d="M{number} 0h9v9h9v{number + 3}h-18z" fill="#0{number % 10}f"/>'
            (folder / f"{colour}{kind}.svg").write_text(f"{head}{shape}</svg>")
    pictures = chess_pieces(packages)
    assert set(pictures.groups or ()) == {"pychess whole"}
    assert set(pictures.labels.tolist()) <= set(range(12))


def test_designs_are_told_by_outline_alone() -> None:
    shapes = tuple(_noise(seed).resize((64, 64)) for seed in range(12))
    red = Image.new("RGBA", (64, 64), "red")
    clear = Image.new("RGBA", (64, 64))
    painted = tuple(Image.composite(red, clear, shape.getchannel("A")) for shape in shapes)
    others = tuple(_noise(seed).resize((64, 64)) for seed in range(50, 62))
    names = one_name_per_design({"first": shapes, "painted": painted, "other": others})
    assert names == {"first": "first", "painted": "first", "other": "other"}


def test_a_sheet_is_cut_row_by_row_and_its_ground_is_transparent() -> None:
    colours = ("red", "lime", "blue", "black")
    blocks = [Image.new("RGBA", (SIDE, SIDE), colour) for colour in colours]
    tiles = tiled(without_background(_sheet(blocks, 2, YELLOW)), (2, 2))
    assert [tile.getpixel((32, 32)) for tile in tiles] == [
        *((0, 0, 0, 0), (0, 255, 0, 255), (0, 0, 255, 255), (0, 0, 0, 255)),
    ]


def _deck(package: Package, name: str, colour: str) -> None:
    """Cards whose rank shows as the place of one bar, and whose suit as that of another."""
    bars = [
        f'<rect x="{rank * 30 + 2 * rank}" y="{suit * 40}" width="4" height="36"/>'
        f'<rect x="{rank * 30}" y="{suit * 40 + 9 * suit}" width="30" height="5"/>'
        for suit in range(4)
        for rank in range(13)
    ]
    head = '<svg xmlns="http://www.w3.org/2000/svg" width="390" height="200">'
    folder = package.folder / "usr/share/aisleriot/cards"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.svgz").write_text(f'{head}<g fill="{colour}">{"".join(bars)}</g></svg>')


@pytest.mark.long
def test_cards_are_read_by_rank_and_copied_decks_are_one(make_package: MakePackage) -> None:
    pytest.importorskip("resvg_py")
    package = make_package("gnome-cards-data")
    for name, colour in (("copy", "black"), ("first", "black"), ("other", "red")):
        _deck(package, name, colour)
    _deck(package, "swiss-xvii", "blue")
    pictures = playing_cards([package])
    assert pictures.groups == ("copy",) * 52 + ("other",) * 52
    assert pictures.labels.tolist() == [*range(13)] * 8


def test_packages_without_games_are_an_error(
    make_package: MakePackage, packages: list[Package]
) -> None:
    with pytest.raises(SourceError, match="no picture"):
        playing_cards([make_package("gnome-cards-data")])
    with pytest.raises(SourceError, match="no picture"):
        chess_pieces(packages)
