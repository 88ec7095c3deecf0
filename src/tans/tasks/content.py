"""What images are read from: files of this machine, and parts of larger or distant things."""

from __future__ import annotations

import io
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO


@dataclass(frozen=True)
class Content:
    """An image in a shard, a table or another store, whose bytes are read when asked for.

    It can be opened as a path can. Two are equal if they are the same part of the same thing.
    """

    name: str
    """Of the image, as a message says it; its suffix is what Pillow may take it for."""
    identity: Hashable
    """Tells it, as it is now, from all others."""
    read: Callable[[], bytes] = field(compare=False, repr=False)
    """Its bytes.

    Raises:
        OSError: they are no longer there.
    """
    lasting: bool = field(default=True, compare=False)
    """Whether its identity tells it in other processes too, and when its bytes change."""

    @property
    def suffix(self) -> str:
        """Of its name, with the dot."""
        return PurePosixPath(self.name).suffix

    def is_file(self) -> bool:
        """It was listed, and so is there."""
        return True

    def open(self, mode: str) -> BinaryIO:
        """Its bytes, from the first; it can only be read."""
        del mode
        return io.BytesIO(self.read())

    def __str__(self) -> str:
        return self.name


Readable = Path | Content
