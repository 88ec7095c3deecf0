"""What a search found, and how zoos can be searched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

from tans.search.look import Look, Tried
from tans.search.query import Query
from tans.types import Match

OWN, PAPER = "tans", "paper"
METHODS = {
    OWN: "limits first, then embeddings, then looks at the images",
    PAPER: "as published: the nearest by embeddings, the best predicted of them, limits afterwards",
}
"""How a zoo is searched."""


@dataclass(frozen=True)
class SearchResult(Sequence[Match]):
    """Matches, best first, what speaks for them, and the time they took."""

    matches: tuple[Match, ...]
    embedding_s: float
    """Seconds from images to the query embedding: decode, features, encoder; 0 where a query came
    in their place."""
    search_s: float
    """Seconds from the query embedding to the ranked list, calibrations and looks not counted."""
    look_s: float = 0.0
    """Seconds of the second look."""
    looks: tuple[Look, ...] = ()
    """Sources that were looked at, the most similar first, then ImageNet's, then the best of the
    former in larger sizes."""
    related: bool | None = None
    """Whether a source is expected to beat ImageNet; None when that was not looked into."""
    latency_error: float | None = None
    """Mean relative error of the predicted latencies; None where they were not asked for."""
    epochs: int = 0
    """Of the method's fine-tune, which accuracies are predicted for; the paper's predictor learnt
    from how networks do on tasks of their own."""
    shortened: int | None = None
    """Epochs that minutes are limited for, where nothing fits for as many as usual."""
    forbidden: int = 0
    """Networks left out, since a licence of what they came from forbids commercial use, or none is
    known."""
    query: Query | None = None
    """What was embedded of the task."""
    tried: tuple[Tried, ...] = ()
    """Networks of the catalogue that were fetched and looked at, in that order."""
    notes: tuple[str, ...] = ()
    """What is to be told of the search, a sentence each."""
    method: str = OWN
    """One of ``METHODS``."""

    def look_share(self, training_s: float) -> float:
        """What the second look takes of the whole, a training of so many seconds after it."""
        return self.look_s / (self.embedding_s + self.search_s + self.look_s + training_s)

    def __len__(self) -> int:
        return len(self.matches)

    def __iter__(self) -> Iterator[Match]:
        return iter(self.matches)

    @overload
    def __getitem__(self, index: int) -> Match: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Match, ...]: ...
    def __getitem__(self, index: int | slice) -> Match | tuple[Match, ...]:
        return self.matches[index]
