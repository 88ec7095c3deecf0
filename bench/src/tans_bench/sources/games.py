"""Playing cards by rank, and chess pieces, from the decks and sets of several games."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import BytesIO
from itertools import product
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import normalize

from tans.errors import MissingExtraError
from tans_bench.sources.icons import one_per_design
from tans_bench.sources.lookalikes import join_groups
from tans_bench.sources.packages import Package
from tans_bench.sources.pictures import Pictures, collect
from tans_bench.sources.source import Source

SIZE = 64
RANKS = (
    *("ace", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "jack"),
    *("queen", "king"),
)
SUITS = 4
DECK_ROWS = 5
"""Rows of a deck's sheet: the suits, then jokers and back."""
FOREIGN_DECKS = ("swiss-xvii",)
"""Decks without the thirteen ranks."""

PIECES = tuple(product("wb", "kqrbnp"))
"""White and black king, queen, rook, bishop, knight and pawn: the classes in their order."""
KINDS = {"k": "king", "q": "queen", "r": "rook", "b": "bishop", "n": "knight", "p": "pawn"}
EBOARD_GRID, EBOARD_ORDER = (7, 2), tuple(product("wb", "rnbqkp"))
"""Columns and rows of a sheet, the last column being squares, and its pieces row by row."""
PYCHESS_GRID, PYCHESS_ORDER = (6, 2), tuple(product("bw", "kqrbnp"))
SCID_GRID, SCID_ORDER = (12, 1), tuple(product("wb", "pnbrqk"))
UNUSUAL = {"Bauhaus", "Blindfold", "ada", "freak", "makruk", "prmi", "sittuyin"}
"""Sets whose pieces cannot be told by their looks, or are those of other games."""
SQUARES = (
    *(("#f0d9b5", "#b58863"), ("#eeeed2", "#769656"), ("#dee3e6", "#8ca2ad")),
    ("#e6e6e6", "#9b9b9b"),
)
"""Light and dark squares of the boards that the sets are put on in turn."""
OUTLINE_SIDE = 24
SAME_DESIGN = 0.9
"""Mean correlation of two sets' outlines above which the sets are one design."""

PieceSet = tuple[Image.Image, ...]
"""The pieces of one set in the order of ``PIECES``, transparent around."""


def playing_cards(packages: Sequence[Package]) -> Pictures:
    """Cards of the decks of ``gnome-cards-data``; decks that share cards are one group.

    Raises:
        SourceError: the package holds no deck.
        MissingExtraError: the renderer of SVG files is not installed.
    """
    (package,) = packages
    drawn = (
        (on_colour(card, "white"), rank, deck.stem)
        for deck in package.files("usr/share/aisleriot/cards/*.svgz")
        if deck.stem not in FOREIGN_DECKS
        for rank, card in _cards(deck)
    )
    return one_per_design(collect(drawn).unambiguous())


def _cards(deck: Path) -> Iterator[tuple[int, Image.Image]]:
    """Rank and picture of the cards on a deck's sheet: a column a rank, a row a suit."""
    sheet = render(deck, 2 * SIZE * len(RANKS))
    if sheet is not None:
        tiles = tiled(sheet, (len(RANKS), DECK_ROWS))
        for number, card in enumerate(tiles[: SUITS * len(RANKS)]):
            yield number % len(RANKS), card


def chess_pieces(packages: Sequence[Package]) -> Pictures:
    """Pieces of ``eboard``, ``pychess`` and ``scid-data``, each on a light and a dark square.

    Raises:
        SourceError: the packages hold no set.
        MissingExtraError: the renderer of SVG files is not installed.
    """
    eboard, pychess, scid = packages
    sets = (*_eboard_sets(eboard), *_pychess_sets(pychess), *_scid_sets(scid))
    designs = one_name_per_design(dict(sets))
    drawn = (
        (on_colour(piece, square), label, designs[name])
        for number, (name, pieces) in enumerate(sets)
        for label, piece in enumerate(pieces)
        for square in SQUARES[number % len(SQUARES)]
    )
    return collect(drawn).unambiguous().without_copies()


def _eboard_sets(package: Package) -> Iterator[tuple[str, PieceSet]]:
    """Sheets of square tiles; those in perspective have other proportions and are left out."""
    columns, rows = EBOARD_GRID
    for path in package.files("usr/share/games/eboard/*.png"):
        with Image.open(path) as sheet:
            if sheet.width * rows == sheet.height * columns:
                tiles = tiled(without_background(sheet), EBOARD_GRID)
                pieces = [tile for i, tile in enumerate(tiles) if i % columns < columns - 1]
                yield f"eboard {path.stem}", _ordered(pieces, EBOARD_ORDER)


def _pychess_sets(package: Package) -> Iterator[tuple[str, PieceSet]]:
    """Folders of one drawing a piece, or of one sheet."""
    root = "usr/share/pychess/pieces"
    for folder in sorted({path.parent for path in package.files(f"{root}/*/*.svg")}):
        paths = [folder / f"{colour}{kind}.svg" for colour, kind in PIECES]
        sheet = folder / f"{folder.name}.svg"
        if folder.name in UNUSUAL:
            continue
        if sheet.is_file():
            whole = render(sheet, 2 * SIZE * PYCHESS_GRID[0])
            tiles = [] if whole is None else tiled(whole, PYCHESS_GRID)
            pieces = _ordered(tiles, PYCHESS_ORDER) if tiles else ()
        else:
            drawn = (render(path, 2 * SIZE) for path in paths if path.is_file())
            pieces = tuple(tiled(image, (1, 1))[0] for image in drawn if image is not None)
        if len(pieces) == len(PIECES):
            yield f"pychess {folder.name}", pieces


def _scid_sets(package: Package) -> Iterator[tuple[str, PieceSet]]:
    """Strips of twelve pieces, of which those 65 px high are read."""
    for path in package.files("usr/share/scid/img/pieces/*/*_65.*"):
        if path.parent.name not in UNUSUAL:
            with Image.open(path) as strip:
                tiles = tiled(strip.convert("RGBA"), SCID_GRID)
            yield f"scid {path.parent.name}", _ordered(tiles, SCID_ORDER)


def _ordered(pieces: Sequence[Image.Image], order: Sequence[tuple[str, str]]) -> PieceSet:
    return tuple(pieces[order.index(piece)] for piece in PIECES)


def one_name_per_design(sets: dict[str, PieceSet]) -> dict[str, str]:
    """Set to the first set of the same design, judged by the outlines of its pieces."""
    if not sets:
        return {}
    outlines = torch.stack(
        [torch.stack([_outline(piece) for piece in pieces]) for pieces in sets.values()]
    )  # (s, p, d)
    prints = normalize(outlines - outlines.mean(-1, keepdim=True), dim=-1).flatten(1)  # (s, p * d)
    alike = prints @ prints.T / len(PIECES) > SAME_DESIGN  # (s, s)
    return dict(zip(sets, join_groups(tuple(sets), alike), strict=True))


def _outline(piece: Image.Image) -> Tensor:
    """What a piece covers within its bounds, as float (d,)."""
    cover = piece.getchannel("A").point(lambda level: 255 * (level > 127))
    trimmed = cover.crop(cover.getbbox() or (0, 0, *cover.size))
    small = trimmed.resize((OUTLINE_SIDE, OUTLINE_SIDE), Image.Resampling.BOX)
    return torch.from_numpy(np.array(small)).flatten() / 255


def render(path: Path, width: int) -> Image.Image | None:
    """An SVG file as RGBA of some width, or None when it cannot be read.

    Raises:
        MissingExtraError: the renderer is not installed.
    """
    try:
        import resvg_py
    except ImportError as error:
        raise MissingExtraError("resvg-py", "build") from error
    try:
        data = resvg_py.svg_to_bytes(svg_path=str(path), width=width, skip_system_fonts=True)
        with Image.open(BytesIO(bytes(data))) as image:
            return image.convert("RGBA")
    except (ValueError, OSError):
        return None


def tiled(sheet: Image.Image, grid: tuple[int, int]) -> list[Image.Image]:
    """The tiles of a sheet of so many columns and rows, row by row, each a square of 64 px."""
    columns, rows = grid
    width, height = sheet.width / columns, sheet.height / rows
    boxes = [
        (column * width, row * height, (column + 1) * width, (row + 1) * height)
        for row in range(rows)
        for column in range(columns)
    ]
    return [sheet.resize((SIZE, SIZE), Image.Resampling.BICUBIC, box=box) for box in boxes]


def without_background(sheet: Image.Image) -> Image.Image:
    """A sheet as RGBA, transparent wherever it has the colour of its first pixel."""
    pixels = np.array(sheet.convert("RGBA"))  # (h, w, 4)
    pixels[(pixels == pixels[0, 0]).all(-1)] = 0
    return Image.fromarray(pixels)


def on_colour(image: Image.Image, colour: str) -> np.ndarray:
    """An RGBA picture on a plain colour, as uint8 (h, w, 3)."""
    ground = Image.new("RGBA", image.size, colour)
    return np.asarray(Image.alpha_composite(ground, image).convert("RGB"))


SOURCES = (
    Source(
        name="playing-cards",
        role="train",
        family="games",
        licence="GPL-3.0-or-later",
        packages=("debian:gnome-cards-data",),
        classes=tuple(f"card {rank}" for rank in RANKS),
        draw=playing_cards,
        made="cards of four suits by rank; split by deck, decks that share cards being one",
        notes="A card is squeezed to a square. Copies of a card between decks are left out.",
    ),
    Source(
        name="chess-pieces",
        role="train",
        family="games",
        licence="GPL-2.0-only AND GPL-2.0-or-later AND GPL-3.0-or-later",
        packages=("debian:eboard", "debian:pychess", "debian:scid-data"),
        classes=tuple(
            f"chess {'white' if colour == 'w' else 'black'} {KINDS[kind]}"
            for colour, kind in PIECES
        ),
        draw=chess_pieces,
        made="pieces on a light and a dark square; split by set, sets of one design being one",
        notes="Some sets are whimsical, so a piece can be hard to tell.",
    ),
)
