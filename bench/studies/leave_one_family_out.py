"""Which settings of meta-learning find the best source for a task of an unseen family.

    python bench/studies/leave_one_family_out.py   # resumable; results in .jsonl, .md and .png

A family (scripts, icons, ...) is held out whole: its tasks are the targets, the other families'
networks the candidates. The truth is twofold: the zoo's measured transfers, which are short
fine-tunes of some pairs, and linear probes on frozen features, of which there is one for every
pair. Every variant is the default with one change, run with several seeds, two at a time.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import statistics
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from common import RESULTS, Ledger, Line
from tans.meta.data import PROBE, MetaData
from tans.meta.evaluate import judge_left_out, train_without_families
from tans.meta.presets import PRESETS, MetaSettings
from tans.meta.retriever import Retriever
from tans.training import Recipe
from tans.types import ZooEntry
from tans.zoo.zoo import Zoo

EPOCHS = {"transfers": Recipe.epochs, "probes": PROBE}
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
    **{name: dataclasses.replace(PRESETS["default"], **c) for name, c in CHANGES.items()},
    "paper": PRESETS["paper"],
}
LEARNED = ("similarity", "predicted")
RUNS = Ledger("leave_one_family_out.jsonl")
SEEDS = (777, 778, 779)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zoo", help="folder of a zoo; the shipped one by default")
    parser.add_argument("--variants", nargs="*", choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--seeds", nargs="*", type=int, default=SEEDS)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    read(arguments.zoo)
    keys = [key(name, seed) for seed in arguments.seeds for name in VARIANTS]
    wanted = [k for k in keys if k["settings"] in arguments.variants and not RUNS.find(k)]
    with ProcessPoolExecutor(
        arguments.processes,
        mp_context=get_context("spawn"),
        initializer=read,
        initargs=(arguments.zoo,),
    ) as pool:
        for done in as_completed([pool.submit(run, k) for k in wanted]):
            RUNS.add(done.result())
    report([found for k in keys if (found := RUNS.find(k))])


def read(zoo_folder: str | None) -> None:
    """Load what every run of this process needs."""
    global DATA, TRUTHS
    torch.set_num_threads(1)
    zoo = Zoo.open(zoo_folder)
    DATA = MetaData.from_zoo(zoo)
    TRUTHS = {name: measured(zoo, epochs) for name, epochs in EPOCHS.items()}


def measured(zoo: Zoo, epochs: int) -> torch.Tensor:
    """Accuracy (tasks, tasks) of source on target, NaN where nothing was measured.

    Of several networks of a source, the largest at the zoo's own resolution speaks for it, so
    that sources are compared and not sizes.
    """
    index = {task.name: i for i, task in enumerate(zoo.tasks())}
    entries = {entry.id: entry for entry in zoo.entries(vectors=False)}

    def standing(entry: ZooEntry) -> tuple[bool, int]:
        return entry.resolution == zoo.resolution, entry.params

    best: dict[tuple[str, str], tuple[ZooEntry, list[float]]] = {}
    for transfer in (t for t in zoo.transfers() if t.epochs == epochs and t.target in index):
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


def key(name: str, seed: int) -> Line:
    """What tells one run from another; a change of settings, code apart, makes it a new one."""
    digest = hashlib.sha256(json.dumps(dataclasses.asdict(VARIANTS[name])).encode())
    for truth in TRUTHS.values():
        digest.update(truth.numpy().tobytes())
    return {
        "settings": name,
        "seed": seed,
        "digest": digest.hexdigest()[:16],
        "data": DATA.digest()[:16],
    }


def run(key: Line) -> Line:
    settings = dataclasses.replace(VARIANTS[key["settings"]], seed=key["seed"])
    retrievers = train_without_families(DATA, settings)
    return {**key, **{name: choices(retrievers, truth) for name, truth in TRUTHS.items()}}


def choices(retrievers: Mapping[str, Retriever], truth: torch.Tensor) -> Line:
    """How well each method chooses, judged by one truth."""
    found = judge_left_out(DATA, retrievers, truth)
    judged = {method: dataclasses.asdict(choice) for method, choice in found.choices.items()}
    return {"targets": len(found.targets), "choices": judged}


def report(runs: list[Line]) -> None:
    """Write the tables and draw the figure from the stored runs alone."""
    figure = Figure(figsize=(13, 1.5 + 0.28 * len(VARIANTS)), layout="constrained")
    parts = []
    for axis, truth in zip(figure.subplots(1, len(TRUTHS), sharey=True), TRUTHS, strict=True):
        rows = by_method(runs, truth)
        draw(axis, rows)
        axis.set_title(f"judged by {truth}")
        parts.append(table(rows, f"Judged by {truth}: {runs[0][truth]['targets']} targets."))
    axis.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    counts = sorted({sum(run["settings"] == name for run in runs) for name in VARIANTS} - {0})
    note = (
        f"Means over {' to '.join(map(str, counts))} seeds ± their standard deviation; regret in "
        "points of accuracy, lower is better."
    )
    path = RESULTS / "leave_one_family_out.md"
    path.write_text("\n\n".join([note, *parts]) + "\n")
    figure.savefig(path.with_suffix(".png"), dpi=110)


def by_method(runs: list[Line], truth: str) -> dict[tuple[str, str], list[Line]]:
    """Choices of each variant's scores over seeds, then of what learns nothing."""
    rows: dict[tuple[str, str], list[Line]] = {}
    for name in VARIANTS:
        own = [run[truth]["choices"] for run in runs if run["settings"] == name]
        rows |= {(name, method): [c[method] for c in own] for method in LEARNED if own}
    first = runs[0][truth]["choices"]
    return rows | {("no learning", m): [c] for m, c in first.items() if m not in LEARNED}


def table(rows: dict[tuple[str, str], list[Line]], title: str) -> str:
    lines = [
        title,
        "",
        "| settings | score | Spearman | regret | regret of the best of five | top 1 |",
        "|---|---|---|---|---|---|",
    ]
    for (label, method), found in rows.items():
        cells = [
            _spread(found, "spearman", 1, 2),
            _spread(found, "regret", 100, 1),
            _spread(found, "regret_of_five", 100, 1),
        ]
        top1 = statistics.fmean(100 * choice["top1"] for choice in found)
        lines.append(f"| {label} | {method} | {' | '.join(cells)} | {top1:.0f}% |")
    return "\n".join(lines)


def draw(axis: Axes, rows: dict[tuple[str, str], list[Line]]) -> None:
    """Regret of each variant, a dot a seed; what learns nothing as upright lines."""
    names = list(dict.fromkeys(label for label, _ in rows if label != "no learning"))
    for colour, method, shift in (("C0", "similarity", -0.15), ("C1", "predicted", 0.15)):
        points = [
            (100 * choice["regret"], names.index(name) + shift)
            for name in names
            for choice in rows[name, method]
        ]
        axis.scatter(*zip(*points, strict=True), color=colour, s=18, label=method)
    peers = {method: c[0] for (label, method), c in rows.items() if label == "no learning"}
    for place, (method, choice) in enumerate(peers.items()):
        if method != "oracle":
            style = ("-", "--", "-.", ":")[place % 4]
            axis.axvline(100 * choice["regret"], color=f"C{place + 2}", ls=style, label=method)
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis()
    axis.set_xlabel("regret to the best source (points of accuracy)")


def _spread(choices: list[Line], name: str, factor: float, digits: int) -> str:
    values = [factor * choice[name] for choice in choices]
    mean = f"{statistics.fmean(values):.{digits}f}"
    return mean if len(values) < 2 else f"{mean} ± {statistics.stdev(values):.{digits}f}"


if __name__ == "__main__":
    main()
