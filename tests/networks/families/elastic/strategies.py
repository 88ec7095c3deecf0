"""Hypothesis strategies for architectures."""

import random

from hypothesis import strategies as st

from tans.networks.families.elastic.specification import LITE0, Specification, Stage
from tans.types import Architecture

TOY = Specification(
    name="toy",
    stem=16,
    first=Stage(16, 1, (1,), (3,), (1,), activation="relu"),
    stages=(
        Stage(24, 2, (1, 2), (3, 5, 7), (3, 4, 6), activation="relu"),
        Stage(40, 2, (2, 3), (3, 5, 7), (3, 4, 6), activation="hswish", squeeze_excite=True),
    ),
    tail=64,
    mix=96,
    activation="hswish",
    same_padding=False,
    norm_eps=1e-5,
    kernel_transforms=True,
)
"""Uses every part of the mechanism that LITE0 does not."""


def architectures(space: Specification = LITE0) -> st.SearchStrategy[Architecture]:
    return st.integers(0, 2**32).map(lambda seed: space.sample(random.Random(seed)))
