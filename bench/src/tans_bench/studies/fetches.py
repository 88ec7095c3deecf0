"""Which of a few networks that are not here yet are worth fetching: a trial of the catalogue.

Four networks with real weights come in packages. At each size of images they stand for what a
search of the catalogue may fetch, in the order in which its shortlist has them. The looks of
successive halving are taken beside whole looks at as many networks, and beside a list by size that
is not looked at. All is on frozen features, which are made once of a task's images, under
batch-norm statistics of all of its training images; nothing is fine-tuned.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product

from tans.networks.features import image_features
from tans.networks.incoming.incoming import Stated
from tans.networks.incoming.published import by_name
from tans.networks.network import DeepHead
from tans.networks.probe import linear_head, probe_accuracy
from tans.networks.published import PUBLISHED
from tans.search.catalogue import RUNGS
from tans.tasks.splits import assign_folds, stratified_subset
from tans.tasks.task import Task
from tans.training import adapted_features
from tans.zoo.weights import assemble
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Drawing, Table
from tans_bench.runs.experiment import Experiment, Fixed
from tans_bench.runs.judge import judged
from tans_bench.runs.results import LINES, Result, Results

RUNS = "fetches"
TASKS = (
    *("script-greek", "icons-apps", "emoji-google-reserved"),
    *("fashion-mnist", "openarena-textures", "wesnoth-terrain"),
)
NETWORKS = tuple(published.ref.name for published in PUBLISHED)
SIZES = (64,)
"""Pixels a side."""
IMAGES = RUNGS[-1]
"""For training, at most."""
TESTED = 300
"""Images, at most."""
SEED = 0


@dataclass(frozen=True)
class Trial:
    """Look at a network on few, more and all images of a task, and test a head on its features."""

    task: str
    network: str
    size: int

    @property
    def name(self) -> str:
        return f"{RUNS}{LINES}/{self.task}-{self.network}-{self.size}"

    def done(self, bench: Bench) -> bool:
        return bench.results.find(RUNS, asdict(self)) is not None

    def run(self, bench: Bench) -> Result:
        task = judged(bench.tasks(self.task, None), SEED, IMAGES)
        incoming = by_name(self.network, Stated(size=self.size))
        network = assemble(incoming.weights, incoming.ref)
        network.replace_head(len(task.classes), deep=True)
        head, before = network.classifier, time.perf_counter()
        blocks = head.blocks if isinstance(head, DeepHead) else None
        images, labels = task.split("train", self.size)
        features = adapted_features(network, images, SEED)
        looks = {}
        for count in RUNGS:
            rows = stratified_subset(labels, count, SEED)
            folds = assign_folds(labels[rows], _groups(task, rows.tolist()), seed=SEED)
            looks[str(count)] = probe_accuracy(features[rows], labels[rows], folds, blocks)
        seconds = time.perf_counter() - before
        weight, bias = linear_head(features, labels, len(task.classes), None, blocks)
        shown, right = task.split("test", self.size, TESTED)
        scores = image_features(network, shown, of_head=True) @ weight.T.float() + bias.float()
        return {
            **asdict(self),
            "images": len(labels),
            "looks": looks,
            "seconds": round(seconds, 1),
            "tested": len(right),
            "accuracy": float((scores.argmax(1) == right).float().mean()),
        }


def _groups(task: Task, rows: Sequence[int]) -> list[str] | None:
    """Of some training images."""
    if task.groups is None:
        return None
    own = [
        group for group, split in zip(task.groups, task.splits.tolist(), strict=True) if not split
    ]
    return [own[row] for row in rows]


@dataclass(frozen=True)
class Fetched:
    """What came of fetching some networks for one task."""

    accuracy: float
    """Test accuracy of the one that was taken."""
    looked: int
    """Images that were looked at, over all networks."""


def largest_first(runs: Sequence[Result]) -> list[Result]:
    """Networks of one task and size in the shortlist's order.

    All learnt from ImageNet-1k and are of one kind, so it is that of their multiply-adds.
    """
    order = ("tf_efficientnet_lite2", "tf_efficientnet_lite1", "tf_efficientnet_lite0")
    return sorted(runs, key=lambda run: [*order, "mobilenetv2_100"].index(run["network"]))


def by_size(runs: Sequence[Result], count: int) -> Fetched:
    """The largest, of so many that were fetched, none of which was looked at."""
    del count
    return Fetched(runs[0]["accuracy"], 0)


def whole_looks(runs: Sequence[Result], count: int) -> Fetched:
    """The best of the first so many, each looked at on all images."""
    best = max(runs[:count], key=lambda run: run["looks"][str(IMAGES)])
    return Fetched(best["accuracy"], sum(run["images"] for run in runs[:count]))


def halving(runs: Sequence[Result], count: int) -> Fetched:
    """What stands of the first so many, as ``tans.search.catalogue`` has it."""
    standing, looked = list(runs[:count]), 0
    for rung, images in enumerate(RUNGS):
        if rung:
            standing = standing[: len(standing) - len(standing) // 2]
        looked += sum(min(images, run["images"]) for run in standing)
        standing.sort(key=lambda run: -run["looks"][str(images)])
    return Fetched(standing[0]["accuracy"], looked)


def any_of(runs: Sequence[Result], count: int) -> Fetched:
    """One of them, whichever: the mean of the first so many."""
    return Fetched(statistics.fmean(run["accuracy"] for run in runs[:count]), 0)


def at_best(runs: Sequence[Result], count: int) -> Fetched:
    """The best of the first so many by what the test says."""
    return Fetched(max(run["accuracy"] for run in runs[:count]), 0)


WAYS: Mapping[str, Callable[[Sequence[Result], int], Fetched]] = {
    "list by size, the largest": by_size,
    "any of those fetched": any_of,
    "those fetched, whole looks": whole_looks,
    "those fetched, halving": halving,
    "the best of those fetched": at_best,
}


def draw(plan: Fixed, results: Results) -> Sequence[Drawing]:
    del plan  # whatever is stored
    runs = results.lines(RUNS)
    sets = [
        largest_first(own)
        for task, size in product(TASKS, SIZES)
        if len(own := [r for r in runs if (r["task"], r["size"]) == (task, size)]) == len(NETWORKS)
    ]
    return [_ways(sets), _networks(sets)] if sets else []


def _ways(sets: Sequence[Sequence[Result]]) -> Table:
    counts = range(1, len(NETWORKS) + 1)
    columns = ("taken", *(f"{count} fetched" for count in counts), "images looked at")
    rows = []
    for name, way in WAYS.items():
        found = [[way(runs, count) for runs in sets] for count in counts]
        cells = [f"{100 * statistics.fmean(f.accuracy for f in each):.1f}" for each in found]
        rows.append([name, *cells, f"{statistics.fmean(f.looked for f in found[-1]):.0f}"])
    caption = (
        f"A trial. Test accuracy in % of a linear head on frozen features of the network that is "
        f"taken, of those fetched, mean over {len(sets)} tasks; "
        "and images that are looked at where all four are fetched."
    )
    return Table("ways", caption, columns, rows)


def _networks(sets: Sequence[Sequence[Result]]) -> Table:
    rows = []
    for runs in sets:
        best = max(run["accuracy"] for run in runs)
        cells = [f"{100 * run['accuracy']:.1f}" for run in runs]
        taken = halving(runs, len(runs)).accuracy
        rows.append([runs[0]["task"], str(runs[0]["size"]), *cells, f"{100 * (best - taken):.1f}"])
    caption = "The same by task and network, and what halving among all four loses to the best."
    names = [run["network"] for run in sets[0]]
    return Table("networks", caption, ("task", "pixels", *names, "lost"), rows)


EXPERIMENT = Experiment(
    name="fetches",
    title="Which networks are worth fetching",
    question=(
        "`tans search --catalogue` fetches a few networks and looks at the better half on more "
        "images. Does it find what whole looks find, and is either better than a list by size?"
    ),
    plan=Fixed(
        tuple(Trial(task, name, size) for task, size, name in product(TASKS, SIZES, NETWORKS))
    ),
    drawn=draw,
)
