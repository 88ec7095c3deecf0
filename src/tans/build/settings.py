"""What a build makes: its settings, the subnets of each task, and how pairs are chosen."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field

from tans.build.costing import check_counted
from tans.build.generalist import GeneralistSettings
from tans.build.plan.construct import BATCH, Budget
from tans.build.plan.strategies import check_strategy
from tans.networks.families.elastic.family import ELASTIC
from tans.networks.families.elastic.specification import ref_of
from tans.training import Recipe
from tans.types import NetworkRef


@dataclass(frozen=True)
class BuildSettings:
    """How to build a zoo."""

    space: str = "lite0"
    resolution: int = 64
    """Pixels a side."""
    subnets: int = 100
    """Entries a task, the largest and the smallest among them."""
    images_per_task: int = 1200
    """Training images a task at most."""
    base_images_per_task: int = 400
    """Of them, those that the elastic base is distilled on."""
    imagenet_resolutions: tuple[int, ...] = (96, 128, 160, 224)
    """Pixels a side of further entries of the whole ImageNet network, beside the zoo's own."""
    recipe: Recipe = field(default_factory=lambda: Recipe(epochs=6, learning_rate=1e-2, clip=None))
    """For each task's supernet."""
    least_seen: int = 6000
    """Images that training a supernet goes through at least: small tasks get more epochs."""
    base_recipe: Recipe = field(
        default_factory=lambda: Recipe(
            epochs=12, learning_rate=1e-3, batch_size=64, flip=True, clip=None
        )
    )
    """For distilling the elastic base, where no zoo to take it from is given."""
    generalist: GeneralistSettings | None = None
    """For letting the whole network learn all tasks before the base is distilled from it; it stays
    ImageNet's where None. No task is unseen by such a base, so transfers onto these tasks say too
    much of what it does on others."""
    base_weights: str | None = None
    """File or URL of published Once-for-All weights of the space, which are an elastic base as
    they are: nothing is distilled."""
    seed: int = 0

    @property
    def base(self) -> NetworkRef:
        """The network that supernets start from."""
        return ELASTIC.largest(self.space, self.resolution)

    def epochs(self, images: int) -> int:
        """Passes over so many training images that a supernet takes."""
        return max(self.recipe.passes(images), math.ceil(self.least_seen / images))


@dataclass(frozen=True)
class Choice:
    """How pairs of a task and a network are chosen."""

    strategy: str
    """One of ``tans.build.plan.strategies.STRATEGIES``."""
    budget: Budget
    start: int = 2
    """Random pairs of each task to begin with, where the strategy learns."""
    batch: int = BATCH
    """Pairs that are named at once, at least; as many as the crew measures at the same time."""
    cost: str | None = None
    """What counts beside accuracy and parameters, one of ``costing.COUNTED``; None is what
    the build began with, and latency where it begins now."""

    def __post_init__(self) -> None:
        check_strategy(self.strategy)
        if self.cost is not None:
            check_counted(self.cost)


def subnets_of(task: str, settings: BuildSettings) -> list[NetworkRef]:
    """Subnets of a task's supernet that a zoo has or may have; each task's are drawn anew."""
    rng = random.Random(f"{settings.seed} {task}")
    return draw_subnets(settings, settings.subnets, rng)


def draw_subnets(settings: BuildSettings, count: int, rng: random.Random) -> list[NetworkRef]:
    """The largest of a space, the smallest, and different random ones between."""
    space = ELASTIC.space(settings.space)
    drawn = {space.largest: None, space.smallest: None}  # a dict keeps the order of drawing
    while len(drawn) < count:
        drawn[space.sample(rng)] = None
    return [ref_of(architecture, settings.resolution) for architecture in list(drawn)[:count]]
