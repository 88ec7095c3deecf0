"""Results as JSON has them and as tables show them."""

from __future__ import annotations

import csv
import io
import shlex
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tans.cli import console
from tans.errors import InputError
from tans.licences import UNSTATED

if TYPE_CHECKING:
    from tans.export.classifier import Prediction
    from tans.export.formats import Checked, Export
    from tans.meta.train import Step
    from tans.novelty import Novelty
    from tans.report import Run
    from tans.scores import Scores
    from tans.search import Query, SearchResult
    from tans.search.curve import Curve
    from tans.tasks.findings import Overrides
    from tans.tasks.task import Task
    from tans.training import Epoch
    from tans.types import Match, ZooEntry
    from tans.workflow import FinetuneResult, FinetuneStep, Trained
    from tans.zoo.zoo import Zoo

    Cell = Callable[[int, Match], str]

NAMED = 8
"""Classes that a line names before it only counts."""
SHOWN_CLASSES = 30
"""Classes of which a check shows pictures."""
COUNTED_CLASSES = 200
"""Classes whose images a check counts in a table."""
SAMPLES = 6
"""Pictures of each class."""
DRAWN = 14
"""Pixels a side of a picture in a terminal, two to a line."""
MANY = 5_000
"""Images from which their reading has a bar while a network is fine-tuned."""
NONE_OF_THESE = "none of these"
"""Label of an image that is unlike all that a network learnt from."""
RECALLS = 10
"""Classes whose recall a table shows; of more, those with the lowest."""
FORMULAS = ("=", "+", "-", "@", "\t", "\r")
"""What cells begin with that a spreadsheet computes."""
LICENCE_WIDTH = 20
"""Letters of a licence in a table; JSON and `tans zoo show` have the whole."""


def read_data(path: str | Path, overrides: Overrides) -> Task:
    """The task at a path, and the short form of a check of it."""
    from tans.search.query import is_query

    if is_query(path):
        raise InputError(
            f"{path} is a query, which holds no images; expected a dataset: 'tans search' alone "
            "takes a query"
        )
    task = read_task(path, overrides)
    tell_data(task)
    return task


def read_task(path: str | Path, overrides: Overrides) -> Task:
    """The task at a path; a bar tells how far the reading is, where it takes long."""
    from tans.tasks.task import Task
    from tans.tasks.watching import watching

    with console.late_progress() as tell, watching(tell):
        return Task.from_path(path, overrides=overrides)


def open_zoo(zoo: str | None) -> Zoo:
    """A zoo, which tells what it fetches where it lies at an address."""
    from tans.zoo.zoo import Zoo

    return Zoo.open(
        zoo, lambda name, size: console.tell(f"Fetching {name} of {zoo}, {size / 1e6:.1f} MB")
    )


def learn_method(zoo: Zoo, method: str) -> None:
    """Have what a method needs of a zoo, with a bar where it is learnt first."""
    from tans.search import PAPER

    if method != PAPER:
        return
    from tans.meta.published import SETTINGS
    from tans.workflow import published_retriever

    with ExitStack() as shown:
        bars: list[Callable[[float, float, str], None]] = []

        def advance(step: Step) -> None:
            if not bars:
                label = "Learning the paper's retrieval of this zoo, once"
                bars.append(shown.enter_context(console.progress(label)))
            bars[0](step.step, SETTINGS.steps, f"loss {step.loss:.3f}")

        published_retriever(zoo, advance)


@contextmanager
def copy_bar(label: str) -> Iterator[Callable[[int, int, str], None]]:
    """The bar of what is copied to or from an address; yields what moves it."""
    with console.progress(label, percent=True) as advance:
        yield advance


def tell_data(task: Task) -> None:
    """The short form of a check, beside the results, before anyone waits for them."""
    from tans.tasks.check import counts, warnings

    train, val, test = counts(task).sum(0).tolist()
    layout = f"; {task.found.layout}" if task.found.layout else ""
    console.tell(
        f"{task.name}: {len(task):,} images in {len(task.classes)} classes "
        f"({_shown_classes(task)}): {train:,} to train, {val:,} to validate, {test:,} to test"
        f"{layout}"
    )
    console.warn_each(warnings(task))


def describe_check(task: Task, curve: Curve | None) -> dict[str, Any]:
    """A check as JSON has it; the curve is None where it was left out."""
    from tans.tasks.check import summary

    return {"data": summary(task), "curve": None if curve is None else asdict(curve)}


def show_check(task: Task, curve: Curve | None) -> None:
    """Everything that is known of a dataset before it is used; no curve where it was left out."""
    from tans.tasks.check import counts, warnings

    table = counts(task)
    pictures = console.draws_pictures()
    rows = [
        (name, *map(str, row), str(sum(row)))
        for name, row in zip(task.classes, table.tolist(), strict=True)
    ]
    columns = ("class", ">train", ">validation", ">test", ">images")
    console.show_table(f"{task.name}: {len(task):,} images", columns, rows[:COUNTED_CLASSES])
    if len(rows) > COUNTED_CLASSES:
        console.say(
            f"These are the first; {len(rows) - COUNTED_CLASSES} more classes are in what --json "
            "or --output writes."
        )
    if task.found.layout:
        console.say(f"Taken for {task.found.layout}.")
    for index, name in enumerate(task.classes[:SHOWN_CLASSES]):
        _show_samples(task, index, name, pictures)
    told = warnings(task)
    for warning in told:
        console.say(f"Beware: {warning}.")
    if not told:
        console.say("Nothing odd was found.")
    if curve is not None:
        console.say(curve.words())


def _show_samples(task: Task, index: int, name: str, pictures: bool) -> None:
    """Some pictures of a class, or their names where none can be drawn."""
    import torch

    rows = (task.labels == index).nonzero().flatten()
    spread = rows[torch.linspace(0, len(rows) - 1, min(SAMPLES, len(rows))).long()]
    if pictures:
        console.say(name)
        console.draw(task.pixels.at(DRAWN, spread))
    elif task.keys:
        console.say(f"{name}: {', '.join(task.keys[row] for row in spread.tolist())}")


def _shown_classes(task: Task) -> str:
    """Classes with their images, as many as a line holds."""
    from tans.tasks.check import counts
    from tans.tasks.findings import some

    sizes = counts(task).sum(1).tolist()
    return some([f"{name} {n}" for name, n in zip(task.classes, sizes, strict=True)], NAMED)


def show_predictions(predictions: Sequence[Prediction]) -> None:
    """A table on a terminal; else a line for each image, whole, with tabs."""
    if not console.is_terminal():
        for p in predictions:
            console.say_fields([p.path, *_said(p, lambda share: f"{share:.4f}")])
        return
    rows = [
        (label, share, str(p.path) if place == 0 else "")
        for p in predictions
        for place, (label, share) in enumerate(_pairs(_said(p, console.percent)))
    ]
    console.show_table(f"{len(predictions)} images", ("class", ">probability", "image"), rows)


def _said(prediction: Prediction, written: Callable[[float], str]) -> list[str]:
    """Labels and probabilities in turn; of an unknown image none of these comes first.

    There are as many as of others, so that lines and columns stay alike.
    """
    ranked = [(label, written(share)) for label, share in prediction.ranked]
    if prediction.known is False:
        ranked = [(NONE_OF_THESE, ""), *ranked[:-1]]
    return [part for pair in ranked for part in pair]


def _pairs(parts: Sequence[str]) -> Iterator[tuple[str, str]]:
    return zip(parts[::2], parts[1::2], strict=True)


def tell_unknown(predictions: Sequence[Prediction], novelty: Novelty, rate: float) -> None:
    """How many images are none of the classes, and how far that is to be trusted."""
    from tans.novelty import RATE

    unknown = sum(p.known is False for p in predictions)
    if unknown:
        console.tell(
            f"{unknown} of {len(predictions)} images are unlike all that the network learnt from "
            f"({NONE_OF_THESE}); about {100 * rate:g} % of images of its own classes are taken so"
            f"{novelty.measured() if rate == RATE else ''}; --closed names a class for each"
        )


def describe_predictions(
    predictions: Sequence[Prediction], left_out: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """Predictions as JSON has them, and how many files are no images, by reason."""
    return {
        "predictions": [
            {
                "path": str(p.path),
                "label": p.label,
                "probability": p.probability,
                "error": p.error,
                "known": p.known,
                "ranked": [{"label": name, "probability": share} for name, share in p.ranked],
            }
            for p in predictions
        ],
        "left_out": {why: len(keys) for why, keys in left_out.items()},
    }


def warn_unread(predictions: Sequence[Prediction], left_out: Mapping[str, Sequence[str]]) -> None:
    """Name the files that gave no prediction, those of one reason together."""
    from tans.tasks.findings import some

    unread: dict[str, list[str]] = {}
    for p in predictions:
        if p.error is not None:
            unread.setdefault(p.error, []).append(str(p.path))
    for error, paths in unread.items():
        console.warn(f"{len(paths)} cannot be read ({some(paths)}): {error}")
    for why, keys in left_out.items():
        console.warn(f"{len(keys)} left out: {why} ({some(keys)})")


def write_predictions(path: Path, predictions: Sequence[Prediction], top: int) -> None:
    """Write a CSV file as a whole or not at all.

    Raises:
        InputError: it cannot be written.
    """
    from tans.files import write_file

    numbered = ["" if place == 1 else f"_{place}" for place in range(1, top + 1)]
    head = ["path", *(f"{name}{n}" for n in numbered for name in ("label", "probability"))]
    text = io.StringIO(newline="")
    table = csv.writer(text)
    table.writerow([*head, "error"])
    for p in predictions:
        ranked = _said(p, lambda share: f"{share:.6f}")
        blank = [""] * (2 * top - len(ranked))
        table.writerow([str(p.path), *ranked, *blank, p.error or ""])
    try:
        write_file(path, text.getvalue().encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise InputError(
            f"{path} cannot be written: {error}; give a file in a folder that can be written"
        ) from error
    _warn_formulas(path, predictions)


def _warn_formulas(path: Path, predictions: Sequence[Prediction]) -> None:
    """Tell of names that a spreadsheet would compute; they are written as they are."""
    from tans.tasks.findings import some

    names = {str(p.path) for p in predictions} | {n for p in predictions for n, _ in p.ranked}
    found = sorted(name for name in names if name.startswith(FORMULAS))
    if found:
        console.warn(
            f"a spreadsheet takes {len(found)} names in {path} for formulas ({some(found)}); "
            "import them as text"
        )


def show_export(export: Export) -> None:
    """What was written, and how it does."""
    rows = [
        (
            each.file.name,
            f"{each.bytes:,}",
            f"{each.difference:.1e}",
            console.percent(each.agreement),
            *([] if each.accuracy is None else [console.percent(each.accuracy)]),
        )
        for each in (export.network, export.int8)
        if each is not None
    ]
    columns = ("file", ">bytes", ">largest difference of a probability", ">same label", ">accuracy")
    title = f"Beside PyTorch, over {export.images}"
    console.show_table(title, columns[: len(rows[0])], rows)
    console.say(f"Wrote {', '.join(map(str, export.files))}")
    if export.format == "onnx":
        (script,) = (path for path in export.files if path.suffix == ".py")
        console.say(f"Next: python {shlex.quote(str(script))} IMAGES")


def describe_export(export: Export) -> dict[str, Any]:
    """An export as JSON has it."""

    def plain(checked: Checked | None) -> dict[str, Any] | None:
        return None if checked is None else {**asdict(checked), "file": str(checked.file)}

    return {
        **{"format": export.format, "files": [str(path) for path in export.files]},
        **{"images": export.images, "network": plain(export.network), "int8": plain(export.int8)},
        "warnings": list(export.warnings),
    }


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
        "search": None if result.search is None else _found(result.search),
        "change": None if result.change is None else asdict(result.change),
        "data": summary(result.task),
        "interrupted": result.interrupted,
    }


def describe_search(result: SearchResult, task: Task | Query) -> dict[str, Any]:
    """Matches as JSON has them, with what was understood of the data; null of a query."""
    from tans.search import Query
    from tans.tasks.check import summary

    return {**_found(result), "data": None if isinstance(task, Query) else summary(task)}


def _found(result: SearchResult) -> dict[str, Any]:
    """All but the query, which is numbers for a machine."""
    told = asdict(replace(result, query=None))
    del told["query"]
    return told


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


def describe_entries(zoo: Zoo, entries: Sequence[ZooEntry]) -> Iterator[dict[str, Any]]:
    """Entries as JSON has them, costs counted with the head of the source task."""
    classes = {task.name: len(task.classes) for task in zoo.tasks()}
    for entry in entries:
        costs = entry.body_costs.under_head(entry.width, classes[entry.task])
        yield {
            "id": entry.id,
            "task": entry.task,
            "params": costs.params,
            "flops": costs.flops,
            "resolution": entry.resolution,
            "licence": entry.licence,
            "accuracy": entry.accuracy,
            "architecture": entry.ref.name,
        }


def show_matches(result: SearchResult, name: str) -> None:
    columns = dict(_columns(result))
    rows = [[cell(k, match) for cell in columns.values()] for k, match in enumerate(result, 1)]
    console.show_table(f"Networks for {name}, best first", list(columns), rows)
    console.say(_times(result))
    if result.latency_error is not None:
        console.say(
            f"Latency is predicted for this device, {console.percent(result.latency_error)} off "
            "on average."
        )
    console.say(_meaning(result))
    say_shortened(result)
    say_forbidden(result)
    say_related(result)


def _meaning(result: SearchResult) -> str:
    """What is predicted."""
    from tans.search import OWN

    if result.method != OWN:
        return (
            "Predicted: by the paper's predictor, which learnt from how networks do on tasks of "
            "their own; it ranks, and promises too much."
        )
    brackets = "; in brackets the interval that holds it for nine tasks in ten"
    return (
        f"Predicted: accuracy after a fine-tune of {result.epochs} epochs on these images"
        f"{brackets if result[0].low is not None else ''}."
    )


def unstated(tasks: Sequence[Task]) -> list[str]:
    """What follows for a zoo where licences of images are not stated, a sentence each."""
    return [
        f"{task.name}: the licence of its images is unstated, so --commercial will leave its "
        "networks out; state it with --licence"
        for task in tasks
        if task.card.licence == UNSTATED
    ]


def say_fetched(best: Match, zoo: str | None) -> None:
    """Say where a network of the catalogue lies, and how a zoo of one's own comes to have it."""
    network = best.id.rpartition("@")[0] or best.id
    if network.startswith("timm:"):
        where = "my_zoo" if zoo is None else shlex.quote(str(zoo))
        console.say(
            f"{network} is kept in the cache; a zoo of your own takes it with: tans zoo add "
            f"{shlex.quote(network)} --zoo {where}"
        )


def say_forbidden(result: SearchResult) -> None:
    """Say how many networks were left out for their licences."""
    if result.forbidden:
        console.say(
            f"{result.forbidden:,} networks are left out: a licence of what they came from forbids "
            "commercial use, or is not known."
        )


def say_shortened(result: SearchResult) -> None:
    """Say so when the minutes do for a shorter fine-tune only."""
    if result.shortened is not None:
        console.say(
            f"No network can be fine-tuned for {result.epochs} epochs in so many minutes: they are "
            f"counted for {result.shortened}, after which accuracy is mostly a few points lower."
        )


def say_related(result: SearchResult) -> None:
    """Say so when the zoo has nothing to offer but ImageNet."""
    if result.related is False:
        console.say(
            "Nothing in this zoo is related to your data, so an ImageNet network is proposed."
        )


def _columns(result: SearchResult) -> Iterator[tuple[str, Cell]]:
    """Columns of the table of matches that have something to say."""
    yield "", lambda rank, _: str(rank)
    yield "network", lambda _, match: match.id
    yield "trained on", lambda _, match: match.task
    yield ">params", lambda _, match: console.millions(match.params)
    yield ">MFLOPs", lambda _, match: f"{match.flops / 1e6:.1f}"
    if len({match.resolution for match in result}) > 1:
        yield ">pixels", lambda _, match: str(match.resolution)
    if result[0].latency_ms is not None:
        yield ">latency", lambda _, match: f"{match.latency_ms:.1f} ms"
    if result[0].minutes is not None:
        yield ">minutes", lambda _, match: f"{match.minutes:.1f}"
    yield ">predicted", lambda _, match: _predicted(match)
    if result[0].low is None:  # a second look says more than how alike the embeddings are
        yield ">similarity", lambda _, match: f"{match.similarity:.2f}"
    yield "licence", lambda _, match: _shortened(str(match.licences))


def _predicted(match: Match) -> str:
    """As in ``87.1 % (80-92)``."""
    share = console.percent(match.predicted_accuracy)
    if match.low is None or match.high is None:
        return share
    return f"{share} ({100 * match.low:.0f}-{100 * match.high:.0f})"


def _shortened(licence: str) -> str:
    return textwrap.shorten(licence, LICENCE_WIDTH, placeholder=" …", break_on_hyphens=False)


def _times(result: SearchResult) -> str:
    steps = [f"searched in {result.search_s * 1e3:.1f} ms"]
    if result.embedding_s:
        steps.insert(0, f"embedded the images in {result.embedding_s:.2f} s")
    if result.looks:
        steps.append(f"looked again at {len(result.looks)} sources in {result.look_s:.1f} s")
    times = ", ".join(steps)
    return f"{times[0].upper()}{times[1:]}."


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


def show_entries(zoo: Zoo, entries: Sequence[ZooEntry], title: str) -> None:
    rows = [
        (
            entry["id"],
            console.millions(entry["params"]),
            f"{entry['flops'] / 1e6:.1f}",
            str(entry["resolution"]),
            console.percent(entry["accuracy"]),
            entry["architecture"].partition(" {")[0],  # facts as JSON are for `tans zoo show`
        )
        for entry in describe_entries(zoo, entries)
    ]
    columns = ("network", ">params", ">MFLOPs", ">pixels", ">accuracy", "architecture")
    console.show_table(title, columns, rows)


@contextmanager
def build_bar(path: str) -> Iterator[Callable[[float, str], None]]:
    """The bar of a whole build; yields what moves it."""
    with console.progress(path, percent=True) as advance:
        yield lambda share, note: advance(share, 1, note)


def say_zoo(zoo: Zoo, how: str) -> None:
    """What a zoo holds that was made, and what it lacks."""
    console.say(
        f"{zoo.place} holds {len(zoo.entries(vectors=False))} networks of {len(zoo.tasks())} tasks "
        f"{how}"
    )
    console.say(f"Next: tans train --zoo {shlex.quote(zoo.place)}")


def show_trained(trained: Trained) -> None:
    found = trained.retrieval
    console.say(
        f"A known task's own network ranks first for {found.tasks.r1:.0%} of {found.queries} "
        f"held-out queries (chance {found.tasks_chance.r1:.0%})"
    )
    if trained.calibrator is None:
        console.say(
            "No second look: too few transfers were measured to learn from; "
            "run 'tans zoo transfers' on tasks of three kinds or more"
        )
    else:
        console.say(
            f"Accuracies are predicted from {trained.calibrator.trials} fine-tunes on other tasks"
        )


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
    console.show_table(f"{len(entries)} networks in {zoo.place}", columns, rows)
