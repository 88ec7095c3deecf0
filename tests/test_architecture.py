"""The page of the architecture shows the rooms that there are, in the order that imports keep."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
FLOORS = {
    contract["containers"][0]: contract["layers"]
    for contract in CONTRACTS["contracts"]
    if contract["type"] == "layers"
}


def rooms(distribution: str) -> list[str]:
    """From the top floor down."""
    return [room for floor in FLOORS[distribution] for room in floor.split(" | ")]


def test_the_floors_are_those_of_the_folders() -> None:
    folders = {path.stem for path in (ROOT / "src" / "tans").iterdir() if path.suffix != ".typed"}
    assert set(rooms("tans")) == folders - {"__init__", "__pycache__", "assets"}


def test_the_page_says_what_each_room_does() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    told = re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`.+?) \|", page, re.MULTILINE)))
    assert sorted(told) == sorted(rooms("tans"))


def test_the_picture_shows_every_room_above_what_it_may_import() -> None:
    picture = (ROOT / "docs" / "images" / "architecture.svg").read_text()
    texts = re.findall(r'y="(\d+)" font-size="16"[^>]*>([^<]+)<', picture)
    heights = {name: int(y) for y, name in texts}
    assert set(rooms("tans")) <= heights.keys()
    floors = [[heights[room] for room in floor.split(" | ")] for floor in FLOORS["tans"]]
    assert all(len(set(floor)) == 1 for floor in floors)
    assert [floor[0] for floor in floors] == sorted(floor[0] for floor in floors)
