"""Is a thinner network that sees more pixels better than the whole one, at the same multiply-adds?

Slices of the elastic base, in larger sizes of image, beside the whole base at the zoo's size: by
the probe that a search looks with, and fine-tuned by the default recipe. In each size it is the
slice that takes most multiply-adds of those that stay below the whole network's.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import product

from tans.networks.device import device
from tans.networks.families.elastic.specification import LITE0, ref_of
from tans.networks.family import describe
from tans.networks.network import Network
from tans.training import finetune, probe
from tans.types import NetworkRef
from tans.zoo.zoo import IMAGENET, Zoo
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Drawing, Table
from tans_bench.runs.experiment import Experiment
from tans_bench.runs.jobs import Job
from tans_bench.runs.judge import judged
from tans_bench.runs.results import LINES, Result, Results

RUNS = "thin"
WHOLE = 64
"""Pixels a side of the zoo, at which the whole base is the limit."""
SIZES = (WHOLE, 80, 96, 112)
TUNED = (WHOLE, 80, 96)
DRAWN = 3000
"""Slices that are drawn to choose from."""
IMAGES = 300
SIBLINGS = (
    *("script-greek", "script-thai", "icons-apps", "icons-devices"),
    *("emoji-google-reserved", "clipart-food"),
)
STRANGERS = (
    *("ufoai-textures", "fashion-mnist", "solar-cells"),
    *("blue-marble", "wesnoth-units", "wesnoth-terrain"),
)
SEEDS = (0, 1)


@lru_cache(maxsize=len(SIZES))
def slice_at(size: int) -> NetworkRef:
    """The slice that takes most multiply-adds at a size, of those that stay below the limit."""
    limit = describe(ref_of(LITE0.largest, WHOLE)).body_flops
    rng = random.Random(0)
    drawn = [LITE0.largest, LITE0.smallest, *(LITE0.sample(rng) for _ in range(DRAWN))]
    refs = [ref_of(architecture, size) for architecture in dict.fromkeys(drawn)]
    fitting = [ref for ref in refs if describe(ref).body_flops <= limit]
    return max(fitting, key=lambda ref: describe(ref).body_flops)


@dataclass(frozen=True)
class Trial:
    """One slice on one task: looked at, or fine-tuned."""

    target: str
    seed: int
    size: int
    tuned: bool

    @property
    def task(self) -> str:
        return self.target

    @property
    def name(self) -> str:
        how = "tuned" if self.tuned else "look"
        return f"{RUNS}{LINES}/{self.target}-{self.seed}-{self.size}-{how}"

    def done(self, bench: Bench) -> bool:
        return bench.results.find(RUNS, asdict(self)) is not None

    def run(self, bench: Bench) -> Result:
        task = judged(bench.tasks(self.target, None), self.seed, IMAGES)
        ref = slice_at(self.size)
        costs = {"flops": describe(ref).body_flops, "params": describe(ref).body_params}
        network = _network(ref, bench.zoo)
        if not self.tuned:
            network.replace_head(len(task.classes), deep=True)
            found = probe(network.to(device()).eval(), task, IMAGES)
            return {**asdict(self), **costs, "accuracy": round(found, 5)}
        tuned = finetune(network, task)
        return {**asdict(self), **costs, "accuracy": round(tuned.test_accuracy, 5)}


def _network(ref: NetworkRef, zoo: Zoo) -> Network:
    """A slice of the elastic base."""
    return zoo.load_network(ref, str(zoo.base), IMAGENET)


@dataclass(frozen=True)
class Thin:
    """A plan: looks at all slices, then fine-tunes of some."""

    targets: tuple[str, ...] = (*SIBLINGS, *STRANGERS)
    seeds: tuple[int, ...] = SEEDS

    def jobs(self, bench: Bench) -> Sequence[Job]:
        del bench
        pairs = list(product(self.seeds, self.targets))
        looks = [Trial(target, seed, size, False) for seed, target in pairs for size in SIZES]
        return [*looks, *(Trial(t, seed, size, True) for seed, t in pairs for size in TUNED)]

    def scaled(self, preset: str) -> Thin:
        del preset
        return self


def draw(plan: Thin, results: Results) -> Sequence[Drawing]:
    found = {
        (run["target"], run["seed"], run["size"], run["tuned"]): 100 * run["accuracy"]
        for run in results.lines(RUNS)
    }
    whole = {target: row for target in plan.targets if (row := _row(target, plan, found))}
    if len(whole) < len(plan.targets):  # a mean of some tasks would tell of those alone
        return []
    rows: list[list[str]] = []
    for name, targets in (("siblings", SIBLINGS), ("strangers", STRANGERS)):
        own = [row for target, row in whole.items() if target in targets]
        rows += [*own, _means(name, own)] if own else []
    columns = (
        "task",
        *(f"look, {size} px" for size in SIZES),
        *(f"tuned, {size} px" for size in TUNED),
    )
    caption = (
        "A trial, accuracy in %, mean of at most two seeds: cross-validated on frozen features of "
        "300 training images, and on test images after the default fine-tune."
    )
    return [Table("accuracy", caption, columns, rows)]


def _row(
    target: str, plan: Thin, found: dict[tuple[str, int, int, bool], float]
) -> list[str] | None:
    """Means over the seeds that are whole; None where there are none."""
    cells = [*((size, False) for size in SIZES), *((size, True) for size in TUNED)]
    whole = [s for s in plan.seeds if all((target, s, *cell) in found for cell in cells)]
    if not whole:
        return None
    means = [statistics.mean(found[target, s, *cell] for s in whole) for cell in cells]
    return [target, *(f"{mean:.1f}" for mean in means)]


def _means(name: str, rows: Sequence[Sequence[str]]) -> list[str]:
    """The mean of some tasks, in bold."""
    columns = list(zip(*rows, strict=True))[1:]
    means = [statistics.mean(map(float, column)) for column in columns]
    return [f"**{name}**", *(f"**{mean:.1f}**" for mean in means)]


EXPERIMENT = Experiment(
    name="thin",
    title="Thinner networks that see more pixels",
    question=(
        "For the multiply-adds of the whole elastic base at 64 pixels: is a slice of it better "
        "that looks at larger images?"
    ),
    plan=Thin(),
    drawn=draw,
)
