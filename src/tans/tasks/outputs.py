"""What tans itself wrote, told by its content, lest it be taken for a part of a dataset."""

from __future__ import annotations

import re
from pathlib import Path

from tans.files import is_cache

WRITTEN = "written by tans"
"""Reason for leaving it out."""
WEIGHTS = frozenset(
    {"model.safetensors", "network.safetensors", "network.onnx", "network.int8.onnx"}
)
ENTRIES = "entries.lance"
"""The table without which there is no zoo; it is there before ``zoo.json``."""
TASK = frozenset({"task.json", "images.safetensors"})
HEAD = 2**16
"""Bytes of a file that are looked at."""
FIRST = {
    ".html": re.compile(
        rb"<!doctype html>\n.{0,200}name=\"generator\" content=\"tans\"", re.DOTALL
    ),
    ".csv": re.compile(rb"path,label,probability(,label_\d+,probability_\d+)*,error\r?\n"),
    ".py": re.compile(rb"\"\"\"Classify images with a network that tans wrote"),
    ".md": re.compile(rb"---\n# written by tans\n"),
    ".json": re.compile(rb"\{\s*\"schema\": \d+,\s*\"(tans|task|network|architecture)\": "),
}
"""How a page, predictions, a script, a card, and descriptions of a network or an export begin."""


def is_output(file: Path) -> bool:
    """Whether a file, which is no picture, is a result of tans, such as a network or a page."""
    begins = FIRST.get(file.suffix.lower())
    return file.name in WEIGHTS or (begins is not None and _begins(file, begins))


def is_output_folder(folder: Path) -> bool:
    """Whether all that a folder holds is a result of tans: a zoo, a task, an export, its cache."""
    if (folder / ENTRIES).is_dir() or is_cache(folder):
        return True
    return all((folder / name).is_file() for name in TASK) or is_output(folder / "manifest.json")


def _begins(file: Path, first: re.Pattern[bytes]) -> bool:
    try:
        if not file.is_file():  # a pipe would make its reader wait
            return False
        with file.open("rb") as opened:
            return first.match(opened.read(HEAD)) is not None
    except OSError:
        return False
