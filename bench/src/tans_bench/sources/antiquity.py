"""Portraits, shields and ground of ``0ad-data``, a strategy game of antiquity.

Its pictures lie as DDS files in one archive. Their labels are the words of their file names.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from io import BytesIO

import numpy as np
from PIL import Image

from tans_bench.sources.packages import Package
from tans_bench.sources.pictures import Pictures, collect
from tans_bench.sources.source import Source
from tans_bench.sources.textures import crops

Place = Callable[[str], tuple[int, str] | None]
"""Label and group of a picture by its path without suffixes, or None when it is not wanted."""

SIZE = 128
ARCHIVE = "usr/share/games/0ad/mods/public/public.zip"
LAYERS = frozenset({"norm", "spec", "mask", "parallax"})
"""Words of files that hold what a shader needs and not what is seen."""

PORTRAITS = "art/textures/ui/session/portraits/"
PORTRAIT_KINDS: Mapping[str, str] = {
    "portrait animal": r"gaia/fauna_(?!generic)",
    "portrait armour": r"technologies/(armor(?!_ship)|helmet|shields?_|silvershields)",
    "portrait building": r"structures/",
    "portrait emblem": r"emblems/(states/)?emblem_",
    "portrait hero": r"units/.*hero_",
    "portrait ship": r"units/.*(ship_|longship)",
    "portrait siege engine": r"units/.*siege_",
    "portrait civilian": r"units/.*(support_(female|healer|trader)|slave|minister)",
    "portrait rider": r"units/.*(cavalry|camel_)",
    "portrait foot soldier": r"units/.*(infantry|archer|swordsman|spearman|maceman|pikeman)",
    "portrait weapon": r"technologies/(accuracy|arrow|battle_axe|fletching|sling|spear|sword)",
    "portrait work": r"technologies/(coin|currency|farm|fishing|gather|grain|handcart|irrigation"
    r"|loom|masonry|metal|mining|payment|plow|sickle|stone_blocks|wheelbarrow|wood|work$)",
}
"""Class to what a portrait's path begins with; the first that fits counts."""
OTHERWISE_MOUNTED = re.compile("elephant|chariot")
"""Units that are neither on foot nor on a horse or camel."""

SHIELDS = "art/textures/skins/props/shield/"
SHIELD_MAKERS: Mapping[str, frozenset[str]] = {
    "shield athenian": frozenset({"athen"}),
    "shield carthaginian": frozenset({"cart", "kart"}),
    "shield celtic": frozenset({"brit", "celt", "gaul", "pict"}),
    "shield iberian": frozenset({"iber"}),
    "shield italic": frozenset({"ital", "samnite"}),
    "shield kushite": frozenset({"kush"}),
    "shield macedonian": frozenset({"mace"}),
    "shield persian": frozenset({"pers"}),
    "shield ptolemaic": frozenset({"ptol"}),
    "shield roman": frozenset({"rome", "imp"}),
    "shield spartan": frozenset({"spart", "lambda"}),
}
"""Class to words of file names."""
SHIELD_PARTS = frozenset({"apron", "back", "base", "border", "boss", "face"})
"""Words of files that hold a part of a shield, or its inner side."""
FINISHES = frozenset({"bronze", "gold", "silver", "both", "both2", "player", "dmg", "light", "med"})
"""Words in which the files of one shield differ."""

GROUND = "art/textures/terrain/types/"
GROUND_KINDS: Mapping[str, frozenset[str]] = {
    "ground cliff": frozenset({"cliff", "mountainside"}),
    "ground farmland": frozenset({"farmland", "furrows"}),
    "ground forest floor": frozenset({"forestfloor", "forrestfloor", "forest"}),
    "ground pavement": frozenset({"city", "citytile", "paving", "road", "tile", "pavement"}),
    "ground snow and ice": frozenset({"glacial", "ice", "snow"}),
    "ground sand": frozenset({"beach", "dunes", "sand"}),
    "ground mud": frozenset({"mud"}),
    "ground rocks": frozenset({"pebbles", "rock", "rocks", "stones"}),
    "ground plants": frozenset({"coral", "plants", "scrub", "shrubs"}),
    "ground grass": frozenset({"grass"}),
    "ground dirt": frozenset({"dirt"}),
}
"""Class to words of file names; a file with words of several of them is mixed and left out."""
DOMINANT = 4
"""How many kinds of ground, from the first, show whatever grows or lies on them."""
TINTS = frozenset({"aut", "autumn", "dry", "fall", "red", "spring", "wet", "wetseason"})
"""Words in which the files of one ground differ, as do single letters and numbers."""


def portraits(packages: Sequence[Package]) -> Pictures:
    """Portraits of the game's session screen by what they show."""
    pictures = collect(
        (square, label, group)
        for data, label, group in _files(packages, PORTRAITS, _portrait)
        if (square := _square(data)) is not None
    )
    return pictures.without_copies().unambiguous().joined()


def shields(packages: Sequence[Package]) -> Pictures:
    """Textures of shields by the people that bear them."""
    pictures = collect(
        (square, label, group)
        for data, label, group in _files(packages, SHIELDS, _shield)
        if (square := _square(data)) is not None
    )
    return pictures.without_copies().unambiguous().joined().capped(120)


def ground(packages: Sequence[Package]) -> Pictures:
    """Ground textures and their quarters by what covers the ground."""
    pictures = collect(
        (crop, label, group)
        for data, label, group in _files(packages, GROUND, _ground)
        for crop in crops(data)
    )
    return pictures.without_copies().unambiguous().joined().capped(200)


def _portrait(name: str) -> tuple[int, str] | None:
    """Units of one people share a group, as do numbered and finished versions of one thing."""
    label = next((i for i, kind in enumerate(PORTRAIT_KINDS.values()) if re.match(kind, name)), -1)
    unit = name.startswith("units/")
    if label < 0 or (unit and OTHERWISE_MOUNTED.search(name)):
        return None
    words = re.findall("[a-z]+", name)
    return label, " ".join(words[: 2 if unit else 3])


def _shield(name: str) -> tuple[int, str] | None:
    """Finishes of one shield share a group."""
    words = name.split("_")
    makers = [i for i, known in enumerate(SHIELD_MAKERS.values()) if not known.isdisjoint(words)]
    if len(makers) != 1 or not SHIELD_PARTS.isdisjoint(words):
        return None
    return makers[0], "_".join(word for word in words if word not in FINISHES)


def _ground(name: str) -> tuple[int, str] | None:
    """Tints and numbered versions of one ground share a group."""
    folder, _, stem = name.rpartition("/")
    words = re.findall("[a-z]+", stem.lower())
    kinds = [i for i, known in enumerate(GROUND_KINDS.values()) if not known.isdisjoint(words)]
    if not kinds or (len(kinds) > 1 and kinds[0] >= DOMINANT):
        return None
    return kinds[0], " ".join([folder, *(w for w in words if w not in TINTS and len(w) > 1)])


def _files(
    packages: Sequence[Package], folder: str, place: Place
) -> Iterator[tuple[bytes, int, str]]:
    """Content, label and group of the wanted pictures of a folder of the archive."""
    (package,) = packages
    with zipfile.ZipFile(package.file(ARCHIVE)) as packed:
        for path in sorted(packed.namelist()):
            name = path.removeprefix(folder).removesuffix(".cached.dds").rpartition(".")[0]
            if not path.startswith(folder) or not LAYERS.isdisjoint(re.split(r"[_\W]", name)):
                continue
            placed = place(name)
            if placed is not None:
                yield packed.read(path), *placed


def _square(data: bytes) -> np.ndarray | None:
    """A picture as uint8 (r, r, 3); its fourth channel marks a player's colour and is left out."""
    try:
        with Image.open(BytesIO(data)) as image:
            return np.asarray(image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BICUBIC))
    except (OSError, ValueError, SyntaxError):
        return None


SOURCES = (
    Source(
        name="0ad-portraits",
        role="train",
        family="portraits",
        licence="CC-BY-SA-3.0",
        packages=("debian:0ad-data",),
        classes=tuple(PORTRAIT_KINDS),
        draw=portraits,
        made="portraits by folder and file name; units are split by people, the rest by the "
        "first two words, near-duplicates together",
        notes="Labels are words of file names and noisy.",
    ),
    Source(
        name="0ad-shields",
        role="train",
        family="shields",
        licence="CC-BY-SA-3.0",
        packages=("debian:0ad-data",),
        classes=tuple(SHIELD_MAKERS),
        draw=shields,
        made="shield textures by people, without inner sides; split by shield, its finishes and "
        "near-duplicates together",
        notes="Labels are words of file names and noisy; peoples borrow shields of one another.",
    ),
    Source(
        name="0ad-terrain",
        role="dev",
        family="textures",
        licence="CC-BY-SA-3.0",
        packages=("debian:0ad-data",),
        classes=tuple(GROUND_KINDS),
        draw=ground,
        made="ground textures and their quarters by cover; split by ground, its tints and "
        "near-duplicates together",
        notes="Labels are words of file names and noisy; grounds named after two covers are left "
        "out unless the first, such as cliff, prevails.",
    ),
)
