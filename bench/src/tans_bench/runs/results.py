"""One JSON file for each run, written once and read by whatever is drawn."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from tans.errors import ResultError
from tans_bench.runs.versions import CURRENT, FIRST, NEWER, Versions, depends, split_ending

Result = Mapping[str, Any]


class Results:
    """The runs in a folder, each under a name such as ``runs/script-greek/digits-1a2b-e10-s0``.

    Names that depend on reader and recipe may have a file for each version of them, of which the
    newest is read (``tans_bench.runs.versions``).

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
        if depends(name):
            name, result = name + CURRENT.ending, {**result, "versions": CURRENT._asdict()}
        path = self._path(name)
        temporary = path.with_suffix(".tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps({**result, **environment()}, indent=1) + "\n")
            temporary.replace(path)
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
        "device": "cuda" if torch.cuda.is_available() else "cpu",
    }
