"""An elastic space of 400 architectures, few enough to go through all."""

from __future__ import annotations

import itertools

from tans.networks.families.elastic.specification import Specification, Stage
from tans.types import Architecture

SMALL_SPACE = Specification(
    name="small",
    stem=16,
    first=Stage(16, 1, (1,), (3,), (1,)),
    stages=(Stage(24, 2, (1, 2), (3, 5), (3, 6)), Stage(40, 2, (1, 2), (3, 5), (3, 6))),
    tail=64,
)


def everyone() -> list[Architecture]:
    layers = list(itertools.product((3, 5), (3, 6)))
    stages = [*itertools.product(layers, repeat=1), *itertools.product(layers, repeat=2)]
    return [Architecture("small", pair) for pair in itertools.product(stages, repeat=2)]
