"""What was understood of a dataset, and what is odd about it: told before anyone waits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tans.licences import normalised
from tans.tasks.reading import Range, Reading

NAMED = 5
"""Files, groups or columns that a sentence names before it only counts."""
LETTERS = 300
"""Of a name in a sentence."""
Keys = tuple[str, ...]


@dataclass(frozen=True)
class Overrides:
    """What a user says of their data, which comes before what is found."""

    layout: str | None = None
    """``classes`` or ``splits``: what the folders on top are."""
    split: Mapping[str, str] = field(default_factory=dict)
    """Folders that are the splits ``train``, ``val`` and ``test``, below the dataset's."""
    ranges: Mapping[str, Range] = field(default_factory=dict)
    """What becomes black and what becomes white, for each sample type or for ``any``."""
    max_pixels: int | None = None
    """Of a picture, at most; Pillow's limit of 89 million when None."""
    labels_as_is: bool = False
    """Take labels as they are written, also ``nan``, and ``1`` beside ``1.0``."""
    licence: str | None = None
    """Of the images, an SPDX expression; unstated when None."""
    reading: Reading | None = None
    """Of a network that goes on learning: its ranges, after those above, and its ground."""

    def __post_init__(self) -> None:
        if self.licence is not None:
            object.__setattr__(self, "licence", normalised(self.licence))


@dataclass(frozen=True)
class Findings:
    """What was understood of a dataset, and what is odd about it."""

    layout: str = ""
    """What the folders, or the columns of a table, were taken for."""
    left_out: Mapping[str, Keys] = field(default_factory=dict)
    """Files and folders that are not used, by reason."""
    reading: Reading = field(default_factory=Reading)
    """What samples were taken to mean."""
    copies: tuple[Keys, ...] = ()
    """Images that show the same, kept on one side of every split."""
    remarks: tuple[str, ...] = ()
    """What else is odd, in sentences."""

    def words(self) -> list[str]:
        """Everything that is worth telling, a sentence each."""
        left = [
            f"{len(keys)} left out: {why} ({some(keys)})" for why, keys in self.left_out.items()
        ]
        return [*left, *self.reading.words(), *self._told_copies(), *self.remarks]

    def summary(self) -> dict[str, Any]:
        """Plain values for whoever reads a result: of files all counts, and some names."""
        return {
            "layout": self.layout,
            "left_out": {
                why: {"count": len(keys), "some": list(keys[:NAMED])}
                for why, keys in self.left_out.items()
            },
            "reading": self.reading.to_json(),
            "copies": {
                "count": spare(self.copies),
                "some": [list(keys[:NAMED]) for keys in self.copies[:NAMED]],
            },
            "remarks": list(self.remarks),
        }

    def _told_copies(self) -> list[str]:
        if not self.copies:
            return []
        shown = "; ".join(" = ".join(keys[:3]) for keys in self.copies[:NAMED])
        more = "; ..." if len(self.copies) > NAMED else ""
        return [
            f"{counted(spare(self.copies), 'copy', 'copies')} of other images, or nearly so "
            f"({shown}{more}); copies stay on one side of each split"
        ]


def some(names: Sequence[str], count: int = NAMED) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(map(_shortened, names[:count])) + more


def _shortened(name: str) -> str:
    return name if len(name) <= LETTERS else f"{name[:LETTERS]}..."


def counted(count: int, one: str, several: str | None = None) -> str:
    """As in ``1 picture`` and ``2 pictures``."""
    return f"{count:,} {one if count == 1 else several or one + 's'}"


def spare(copies: Sequence[Sequence[str]]) -> int:
    """Images that another one could stand for."""
    return sum(len(keys) - 1 for keys in copies)
