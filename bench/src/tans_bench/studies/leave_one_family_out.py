"""Which settings of meta-learning find the best source for a task of an unseen family.

A family (scripts, icons, ...) is held out whole: its tasks are the targets, the other families'
networks the candidates. The truth is twofold: the zoo's measured transfers, which are short
fine-tunes of some pairs, and linear probes on frozen features, of which there is one for every
pair. Every variant is the default with one change.
"""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from matplotlib.axes import Axes

from tans.meta.data import PROBE, MetaData, tuned
from tans.meta.presets import PRESETS, MetaSettings
from tans.meta.retriever import Retriever
from tans.types import ZooEntry
from tans.zoo.zoo import Zoo
from tans_bench.methods.left_out import judge_left_out, train_without_families
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Drawing, Plot, Table, canvas
from tans_bench.runs.experiment import Experiment
from tans_bench.runs.results import LINES, Result, Results

RUNS = "leave_one_family_out"
TRUTHS = ("transfers", "probes")
CHANGES: dict[str, dict[str, Any]] = {
    "default": {},
    "mean pooling": {"pooling": "mean"},
    "attention pooling": {"pooling": "attention", "query_images": 64},
    "all 1280 features": {"components": 0},
    "normalised jointly": {"normalisation": "joint"},
    "topology + noise": {"parts": ("topology", "functional")},
    "topology + probes + noise": {"parts": ("topology", "similarities", "functional")},
    "probes alone": {"parts": ("similarities",)},
    "noise alone": {"parts": ("functional",)},
    "topology alone": {"parts": ("topology",)},
    "all classes": {"class_subsets": False},
    "all images": {"query_least": PRESETS["default"].query_images},
    "hinge": {"loss": "hinge"},
    "hardest negative": {"loss": "hard"},
    "no transfers": {"transfer_weight": 0.0, "ranking_weight": 0.0},
    "ranking: transfers, cosine": {"ranking_weight": 1.0},
    "ranking: transfers, predicted": {"ranking_weight": 1.0, "ranking_on": "predicted"},
    "ranking: probes, cosine": {"ranking_weight": 1.0, "ranking_truth": "probes"},
    "ranking: probes, predicted": {
        "ranking_weight": 1.0,
        "ranking_truth": "probes",
        "ranking_on": "predicted",
    },
    "no q*m": {"interaction": False},
    "hidden layer": {"hidden": 128},
    "three members": {"members": 3},
}
VARIANTS: dict[str, MetaSettings] = {
    **{name: replace(PRESETS["default"], **c) for name, c in CHANGES.items()},
    "paper": PRESETS["paper"],
}
LEARNED = ("similarity", "predicted")
UNLEARNED = "no learning"
Rows = Mapping[tuple[str, str], Sequence[Result]]
"""How well a variant's score chooses, once for each seed."""


@dataclass(frozen=True)
class Known:
    """What a zoo tells: what is learnt from, and what choices are judged by."""

    data: MetaData
    truths: Mapping[str, torch.Tensor]
    """Accuracy (tasks, tasks) of source on target by name, NaN where nothing was measured."""

    @classmethod
    @lru_cache(maxsize=1)
    def of(cls, folder: Path) -> Known:
        """Read once for all runs of a process."""
        zoo = Zoo.open(folder)
        truths = {name: measured(zoo, probes=name == "probes") for name in TRUTHS}
        return cls(MetaData.from_zoo(zoo), truths)


@dataclass(frozen=True)
class LeaveOut:
    """Meta-train without each family in turn, and judge what is chosen for its tasks."""

    variant: str
    """One of ``VARIANTS``."""
    seed: int
    task: str = ""
    """None in particular."""

    @property
    def name(self) -> str:
        return f"{RUNS}{LINES}/{self.variant}-s{self.seed}"

    def done(self, bench: Bench) -> bool:
        return bench.results.find(RUNS, self._key(bench)) is not None

    def run(self, bench: Bench) -> Result:
        known = Known.of(bench.zoo.path)
        settings = replace(VARIANTS[self.variant], seed=self.seed)
        retrievers = train_without_families(known.data, settings)
        judged = {
            name: _choices(known.data, retrievers, truth) for name, truth in known.truths.items()
        }
        return {**self._key(bench), **judged}

    def _key(self, bench: Bench) -> Result:
        """What tells one run from another; a change of settings, code apart, makes it anew."""
        known = Known.of(bench.zoo.path)
        digest = hashlib.sha256(json.dumps(asdict(VARIANTS[self.variant])).encode())
        for truth in known.truths.values():
            digest.update(truth.numpy().tobytes())
        return {
            "settings": self.variant,
            "seed": self.seed,
            "digest": digest.hexdigest()[:16],
            "data": known.data.digest()[:16],
        }


@dataclass(frozen=True)
class LeaveOuts:
    """A plan: every variant with every seed."""

    variants: tuple[str, ...] = tuple(VARIANTS)
    seeds: tuple[int, ...] = (777,)

    def jobs(self, bench: Bench) -> Sequence[LeaveOut]:
        del bench  # all can be named at once
        return [LeaveOut(variant, seed) for seed in self.seeds for variant in self.variants]

    def scaled(self, preset: str) -> LeaveOuts:
        """Three seeds on a GPU."""
        return self if preset == "cpu" else replace(self, seeds=(777, 778, 779))


def measured(zoo: Zoo, probes: bool) -> torch.Tensor:
    """Accuracy (tasks, tasks) of source on target, NaN where nothing was measured.

    Of several networks of a source, the largest at the zoo's own resolution speaks for it, so
    that sources are compared and not sizes.
    """
    index = {task.name: i for i, task in enumerate(zoo.tasks())}
    entries = {entry.id: entry for entry in zoo.entries(vectors=False)}

    def standing(entry: ZooEntry) -> tuple[bool, int]:
        return entry.resolution == zoo.resolution, entry.body_params

    best: dict[tuple[str, str], tuple[ZooEntry, list[float]]] = {}
    stored = [t for t in zoo.transfers(newest=True) if t.target in index]
    for transfer in [t for t in stored if t.epochs == PROBE] if probes else tuned(stored):
        entry = entries[transfer.source]
        pair = entry.task, transfer.target
        if pair not in best or standing(entry) > standing(best[pair][0]):
            best[pair] = entry, []
        if entry.id == best[pair][0].id:
            best[pair][1].append(transfer.accuracy)
    truth = torch.full((len(index), len(index)), torch.nan)
    for (source, target), (_, accuracies) in best.items():
        truth[index[source], index[target]] = statistics.fmean(accuracies)
    return truth


def _choices(data: MetaData, retrievers: Mapping[str, Retriever], truth: torch.Tensor) -> Result:
    """How well each method chooses, judged by one truth."""
    found = judge_left_out(data, retrievers, truth)
    judged = {method: asdict(choice) for method, choice in found.choices.items()}
    return {"targets": len(found.targets), "choices": judged}


def draw(plan: LeaveOuts, results: Results) -> Sequence[Drawing]:
    latest = {(run["settings"], run["seed"]): run for run in results.lines(RUNS)}
    keys = [(variant, seed) for seed in plan.seeds for variant in plan.variants]
    runs = [latest[key] for key in keys if key in latest]
    return [*(_table(runs, truth) for truth in TRUTHS), _figure(runs)] if runs else []


def _by_method(runs: Sequence[Result], truth: str) -> Rows:
    """Choices of each variant's scores over seeds, then of what learns nothing."""
    rows: dict[tuple[str, str], Sequence[Result]] = {}
    for name in VARIANTS:
        own = [run[truth]["choices"] for run in runs if run["settings"] == name]
        rows |= {(name, method): [c[method] for c in own] for method in LEARNED if own}
    first = runs[0][truth]["choices"]
    return rows | {(UNLEARNED, m): [c] for m, c in first.items() if m not in LEARNED}


def _table(runs: Sequence[Result], truth: str) -> Table:
    rows = []
    for (label, method), found in _by_method(runs, truth).items():
        cells = [
            _spread(found, "spearman", 1, 2),
            _spread(found, "regret", 100, 1),
            _spread(found, "regret_of_five", 100, 1),
        ]
        top1 = statistics.fmean(100 * choice["top1"] for choice in found)
        rows.append([label, method, *cells, f"{top1:.0f}%"])
    seeds = len({run["seed"] for run in runs})
    caption = (
        f"Judged by {truth}: {runs[0][truth]['targets']} targets. Means over {seeds} seeds, with "
        "several ± their standard deviation; regret in points of accuracy, lower is better."
    )
    columns = ("settings", "score", "Spearman", "regret", "regret of the best of five", "top 1")
    return Table(truth, caption, columns, rows)


def _figure(runs: Sequence[Result]) -> Plot:
    figure = canvas(13, 1.5 + 0.28 * len(VARIANTS))
    for axis, truth in zip(figure.subplots(1, len(TRUTHS), sharey=True), TRUTHS, strict=True):
        _panel(axis, _by_method(runs, truth))
        axis.set_title(f"judged by {truth}")
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    caption = "Regret of each variant, a dot for each seed; what learns nothing as upright lines."
    return Plot("regret", caption, figure)


def _panel(axis: Axes, rows: Rows) -> None:
    names = list(dict.fromkeys(label for label, _ in rows if label != UNLEARNED))
    for colour, method, shift in (("C0", "similarity", -0.15), ("C1", "predicted", 0.15)):
        points = [
            (100 * choice["regret"], names.index(name) + shift)
            for name in names
            for choice in rows[name, method]
        ]
        regrets, places = zip(*points, strict=True)
        axis.scatter(regrets, places, color=colour, s=18, label=method)
    peers = {method: c[0] for (label, method), c in rows.items() if label == UNLEARNED}
    for place, (method, choice) in enumerate(peers.items()):
        if method != "oracle":
            style = ("-", "--", "-.", ":")[place % 4]
            axis.axvline(100 * choice["regret"], color=f"C{place + 2}", ls=style, label=method)
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis()
    axis.set_xlabel("regret to the best source (points of accuracy)")


def _spread(choices: Sequence[Result], name: str, factor: float, digits: int) -> str:
    values = [factor * choice[name] for choice in choices]
    mean = f"{statistics.fmean(values):.{digits}f}"
    return mean if len(values) < 2 else f"{mean} ± {statistics.stdev(values):.{digits}f}"


EXPERIMENT = Experiment(
    name="leave_one_family_out",
    title="Settings of meta-learning, on families that were left out",
    question="Which settings of meta-learning find the best source for a task of an unseen family?",
    plan=LeaveOuts(),
    drawn=draw,
)
