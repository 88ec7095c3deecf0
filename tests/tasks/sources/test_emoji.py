from __future__ import annotations

import json

from tans.tasks.sources.emoji import GROUPS, RESERVED, google

from .conftest import MakePackage, draw


def test_the_two_halves_are_apart_and_whole() -> None:
    assert set(GROUPS.values()).isdisjoint(RESERVED)
    assert len(GROUPS) + len(RESERVED) == 9


def test_only_the_training_half_with_pictures_is_read(make_package: MakePackage) -> None:
    package = make_package("emoji-datasource-google")
    entries = []
    groups = ("Objects", "Food & Drink", "Animals & Nature", "Symbols")
    for seed, (group, drawn) in enumerate(zip(groups, (True, True, True, False), strict=True)):
        name = f"{seed}.png"
        draw(package.folder / "package/img/google/64" / name, seed)
        entry = {"category": group, "image": name, "unified": str(seed), "has_img_google": drawn}
        entries.append(entry)
    (package.folder / "package/emoji.json").write_text(json.dumps(entries))
    pictures = google([package])
    classes = list(GROUPS.values())
    assert [classes[label] for label in pictures.labels] == ["Objects", "Animals & Nature"]
    assert pictures.groups == ("0", "2")
