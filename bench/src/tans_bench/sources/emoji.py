"""Emoji by their Unicode group or subgroup, as several artists draw them.

One half of the Unicode groups trains, the other half is reserved for judging: no task for training
holds an emoji of it, whoever drew it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tans_bench.sources.icons import FAINT, drawing
from tans_bench.sources.packages import Package
from tans_bench.sources.pictures import Found, Pictures, collect, read
from tans_bench.sources.source import Source

SIZE = 64
GROUPS = {
    "emoji animals and nature": ("Animals & Nature",),
    "emoji objects": ("Objects",),
    "emoji smileys": ("Smileys & Emotion",),
    "emoji symbols": ("Symbols",),
    "emoji travel and places": ("Travel & Places",),
}
"""Class to Unicode group."""
TRAINING = tuple(group for groups in GROUPS.values() for group in groups)
"""One half of the groups."""
RESERVED = ("Activities", "Flags", "Food & Drink", "People & Body")
"""The other half, reserved for judging; no task for training may use them."""

TWITTER = {
    "twemoji birds": ("animal-bird",),
    "twemoji mammals": ("animal-mammal",),
    "twemoji plants": ("plant-flower", "plant-other"),
    "twemoji clothing": ("clothing",),
    "twemoji household": ("household",),
    "twemoji office": ("office",),
    "twemoji tools": ("tool",),
    "twemoji worried faces": ("face-concerned",),
    "twemoji hearts": ("heart",),
    "twemoji letters": ("alphanum",),
    "twemoji arrows": ("arrow",),
    "twemoji player buttons": ("av-symbol",),
    "twemoji geometric": ("geometric",),
    "twemoji other symbols": ("other-symbol",),
    "twemoji buildings": ("place-building",),
    "twemoji sky and weather": ("sky & weather",),
    "twemoji clocks": ("time",),
    "twemoji land transport": ("transport-ground",),
    "twemoji air and water transport": ("transport-air", "transport-water"),
}
"""Class to subgroups of the training half that together hold twenty pictures or more."""

GOOGLE_RESERVED = {
    "emoji event": ("event",),
    "emoji sport": ("sport",),
    "emoji game or craft": ("game", "arts & crafts"),
    "emoji drink or dishware": ("drink", "dishware"),
    "emoji fruit": ("food-fruit",),
    "emoji vegetable": ("food-vegetable",),
    "emoji prepared food": ("food-prepared",),
    "emoji asian food or sweet": ("food-asian", "food-sweet"),
    "emoji hand": (
        *("hand-fingers-closed", "hand-fingers-open", "hand-fingers-partial", "hand-prop"),
        *("hand-single-finger", "hands"),
    ),
    "emoji person": ("person",),
    "emoji person gesture": ("person-gesture",),
    "emoji person role": ("person-role",),
    "emoji person fantasy": ("person-fantasy",),
    "emoji person activity": ("person-activity",),
    "emoji person sport": ("person-sport",),
}
"""Class to subgroups of the reserved half. Flags are left out, as most are those of countries, and
families, as these are variants of one picture."""
ELSEWHERE = frozenset({"265F-FE0F", "1F0CF", "2660-FE0F", "2663-FE0F", "2665-FE0F", "2666-FE0F"})
"""Chess pawn, joker and suits of cards, whose like other tasks train on."""

JOINER = "-200D-"
VARIANTS = {"1F468", "1F469", "1F9D1", "2640", "2642", "27A1"}
"""Man, woman, person, the signs for her and him, and an arrow, as parts of an emoji."""

OPENMOJI_COLOUR = {
    "openmoji birds": ("animal-bird",),
    "openmoji mammals": ("animal-mammal",),
    "openmoji water animals and reptiles": ("animal-marine", "animal-reptile", "animal-amphibian"),
    "openmoji plants": ("plant-flower", "plant-other"),
    "openmoji clothing": ("clothing",),
    "openmoji household": ("household",),
    "openmoji office": ("office",),
    "openmoji tools": ("tool",),
    "openmoji music": ("music", "musical-instrument", "sound"),
    "openmoji devices": ("computer", "phone", "light-video"),
    "openmoji books, mail and writing": ("book-paper", "mail", "writing"),
    "openmoji buildings": ("place-building",),
    "openmoji sights": ("place-geographic", "place-other", "place-religious"),
    "openmoji sky and weather": ("sky-weather",),
    "openmoji land transport": ("transport-ground",),
    "openmoji air and water transport": ("transport-air", "transport-water"),
    "openmoji technology": ("extras technology",),
    "openmoji landmarks": ("extras travel-places",),
}
"""Things: class to subgroups, OpenMoji's own marked ``extras``."""
OPENMOJI_BLACK = {
    "line emoji worried faces": ("face-concerned",),
    "line emoji glad faces": ("face-smiling", "face-affection", "face-tongue"),
    "line emoji other faces": ("face-neutral-skeptical", "face-unwell", "face-sleepy"),
    "line emoji hearts and emotions": ("heart", "emotion"),
    "line emoji letters": ("alphanum",),
    "line emoji arrows": ("arrow",),
    "line emoji player buttons": ("av-symbol",),
    "line emoji geometric": ("geometric",),
    "line emoji other symbols": ("other-symbol",),
    "line emoji clocks": ("time",),
    "line emoji religion and zodiac": ("religion", "zodiac"),
    "line emoji warnings and transport signs": ("warning", "transport-sign"),
    "line emoji keycaps, mathematics, punctuation": ("keycap", "math", "punctuation"),
    "line emoji interface": ("extras ui-element",),
    "line emoji technical symbols": ("extras symbol-other",),
    "line emoji regional letters": ("extras regional-indicator",),
}
"""Signs and faces: class to subgroups, none of them among ``OPENMOJI_COLOUR``."""
RESERVED_EXTRAS = {
    *("E1DA", "E200", "E201", "E210", "E214", "E246", "E249", "E25A", "E268", "1F16F"),
    *("1FBC5", "1FBC6", "1FBC7", "1FBC8", "1FBC9", "1FBC6-200D-1F457", "1FBC7-200D-1F457"),
    *("1FBC8-200D-1F457", "2654", "2655", "2656", "2657", "2658", "2659", "265A", "265B"),
    *("265C", "265D", "265E", "25AD"),
}
"""OpenMoji's own drawings of people, hands, meals and games, the kinds that are reserved,
and a bare rectangle, which is what flags look like in lines."""


@dataclass(frozen=True)
class Datasource:
    """The emoji of some groups as one artist draws them, in an ``emoji-datasource`` package."""

    artist: str
    classes: Mapping[str, tuple[str, ...]]
    """Class to subgroups, or to groups."""
    groups: tuple[str, ...]
    """The groups that may be read."""
    level: Literal["category", "subcategory"] = "subcategory"
    """Whether classes are made of groups or of subgroups."""
    without: frozenset[str] = frozenset()
    """Emoji to leave out, by their code points."""

    def __call__(self, packages: Sequence[Package]) -> Pictures:
        """Read one picture of 64 px an emoji; those that differ by gender alone share a group.

        Raises:
            SourceError: the package holds none of them.
        """
        (package,) = packages
        labels = _labels(self.classes)
        entries = json.loads(package.file("package/emoji.json").read_text())
        found = [
            Found(
                package.folder / f"package/img/{self.artist}/64" / entry["image"],
                labels[entry[self.level]],
                base(entry["unified"]),
            )
            for entry in sorted(entries, key=lambda entry: entry["unified"])
            if entry["category"] in self.groups
            and entry[self.level] in labels
            and entry[f"has_img_{self.artist}"]
            and entry["unified"] not in self.without
        ]
        return read(found, SIZE).unambiguous().joined()


@dataclass(frozen=True)
class OpenMoji:
    """The drawings of some subgroups of ``openmoji``, in ``color`` or in ``black`` lines."""

    style: str
    classes: Mapping[str, tuple[str, ...]]

    def __call__(self, packages: Sequence[Package]) -> Pictures:
        """Draw one picture an emoji, without copies.

        Raises:
            SourceError: the package holds none of them.
            MissingExtraError: the renderer of SVG files is not installed.
        """
        (package,) = packages
        return collect(self._drawn(package)).unambiguous().without_copies().joined()

    def _drawn(self, package: Package) -> Iterator[tuple[np.ndarray, int, str]]:
        labels = _labels(self.classes)
        entries = json.loads(package.file("package/data/openmoji.json").read_text())
        for entry in sorted(entries, key=lambda entry: entry["hexcode"]):
            code, kind = entry["hexcode"], _kind(entry)
            if kind in labels and code not in RESERVED_EXTRAS:
                image = drawing(package.folder / f"package/{self.style}/svg/{code}.svg", SIZE)
                if image is not None and np.ptp(image) >= FAINT:
                    yield image, labels[kind], code


def base(unified: str) -> str:
    """The code points of an emoji without those that only give it a gender or a direction."""
    parts = unified.split(JOINER)
    kept = [part for part in parts if part.removesuffix("-FE0F") not in VARIANTS]
    return JOINER.join(kept or parts)


def _labels(classes: Mapping[str, tuple[str, ...]]) -> dict[str, int]:
    """Subgroup to number of its class."""
    return {kind: label for label, kinds in enumerate(classes.values()) for kind in kinds}


def _kind(entry: Mapping[str, str]) -> str:
    """The subgroup of an entry of OpenMoji, marked where it is one of its extras."""
    extra = entry["group"].startswith("extras-")
    return f"extras {entry['subgroups']}" if extra else entry["subgroups"]


SOURCES = (
    Source(
        name="emoji-google",
        role="train",
        family="emoji",
        licence="Apache-2.0",
        packages=("npm:emoji-datasource-google==16.0.0",),
        classes=tuple(GROUPS),
        draw=Datasource("google", GROUPS, TRAINING, "category"),
        made="64 px emoji on white by Unicode group; split by emoji, near-duplicates together",
        notes="Classes are these groups only: animals and nature, objects, smileys, symbols, "
        "travel and places. The other half (activities, flags, food and drink, people and body) is "
        "reserved for judging.",
    ),
    Source(
        name="emoji-twitter",
        role="train",
        family="emoji",
        licence="CC-BY-4.0",
        packages=("npm:emoji-datasource-twitter==16.0.0",),
        classes=tuple(TWITTER),
        draw=Datasource("twitter", TWITTER, TRAINING),
        made="64 px emoji on white by Unicode subgroup; split by emoji, near-duplicates together",
        notes="Subgroups of the groups that emoji-google trains on; the others are reserved for "
        "judging.",
    ),
    Source(
        name="openmoji-color",
        role="train",
        family="emoji",
        licence="CC-BY-SA-4.0",
        packages=("npm:openmoji==17.0.0",),
        classes=tuple(OPENMOJI_COLOUR),
        draw=OpenMoji("color", OPENMOJI_COLOUR),
        made="coloured drawings of things on white by subgroup; split by emoji",
        notes="Only groups that emoji-google trains on, and OpenMoji's own extras without people, "
        "hands, meals, games and flags.",
    ),
    Source(
        name="openmoji-black",
        role="train",
        family="emoji",
        licence="CC-BY-SA-4.0",
        packages=("npm:openmoji==17.0.0",),
        classes=tuple(OPENMOJI_BLACK),
        draw=OpenMoji("black", OPENMOJI_BLACK),
        made="line drawings of faces and signs on white by subgroup; split by emoji",
        notes="None of the drawings of openmoji-color. Drawings that differ by colour alone occur "
        "once. Without people, hands, meals, games and flags.",
    ),
    Source(
        name="emoji-google-reserved",
        role="dev",
        family="emoji",
        licence="Apache-2.0",
        packages=("npm:emoji-datasource-google==16.0.0",),
        classes=tuple(GOOGLE_RESERVED),
        draw=Datasource("google", GOOGLE_RESERVED, RESERVED, without=ELSEWHERE),
        made="64 px emoji on white by Unicode subgroup; split by emoji, those that differ by "
        "gender and near-duplicates together",
        notes="Subgroups of activities, food and drink, people and body. Without flags, most of "
        "which are countries' and appear in training as such; without skin tones and families; "
        "without chess pawn, joker and suits of cards, whose like appear in training.",
    ),
)
