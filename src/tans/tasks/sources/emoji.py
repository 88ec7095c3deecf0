"""Emoji by their Unicode group."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tans.tasks.sources.packages import Package
from tans.tasks.sources.pictures import Found, Pictures, read
from tans.tasks.sources.source import Source

SIZE = 64
GROUPS = {
    "emoji animals and nature": "Animals & Nature",
    "emoji objects": "Objects",
    "emoji smileys": "Smileys & Emotion",
    "emoji symbols": "Symbols",
    "emoji travel and places": "Travel & Places",
}
"""Class to Unicode group: the training half."""
RESERVED = ("Activities", "Flags", "Food & Drink", "People & Body")
"""The groups of the other half, reserved for judging; no task here may use them."""


def google(packages: Sequence[Package]) -> Pictures:
    """Google's emoji of ``emoji-datasource-google``, 64 px, one picture a base emoji."""
    (package,) = packages
    labels = {group: label for label, group in enumerate(GROUPS.values())}
    entries = json.loads(package.file("package/emoji.json").read_text())
    found = [
        Found(
            package.folder / "package/img/google/64" / entry["image"],
            labels[entry["category"]],
            entry["unified"],
        )
        for entry in sorted(entries, key=lambda entry: entry["unified"])
        if entry["category"] in labels and entry["has_img_google"]
    ]
    return read(found, SIZE).joined()


SOURCES = (
    Source(
        name="emoji-google",
        role="train",
        family="emoji",
        licence="Apache-2.0",
        packages=("npm:emoji-datasource-google==16.0.0",),
        classes=tuple(GROUPS),
        draw=google,
        made="64 px emoji on white by Unicode group; split by emoji, near-duplicates together",
        notes="Classes are these groups only: animals and nature, objects, smileys, symbols, "
        "travel and places. The other half (activities, flags, food and drink, people and body) is "
        "reserved for judging.",
    ),
)
