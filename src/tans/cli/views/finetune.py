"""How a fine-tune goes on, and what comes of it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tans.cli import console
from tans.cli.views.search import describe_found, say_forbidden, say_related, say_shortened

if TYPE_CHECKING:
    from tans.report import Run
    from tans.scores import Scores
    from tans.training import Epoch
    from tans.workflow import FinetuneResult, FinetuneStep

MANY = 5_000
"""Images from which their reading has a bar while a network is fine-tuned."""
RECALLS = 10
"""Classes whose recall a table shows; of more, those with the lowest."""


@contextmanager
def finetune_bars() -> Iterator[Callable[[FinetuneStep], None]]:
    """A bar for each network that is fine-tuned, one after another; yields what moves them.

    Where many images are read at a network's size, its bar first tells how far that is.
    """
    from tans.tasks.watching import watching

    with ExitStack() as shown:
        advance: list[console.Advance] = []
        epochs = 0

        def read(what: str, done: int, total: int) -> None:
            if not advance or total < MANY:
                return
            if done < total:
                advance[0](done, total, what)
            else:
                advance[0](0, epochs, "")

        def show(step: FinetuneStep) -> None:
            nonlocal epochs
            epochs = step.epochs
            if step.epoch is None:
                shown.close()
                name = step.label if step.entry is None else f"{step.label} ({step.entry.id})"
                bar = console.progress(name)
                advance[:] = [shown.enter_context(bar)]
                return
            known = console.percent(step.epoch.val_balanced)
            advance[0](step.epoch.epoch, step.epochs, f"balanced validation accuracy {known}")

        with watching(read):
            yield show


def wants_epoch(epoch: Epoch) -> bool:
    """Ask whether to keep the best epoch of a training that was interrupted."""
    known = console.percent(epoch.val_balanced)
    measured = f", balanced validation accuracy {known}" if known else ""
    return console.confirm(f"Interrupted. Keep the best so far (epoch {epoch.epoch}{measured})?")


def tell_finetune(result: FinetuneResult, folder: Path, as_json: bool) -> None:
    """What came of a fine-tune that is saved in a folder."""
    if as_json:
        console.emit(describe_finetune(result, folder))
        return
    show_runs(result.runs, result.task.name)
    if result.change is not None:
        console.say(result.change.words())
    if result.search is not None:
        say_shortened(result.search)
        say_forbidden(result.search)
        say_related(result.search)
        say_look_share(result)
    console.say(f"Wrote {folder}/model.safetensors, model.json and report.html")
    console.say(f"Next: tans predict {shlex.quote(str(folder))} IMAGES")


def say_look_share(result: FinetuneResult) -> None:
    """Say what part of the time the second look took."""
    if result.search is not None and result.search.looks:
        share = result.search.look_share(result.best.seconds)
        console.say(
            f"The second look at {len(result.search.looks)} networks took {share:.0%} of search "
            "and training."
        )


def describe_finetune(result: FinetuneResult, folder: Path) -> dict[str, Any]:
    """What came of a fine-tune, as JSON has it."""
    from tans.tasks.check import summary

    return {
        "folder": str(folder),
        "report": str(folder / "report.html"),
        "runs": [describe_run(run) for run in result.runs],
        "search": None if result.search is None else describe_found(result.search),
        "change": None if result.change is None else asdict(result.change),
        "data": summary(result.task),
        "interrupted": result.interrupted,
    }


def describe_run(run: Run) -> dict[str, Any]:
    tuned = run.tuned
    return {
        "label": run.label,
        "id": run.source,
        "teachers": [entry.id for entry in tuned.teachers],
        "params": run.costs.params,
        "flops": run.costs.flops,
        "best_epoch": tuned.best_epoch,
        "val_accuracy": run.kept.val_accuracy,
        "val_balanced": run.kept.val_balanced,
        "test_accuracy": tuned.test_accuracy,
        **tuned.scores.describe(),
        "calibration": asdict(tuned.calibration),
        "novelty": tuned.novelty.describe(),
        "seconds": tuned.seconds,
        "history": [asdict(epoch) for epoch in tuned.history],
    }


def show_runs(runs: Sequence[Run], name: str) -> None:
    """Accuracies of all runs, then what is to be said of the first, class by class."""
    rows = [
        (
            run.label,
            run.source,
            console.millions(run.costs.params),
            f"{run.costs.flops / 1e6:.1f}",
            console.percent(run.tuned.test_accuracy),
            console.percent(run.tuned.scores.balanced_accuracy),
            f"{run.tuned.seconds:.0f}",
        )
        for run in runs
    ]
    columns = (
        "",
        "network",
        ">params",
        ">MFLOPs",
        ">test\naccuracy",
        ">balanced\naccuracy",
        ">seconds",
    )
    console.show_table(f"Fine-tuned on {name}", columns, rows)
    scores = runs[0].tuned.scores
    _show_recalls(scores, runs[0].label)
    console.say(
        "Recall is the share of a class's test images that were found; balanced accuracy is the "
        "mean recall, so every class counts alike."
    )
    console.say(scores.guessing())
    console.say(runs[0].tuned.calibration.words())
    console.say(runs[0].tuned.novelty.words())
    for sentence in scores.warnings():
        console.say(f"Beware: {sentence}")


def _show_recalls(scores: Scores, label: str) -> None:
    """What was found of each class, the worst first."""
    order = scores.worst_first
    rows = [
        (
            scores.classes[index],
            str(scores.support[index]),
            str(scores.found[index]),
            console.percent(scores.recalls[index]) or "unknown",
        )
        for index in order[:RECALLS]
    ]
    console.show_table(f"Recall of {label}", ("class", ">test images", ">found", ">recall"), rows)
    rest = len(order) - RECALLS
    if rest > 0:
        console.say(f"These are the lowest; {rest} more classes are in the report.")
