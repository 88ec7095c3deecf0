"""Scripts: the characters that many fonts draw, and from which packages."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from tans_bench.sources import font_packages as fonts
from tans_bench.sources.fonts import FEWEST_FAMILIES, Script, Typefaces, class_name
from tans_bench.sources.source import Role, Source

LATIN = "ABCDEFGHJKLMNPQRSTUV"
CYRILLIC = "БГДЖЗИЙЛПФЦЧШЩЪЫЬЭЮЯ"
GREEK = "αβγδεζηθιλμξπρςσφχψω"
HIRAGANA = "あいうえおかきくけこさしすせそたちつてと"
KATAKANA = "アイウエオカキクケコサシスセソタチツテト"
LATIN_SMALL = "abdefghijmnqrtyßæðþœ"
"""Those that are no smaller capitals."""
CYRILLIC_MORE = "ЂЄЇЉЊЋЏҐЎЃЌУбђћф"
"""Letters of Ukrainian, Serbian and Macedonian, and the small ones that are no smaller capitals."""
HIRAGANA_MORE = "なにぬねのはひふほまみむめもやゆよられわ"
KATAKANA_MORE = "ナニヌネノハヒフヘホマミムメモヤユヨラワ"
KANJI = (
    "日 sun, 月 moon, 火 fire, 水 water, 木 tree, 金 gold, 土 earth, 人 person, 山 mountain, "
    "川 river, 大 big, 中 middle, 手 hand, 雨 rain, 花 flower, 年 year, 田 field, 文 writing, "
    "星 star, 空 sky",
    "目 eye, 耳 ear, 足 foot, 女 woman, 子 child, 父 father, 母 mother, 生 life, 先 before, "
    "白 white, 赤 red, 青 blue, 西 west, 南 south, 北 north, 食 eat, 名 name, 行 go, 走 run, "
    "米 rice",
    "心 heart, 石 stone, 竹 bamboo, 牛 cow, 羊 sheep, 毛 hair, 首 neck, 林 forest, 雪 snow, "
    "高 high, 小 small, 夜 night, 春 spring, 秋 autumn, 新 new, 古 old, 左 left, 音 sound, "
    "道 road, 海 sea",
)
MATHS = "±\N{MULTIPLICATION SIGN}÷¬≈≠≤≥∂∏∑√∞∫∆◊%+=‰"
ARABIC = "بثجدرسصطعفقكلمنهويءش"
HEBREW = "אבגדהזחטכלמנסעפצקרשת"
ARMENIAN = "ԱԲԳԴԵԶԷԸԹԺԻԽԾԿՁՂՃՄՇՖ"
ETHIOPIC = "ሀለሐመሠረሰቀበተነአከወዘየደገጠፈ"
DEVANAGARI = "कखगघचछजझटठडतदनपमरलसह"
BENGALI = "কখগঘচছজটঠডতদনপফমলশসহ"
GUJARATI = "કખગઘચછજટઠડતદનપફમરલસહ"
TELUGU = "కఖగఘచజటఠడతదనపమయరలవసహ"
MALAYALAM = "കഖഗഘചജഞടശഡതദനപമയരലസഹ"
SINHALA = "කගචජටඩතදනපබමයරලවසහළඛ"
MYANMAR = "ကခဂစဆဇညတထဒနပဖဗမယရလသဟ"
TAMIL = "அஆஇஉஎஒகஙசஞடணதநபமயரலழ"
HANGUL = "가나다라마바사아자차카타파하고누봄빛숲희"
THAI = "กขงจฉชญดตทธนบปพมยรลส"
GEORGIAN = "აბგდევზთიკლმნოპჟრსქშ"

FEW = 4
"""Families that suffice for a script that few hold."""
FACES_OF_A_FAMILY = 6
"""Faces of one family at most in such a script."""
RARE = (
    "few font families hold this script, so several faces (weights, widths) of a family take part, "
    "all in one split; drawn as they are, without augmentation"
)
FACES = (
    *("Blankenburg_UNZ1A", "CabinSketch-Bold", "CherryBomb-Regular", "Courier Prime"),
    *("DancingScript-Regular", "DotGothic16-Regular", "EBGaramond12-Regular", "Ecolier-court"),
    *("f500", "Humor-Sans", "Isabella", "Junkyard", "KaushanScript-Regular", "OCRA"),
    *("RampartOne-Regular", "RobotoSlab-Bold", "StayPuft", "Stick-Regular", "TrainOne-Regular"),
    "YanoneKaffeesatz-Bold",
)
"""Font files that differ at a glance."""
CHARACTERS = "ABCDEFGHJKLMNOPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz0123456789&?!"
"""Without those that are a bare stroke, as the Greek iota is."""


def _script(
    name: str,
    role: Role,
    draw: Script,
    packages: str,
    licence: str = fonts.LICENCES,
    classes: Sequence[str] | None = None,
) -> Source:
    """A script's task; its classes are the characters' names unless others are given."""
    named = tuple(classes or map(class_name, draw.characters))
    rare = draw.fewest < FEWEST_FAMILIES
    return Source(
        name=f"script-{name}",
        role=role,
        family="script",
        licence=licence,
        packages=_debian(packages),
        classes=named,
        draw=draw,
        made=f"{len(named)} characters drawn black on white by the faces of many fonts; "
        "split by font family",
        notes=RARE if rare else "",
    )


def _debian(packages: str) -> tuple[str, ...]:
    names = dict.fromkeys(packages.split())
    return tuple(name if ":" in name else f"debian:fonts-{name}" for name in names)


def _rare(name: str, role: Role, characters: str, packages: str) -> Source:
    """The task of a script that few families hold."""
    draw = Script(characters, fewest=FEW, per_family=FACES_OF_A_FAMILY)
    return _script(name, role, draw, f"{packages} {fonts.WIDE}", fonts.WORLD_LICENCES)


def _kanji(number: int) -> Source:
    meanings = dict(entry.split() for entry in KANJI[number].split(", "))
    return _script(
        f"kanji-{number + 1}",
        "train",
        Script("".join(meanings), per_family=FACES_OF_A_FAMILY),
        f"{fonts.JAPANESE} {fonts.CHINESE}",
        fonts.CHINESE_LICENCES,
        [f"kanji {meaning}" for meaning in meanings.values()],
    )


def _cased(character: str) -> str:
    """A letter's name with its case, where the capitals are classes of another task."""
    script = unicodedata.name(character).split()[0]
    return class_name(character, f"{script} small" if character.islower() else script)


TYPEFACES = Source(
    name="typefaces",
    role="train",
    family="typefaces",
    licence=fonts.LICENCES,
    packages=_debian(fonts.DISPLAY),
    classes=tuple(f"typeface {stem.lower().partition('-')[0]}" for stem in FACES),
    draw=Typefaces(FACES, CHARACTERS),
    made="letters and digits drawn black on white by 20 fonts, the classes; split by character",
)

SOURCES = (
    _script("latin", "train", Script(LATIN, unlike=(GREEK,)), fonts.WESTERN),
    _script("cyrillic", "train", Script(CYRILLIC), fonts.WESTERN),
    _script("hiragana", "train", Script(HIRAGANA), fonts.JAPANESE),
    _script("katakana", "train", Script(KATAKANA), fonts.JAPANESE),
    _script(
        "latin-small",
        "train",
        Script(LATIN_SMALL, unlike=(LATIN, GREEK)),
        fonts.EUROPEAN,
        classes=[_cased(letter) for letter in LATIN_SMALL],
    ),
    _script(
        "cyrillic-more",
        "train",
        Script(CYRILLIC_MORE, unlike=(CYRILLIC, GREEK)),
        fonts.EUROPEAN,
        classes=[_cased(letter) for letter in CYRILLIC_MORE],
    ),
    _script(
        "hiragana-more",
        "train",
        Script(HIRAGANA_MORE, per_family=FACES_OF_A_FAMILY),
        fonts.JAPANESE,
    ),
    _script(
        "katakana-more",
        "train",
        Script(KATAKANA_MORE, per_family=FACES_OF_A_FAMILY),
        fonts.JAPANESE,
    ),
    *(_kanji(number) for number in range(len(KANJI))),
    _script(
        "maths",
        "train",
        Script(MATHS, unlike=(GREEK,)),
        f"{fonts.WESTERN} {fonts.MATHS}",
        fonts.MATHS_LICENCES,
        [class_name(symbol, "math") for symbol in MATHS],
    ),
    _script(
        "arabic", "train", Script(ARABIC), f"{fonts.ARABIC} {fonts.WIDE}", fonts.ARABIC_LICENCES
    ),
    _script(
        "hebrew", "train", Script(HEBREW), f"{fonts.HEBREW} {fonts.WIDE}", fonts.WORLD_LICENCES
    ),
    _rare("armenian", "train", ARMENIAN, ""),
    _rare("ethiopic", "train", ETHIOPIC, fonts.ETHIOPIC),
    _rare("devanagari", "train", DEVANAGARI, fonts.DEVANAGARI),
    _rare("bengali", "train", BENGALI, fonts.BENGALI),
    _rare("gujarati", "train", GUJARATI, fonts.GUJARATI),
    _rare("telugu", "train", TELUGU, fonts.TELUGU),
    _rare("malayalam", "train", MALAYALAM, fonts.MALAYALAM),
    _rare("sinhala", "train", SINHALA, fonts.SINHALA),
    _rare("myanmar", "train", MYANMAR, fonts.MYANMAR),
    TYPEFACES,
    _script("greek", "dev", Script(GREEK), fonts.WESTERN),
    _rare("tamil", "dev", TAMIL, fonts.TAMIL),
    _script("hangul", "dev", Script(HANGUL), fonts.HANGUL, fonts.HANGUL_LICENCES),
    _rare("thai", "dev", THAI, fonts.THAI),
    _rare("georgian", "dev", GEORGIAN, fonts.GEORGIAN),
)
