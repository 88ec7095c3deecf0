"""Which reader and which recipe made a result, and which of several files of a name is read.

How images are read and split, and how networks are fitted, changes what a run gives. So a result of
such a run names the versions of both, and its file ends in them: ``runs/a-v2.2.json``. What ends in
none was made by the first of both. A file is only written over by a run of the same versions.

A result of an older version counts as done, and is drawn: a new version makes nothing anew by
itself. Where a name has several files, the newest is read; it is there because the older one no
longer held, as after a change of the zoo. Each page tells the versions of what was read for it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from itertools import product
from typing import NamedTuple

from tans.tasks.images import READER
from tans.training import RECIPE

FOLDERS = frozenset(
    {"cells", "choices", "generation", "pictures", "ranks", "runs", "scores", "space", "whole"}
)
"""Of results that depend on both; all others depend on neither."""
ENDING = re.compile(r"-v(\d+)\.(\d+)$")


class Versions(NamedTuple):
    """Of the reader and of the recipe."""

    reader: int
    recipe: int

    @property
    def ending(self) -> str:
        """Of a result's name."""
        return f"-v{self.reader}.{self.recipe}"

    def __str__(self) -> str:
        return f"reader {self.reader} and recipe {self.recipe}"


FIRST, CURRENT = Versions(1, 1), Versions(READER, RECIPE)
NEWER = sorted(
    {Versions(*pair) for pair in product(range(1, READER + 1), range(1, RECIPE + 1))} - {FIRST},
    reverse=True,
)
"""All that a stored result may be of beside the first, newest first."""


def depends(name: str) -> bool:
    """Whether a result of that name depends on reader and recipe."""
    return bool(FOLDERS & set(name.split("/")[:-1]))


def split_ending(name: str) -> tuple[str, Versions]:
    """A stored name without its versions, and these."""
    found = ENDING.search(name)
    if found is None:
        return name, FIRST
    return name[: found.start()], Versions(int(found[1]), int(found[2]))


def tell(made: Iterable[Versions]) -> str:
    """One line on what results were made with."""
    counts = sorted(Counter(made).items())
    told = [f"{count} results were made with {versions}" for versions, count in counts]
    return f"Of what was read for this page, {'; '.join(told)}. The current ones are {CURRENT}."
