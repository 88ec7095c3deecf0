"""Results as JSON has them and as tables show them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tans.cli import console

if TYPE_CHECKING:
    from tans.report import Run
    from tans.search import SearchResult
    from tans.types import ZooEntry
    from tans.zoo.store import Zoo

LICENCE_WIDTH = 20
"""Letters of a licence in a table; JSON and `tans zoo show` have the whole."""


def describe_run(run: Run) -> dict[str, Any]:
    tuned = run.tuned
    return {
        "label": run.label,
        "id": run.source,
        "params": run.params,
        "flops": run.flops,
        "best_epoch": tuned.best_epoch,
        "val_accuracy": run.validation,
        "test_accuracy": tuned.test_accuracy,
        "seconds": tuned.seconds,
        "history": [asdict(epoch) for epoch in tuned.history],
    }


def describe_entries(zoo: Zoo, entries: Sequence[ZooEntry]) -> Iterator[dict[str, Any]]:
    """Entries as JSON has them, costs counted with the head of the source task."""
    from tans.spaces.specification import get_space

    classes = {task.name: len(task.classes) for task in zoo.tasks()}
    for entry in entries:
        space = get_space(entry.architecture.space)
        costs = space.costs(entry.architecture, classes[entry.task], entry.resolution)
        yield {
            "id": entry.id,
            "task": entry.task,
            "params": costs.params,
            "flops": costs.flops,
            "resolution": entry.resolution,
            "licence": entry.licence,
            "accuracy": entry.accuracy,
            "architecture": str(entry.architecture),
        }


def show_matches(result: SearchResult, name: str) -> None:
    timed = any(match.latency_ms is not None for match in result)
    columns = ["", "network", "trained on", ">params", ">MFLOPs", *([">latency"] if timed else [])]
    rows = [
        [
            str(rank),
            match.id,
            match.task,
            console.millions(match.params),
            f"{match.flops / 1e6:.1f}",
            *([f"{match.latency_ms:.1f} ms"] if match.latency_ms is not None else []),
            console.percent(match.predicted_accuracy),
            f"{match.similarity:.2f}",
            textwrap.shorten(
                match.licence, LICENCE_WIDTH, placeholder=" …", break_on_hyphens=False
            ),
        ]
        for rank, match in enumerate(result, 1)
    ]
    columns += [">predicted", ">similarity", "licence"]
    console.show_table(f"Networks for {name}, best first", columns, rows)
    console.say(
        f"Embedded the images in {result.embedding_s:.2f} s, "
        f"searched in {result.search_s * 1e3:.1f} ms."
    )
    if result.latency_error is not None:
        console.say(
            f"Latency is predicted for this device, {console.percent(result.latency_error)} off "
            "on average."
        )
    console.say("Predicted: accuracy after a fine-tune of 10 epochs on these images.")


def show_runs(runs: Sequence[Run], name: str) -> None:
    rows = [
        (
            run.label,
            run.source,
            console.millions(run.params),
            f"{run.flops / 1e6:.1f}",
            console.percent(run.validation),
            console.percent(run.tuned.test_accuracy),
            f"{run.tuned.seconds:.0f}",
        )
        for run in runs
    ]
    columns = ("", "network", ">params", ">MFLOPs", ">validation", ">test", ">seconds")
    console.show_table(f"Fine-tuned on {name}", columns, rows)


def show_entries(zoo: Zoo, entries: Sequence[ZooEntry], title: str) -> None:
    rows = [
        (
            entry["id"],
            console.millions(entry["params"]),
            f"{entry['flops'] / 1e6:.1f}",
            str(entry["resolution"]),
            console.percent(entry["accuracy"]),
            entry["architecture"],
        )
        for entry in describe_entries(zoo, entries)
    ]
    columns = ("network", ">params", ">MFLOPs", ">pixels", ">accuracy", "architecture")
    console.show_table(title, columns, rows)


def show_tasks(zoo: Zoo, entries: Sequence[ZooEntry]) -> None:
    rows = []
    for task in zoo.tasks():
        own = [entry for entry in entries if entry.task == task.name]
        known = [entry.accuracy for entry in own if entry.accuracy is not None]
        rows.append(
            (
                task.name,
                task.card["family"],
                str(len(task.classes)),
                str(len(own)),
                console.percent(max(known, default=None)),
                task.card["licence"],
            )
        )
    columns = ("trained on", "family", ">classes", ">networks", ">best accuracy", "licence")
    console.show_table(f"{len(entries)} networks in {zoo.path}", columns, rows)
