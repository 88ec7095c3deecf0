"""Figure 7 b: does a known task's query, of images not trained on, find its own networks?"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor

from tans.meta.data import MetaData
from tans.meta.metrics import retrieval
from tans.meta.presets import PRESETS, MetaSettings
from tans.meta.train import meta_train
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Drawing, Plot, Table, canvas
from tans_bench.runs.experiment import Experiment
from tans_bench.runs.results import Result, Results

DEFAULT = PRESETS["default"]
PAPER = replace(PRESETS["paper"], evaluate_every=0)
"""Linear encoders, mean pooling, topology and noise embedding; what is judged along the way changes
nothing."""
OWN_LOSS = replace(PAPER, loss=DEFAULT.loss, temperature=DEFAULT.temperature)
LARGEST, RANDOM = "largest network", "random"
VARIANTS: Mapping[str, MetaSettings | None] = {
    "default": DEFAULT,
    "equation-3": replace(DEFAULT, loss="equation3"),
    "hinge": replace(DEFAULT, loss="hinge"),
    "hard-negatives": replace(DEFAULT, loss="hard"),
    "cosine": replace(DEFAULT, loss="cosine"),
    "no-function": replace(DEFAULT, parts=("topology",)),
    "no-topology": replace(DEFAULT, parts=("similarities",)),
    "no-predictor": replace(DEFAULT, predictor_weight=0.0, transfer_weight=0.0),
    "paper": PRESETS["paper"],
    "paper-equation-3": replace(PAPER, loss="equation3"),
    "paper-equation-3-no-function": replace(PAPER, loss="equation3", parts=("topology",)),
    "paper-infonce": OWN_LOSS,
    "paper-infonce-no-function": replace(OWN_LOSS, parts=("topology",)),
    "largest": None,
}
"""Settings of meta-training by name; None is the order by size, which learns nothing."""
TITLES = {
    "default": "tans (InfoNCE)",
    "equation-3": "contrastive, equation 3",
    "hinge": "hinge",
    "hard-negatives": "hard negatives",
    "cosine": "cosine",
    "no-function": "no functional embedding",
    "no-topology": "no topology",
    "no-predictor": "no predictor",
    "paper": "published settings (hinge)",
    "paper-equation-3": "paper's encoders, equation 3",
    "paper-equation-3-no-function": "paper's encoders, equation 3, no noise",
    "paper-infonce": "paper's encoders, InfoNCE",
    "paper-infonce-no-function": "paper's encoders, InfoNCE, no noise",
    "largest": LARGEST,
}
PUBLISHED = {
    "equation-3": (80.71, 96.43, 99.29, 1.90),
    "hard-negatives": (72.14, 84.29, 88.57, 4.86),
    "cosine": (9.29, 12.86, 22.14, 46.02),
    "no-function": (5.00, 11.43, 18.57, 63.20),
    "no-predictor": (80.00, 96.43, 97.86, 2.23),
    "paper-equation-3": (80.71, 96.43, 99.29, 1.90),
    "paper-equation-3-no-function": (5.00, 11.43, 18.57, 63.20),
    "largest": (3.57, 7.14, 10.00, 51.85),
    RANDOM: (2.14, 2.86, 8.57, 69.04),
}
"""R@1, R@5, R@10 in % and mean rank in the paper's Figure 7 b, among 140 tasks."""
QUERY = 10
"""Images of a query: with all that are held out, nearly every method finds nearly all."""
DRAWS = 8
"""Queries of each task."""
COLUMNS = ("R@1", "R@5", "R@10", "mean rank", "median rank")


@dataclass(frozen=True)
class Retrieve:
    """Meta-train a variant, and rank the zoo's networks for queries of its own tasks."""

    variant: str
    """One of ``VARIANTS``."""
    seed: int
    task: str = ""
    """None in particular."""

    @property
    def name(self) -> str:
        return f"retrieval/{self.variant}-s{self.seed}"

    def done(self, bench: Bench) -> bool:
        stored = bench.results.read(self.name)
        return stored is not None and stored["zoo"] == bench.digest

    def run(self, bench: Bench) -> Result:
        data = MetaData.from_zoo(bench.zoo)
        settings, queries = VARIANTS[self.variant], _queries(data, self.seed)
        if settings is None:
            sizes = torch.tensor([e.body_params for e in bench.zoo.entries(vectors=False)])
            scores = sizes.float().expand(len(queries), -1)
        else:
            trained = meta_train(data, replace(settings, seed=settings.seed + self.seed))
            pairs = [(data.features[rows], data.labels[rows]) for rows in queries]
            embedded = torch.stack([trained.encode_query(*pair) for pair in pairs])  # (q, width)
            scores = embedded @ trained.matrix.T  # (q, e)
        found = retrieval(scores, data.entry_tasks, data.judged.repeat_interleave(DRAWS))
        return {"variant": self.variant, "seed": self.seed, "zoo": bench.digest, **asdict(found)}


def _queries(data: MetaData, seed: int) -> list[Tensor]:
    """Rows of the images of each query, none of which is trained on; ``DRAWS`` for each task."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for task in data.judged.tolist():
        held = ((data.image_tasks == task) & data.held_out).nonzero().flatten()
        orders = [torch.randperm(len(held), generator=generator) for _ in range(DRAWS)]
        found += [held[order[:QUERY]] for order in orders]
    return found


@dataclass(frozen=True)
class Retrievals:
    """A plan of variants and seeds."""

    variants: tuple[str, ...]
    seeds: tuple[int, ...]

    def jobs(self, bench: Bench) -> Sequence[Retrieve]:
        del bench  # all can be named at once
        return [Retrieve(variant, seed) for seed in self.seeds for variant in self.variants]

    def scaled(self, preset: str) -> Retrievals:
        """Ten seeds on a GPU."""
        return self if preset == "cpu" else replace(self, seeds=tuple(range(10)))


def draw(plan: Retrievals, results: Results) -> Sequence[Drawing]:
    found: dict[str, list[Result]] = {}
    for variant in plan.variants:
        stored = [results.read(Retrieve(variant, seed).name) for seed in plan.seeds]
        if runs := [run for run in stored if run is not None]:
            found[variant] = runs
    return [_table(found), _figure(found)] if found else []


def _table(found: Mapping[str, Sequence[Result]]) -> Table:
    """Ranks among tasks, as the paper has one network a task; chance is the random order."""
    rows = [
        [TITLES[variant], str(len(runs)), *_row(runs, "tasks"), *_published(variant)]
        for variant, runs in found.items()
    ]
    first = next(iter(found.values()))
    rows.append([RANDOM, "exact", *_row(first[:1], "tasks_chance"), *_published(RANDOM)])
    caption = (
        f"Rank of a query's own task among the zoo's tasks, each standing at its best network; "
        f"{first[0]['queries']} queries of at most {QUERY} images that were not trained on, means "
        "over seeds. To the right what the paper found among 140 tasks with queries of whole "
        "tasks: ranks among so different numbers of tasks do not compare, their order does."
    )
    theirs = tuple(f"paper: {name}" for name in COLUMNS[:4])
    return Table("recall", caption, ("method", "seeds", *COLUMNS, *theirs), rows)


def _row(runs: Sequence[Result], ranking: str) -> list[str]:
    shares = [100 * statistics.fmean(run[ranking][k] for run in runs) for k in ("r1", "r5", "r10")]
    ranks = [
        statistics.fmean(run[ranking][k] for run in runs) for k in ("mean_rank", "median_rank")
    ]
    return [*(f"{share:.1f}" for share in shares), f"{ranks[0]:.2f}", f"{ranks[1]:.1f}"]


def _published(variant: str) -> list[str]:
    return [f"{value:g}" for value in PUBLISHED[variant]] if variant in PUBLISHED else [""] * 4


def _figure(found: Mapping[str, Sequence[Result]]) -> Plot:
    figure = canvas(6, 0.32 * len(found) + 0.9)
    axis = figure.subplots()
    names = list(found)[::-1]
    for k, marker in (("r1", "o"), ("r5", "s"), ("r10", "^")):
        for place, name in enumerate(names):
            values = [100 * run["tasks"][k] for run in found[name]]
            label = f"R@{k[1:]}" if place == 0 else None
            colour = {"r1": "#0072B2", "r5": "#E69F00", "r10": "#009E73"}[k]
            axis.plot(values, [place] * len(values), marker, color=colour, alpha=0.6, label=label)
    axis.set_yticks(range(len(names)), [TITLES[name] for name in names])
    axis.set_xlabel("queries whose own task is among the first (%)")
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return Plot("recall", "Recall of a query's own task; a mark for each seed.", figure)


EXPERIMENT = Experiment(
    name="retrieval",
    title="Retrieval of known tasks (Figure 7 b)",
    question=(
        "Given images of a known task that were not trained on, how high do its own networks rank, "
        "and what is owed to the loss and to each part of the embedding?"
    ),
    plan=Retrievals(tuple(VARIANTS), seeds=(0, 1, 2)),
    drawn=draw,
)
