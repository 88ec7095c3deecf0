"""One JSON file, or one line of a file, for each run: written once, read by whatever is drawn."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from tans.files import write_file
from tans.networks.device import device, name_of
from tans_bench.errors import ResultError
from tans_bench.runs.versions import CURRENT, FIRST, NEWER, Versions, depends, split_ending

Result = Mapping[str, Any]
LINES = ".jsonl"
"""Ends the name of a file of many short runs."""


class Results:
    """The runs in a folder, each under a name such as ``runs/script-greek/digits-1a2b-e10-s0``.

    Names that depend on reader and recipe may have a file for each version of them, of which the
    newest is read (``tans_bench.runs.versions``). Short runs share a file: one that is named
    ``recipes.jsonl/flags`` is added to it as a line, and is found again by what the line holds.

    Args:
        folder: where they are, or will be.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.made: dict[str, Versions] = {}
        """What was read so far was made with, by name; without what depends on no version."""

    def read(self, name: str) -> Result | None:
        """The result of that name; None where it was not run.

        Raises:
            ResultError: the file is damaged.
        """
        if depends(name):
            for versions in NEWER:
                if self._path(name + versions.ending).exists():
                    self.made[name] = versions
                    return self._read(name + versions.ending)
        result = self._read(name)
        if result is not None and depends(name):
            self.made[name] = FIRST
        return result

    def lines(self, name: str) -> list[Result]:
        """The runs of a file of lines, in the order they were made; none where it is missing.

        Raises:
            ResultError: the file is damaged.
        """
        path = self.folder / f"{name}{LINES}"
        try:
            return [json.loads(line) for line in path.read_text().splitlines()]
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            raise ResultError(
                f"{path} cannot be read: {error}; remove the line, and it is run again"
            ) from error

    def find(self, name: str, key: Result) -> Result | None:
        """The last line of a file that holds a key; None where it was not run."""
        found = [line for line in self.lines(name) if key.items() <= line.items()]
        return found[-1] if found else None

    def _read(self, stored: str) -> Result | None:
        path = self._path(stored)
        try:
            return json.loads(path.read_text())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise ResultError(
                f"{path} cannot be read: {error}; delete it, and it is run again"
            ) from error

    def write(self, name: str, result: Result) -> None:
        """Write a result as a whole, with what it was measured on and the current versions.

        Raises:
            ResultError: the folder cannot be written.
        """
        if f"{LINES}/" in name:
            return self._add(name.split(f"{LINES}/")[0], result)
        if depends(name):
            name, result = name + CURRENT.ending, {**result, "versions": CURRENT._asdict()}
        path = self._path(name)
        try:
            write_file(path, (json.dumps({**result, **environment()}, indent=1) + "\n").encode())
        except OSError as error:
            raise ResultError(f"cannot write {path}: {error}; check its rights") from error

    def _add(self, name: str, line: Result) -> None:
        """Add a line to a file, which several processes may do at once."""
        path = self.folder / f"{name}{LINES}"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a") as file:
                file.write(json.dumps({**line, **environment()}) + "\n")
        except OSError as error:
            raise ResultError(f"cannot write {path}: {error}; check its rights") from error

    def below(self, name: str) -> Iterator[Result]:
        """All results whose name begins with a folder's, in order of name."""
        paths = (self.folder / name).rglob("*.json")
        stored = (path.relative_to(self.folder).with_suffix("").as_posix() for path in paths)
        for found in sorted({split_ending(each)[0] for each in stored}):
            result = self.read(found)
            if result is not None:
                yield result

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.json"


def environment() -> Result:
    """What a run was measured with."""
    return {
        "torch": torch.__version__,
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
        "device": device().type,
        "card": name_of(device()),
    }
