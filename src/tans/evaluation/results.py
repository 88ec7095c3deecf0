"""One JSON file for each run, written once and read by whatever is drawn."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from tans.errors import ResultError

Result = Mapping[str, Any]


class Results:
    """The runs in a folder, each under a name such as ``runs/script-greek/digits-1a2b-e10-s0``.

    Args:
        folder: where they are, or will be.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def read(self, name: str) -> Result | None:
        """The result of that name; None where it was not run.

        Raises:
            ResultError: the file is damaged.
        """
        path = self._path(name)
        try:
            return json.loads(path.read_text())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise ResultError(
                f"{path} cannot be read: {error}; delete it, and it is run again"
            ) from error

    def write(self, name: str, result: Result) -> None:
        """Write a result as a whole, with what it was measured on.

        Raises:
            ResultError: the folder cannot be written.
        """
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
        for path in sorted((self.folder / name).rglob("*.json")):
            result = self.read(path.relative_to(self.folder).with_suffix("").as_posix())
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
