"""What a first look at pictures found, and how a block of stored images holds that."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tans.tasks.decoding import UnreadableError
from tans.tasks.reading import PLAIN, Evidence

TOLD, LIMITS, CONTRASTS, SAMPLES = "told", "limits", "contrasts", "samples"
"""Names of arrays: JSON, and numbers of the pictures that are not plain."""


@dataclass
class Seen:
    """What is known of pictures after each was decoded once, by index."""

    evidence: dict[int, Evidence] = field(default_factory=dict)
    """Of those that can be read."""
    failures: dict[int, UnreadableError] = field(default_factory=dict)
    """Why each of the others cannot."""
    pages: list[int] = field(default_factory=list)
    """Those of files that hold further pictures."""

    def add(self, other: Seen, begin: int) -> None:
        """Take in what is known of the pictures from ``begin`` on."""
        self.evidence |= {begin + index: each for index, each in other.evidence.items()}
        self.failures |= {begin + index: each for index, each in other.failures.items()}
        self.pages += [begin + index for index in other.pages]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All of it as arrays; ``of`` makes it again."""
        odd = {index: each for index, each in self.evidence.items() if each is not PLAIN}
        told = {
            "plain": sorted(self.evidence.keys() - odd.keys()),
            "odd": list(odd),
            "types": [each.sample for each in odd.values()],
            "clear": [each.clear for each in odd.values()],
            "given": [each.contrasts is not None for each in odd.values()],
            "counts": [each.some.size for each in odd.values()],
            "failures": {str(i): [e.kind, e.detail] for i, e in self.failures.items()},
            "pages": self.pages,
        }
        nothing = (np.nan,) * 3
        return {
            TOLD: np.frombuffer(json.dumps(told).encode(), np.uint8),
            LIMITS: np.array([(e.low, e.high) for e in odd.values()], np.float64).reshape(-1, 2),
            CONTRASTS: np.array([e.contrasts or nothing for e in odd.values()], np.float64),
            SAMPLES: np.concatenate(
                [np.empty(0), *(each.some.astype(np.float64) for each in odd.values())]
            ),
        }

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]]) -> Seen:
        """Inverse of ``arrays``.

        Raises:
            KeyError: an array is missing.
        """
        told = json.loads(arrays[TOLD].tobytes())
        somes = np.split(arrays[SAMPLES], np.cumsum(told["counts"])[:-1])
        evidence = dict.fromkeys(told["plain"], PLAIN)
        for place, index in enumerate(told["odd"]):
            low, high = arrays[LIMITS][place].tolist()
            contrasts = tuple(arrays[CONTRASTS][place].tolist()) if told["given"][place] else None
            kind, clear = told["types"][place], told["clear"][place]
            evidence[index] = Evidence(kind, low, high, somes[place], contrasts, clear)
        failures = {int(i): UnreadableError(*said) for i, said in told["failures"].items()}
        return cls(evidence, failures, told["pages"])


def alike(one: Mapping[int, UnreadableError], other: Mapping[int, UnreadableError]) -> bool:
    """Whether the same files cannot be read, for the same reasons."""
    return {i: str(e) for i, e in one.items()} == {i: str(e) for i, e in other.items()}
