"""Scripts: the characters that many fonts draw, and from which packages."""

from __future__ import annotations

from tans.tasks.sources import font_packages
from tans.tasks.sources.fonts import Script, class_name
from tans.tasks.sources.source import Role, Source

HIRAGANA = "あいうえおかきくけこさしすせそたちつてと"
KATAKANA = "アイウエオカキクケコサシスセソタチツテト"


def _script(name: str, role: Role, characters: str, packages: str) -> Source:
    return Source(
        name=name,
        role=role,
        family="script",
        licence=font_packages.LICENCES,
        packages=tuple(f"debian:fonts-{package}" for package in packages.split()),
        classes=tuple(map(class_name, characters)),
        draw=Script(characters),
        made="20 characters drawn black on white by the faces of many fonts; split by font family",
    )


SOURCES = (
    _script("script-latin", "train", "ABCDEFGHJKLMNPQRSTUV", font_packages.WESTERN),
    _script("script-cyrillic", "train", "БГДЖЗИЙЛПФЦЧШЩЪЫЬЭЮЯ", font_packages.WESTERN),
    _script("script-hiragana", "train", HIRAGANA, font_packages.JAPANESE),
    _script("script-katakana", "train", KATAKANA, font_packages.JAPANESE),
    _script("script-greek", "dev", "αβγδεζηθιλμξπρςσφχψω", font_packages.WESTERN),
)
