"""The parts of the page, in the order in which they are read."""

from __future__ import annotations

import math
import platform
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import torch
from torch import Tensor

from tans.export.card import tans_version
from tans.report.blocks import bar, figure, millions, percent, section, table
from tans.report.charts import Line, confusion_chart, line_chart, line_class
from tans.report.markup import Html, join, picture, tag
from tans.report.runs import Run
from tans.scores import difference
from tans.search import SearchResult
from tans.search.curve import Curve
from tans.tasks.check import counts, warnings
from tans.tasks.images import resize
from tans.tasks.task import SPLITS, Task
from tans.training import FineTuned
from tans.types import Match

SHOWN_CLASSES = 24
"""Classes whose images are shown; the others are named."""
STRIP = 5
"""Images side by side of each class."""
SHOWN_IMAGES = 60
"""Images shown together, where there are few classes; each class has one strip to four."""
THUMBNAIL = 64
RECALLS = 24
"""Classes whose recall is shown at once; of more, the others are folded away."""
MATRIX_CLASSES = 24
"""Classes that the confusion matrix shows: of more, those with the most mistakes."""
MIX_UPS = 6
SHOWN_MATCHES = 20
BALANCED = "Balanced accuracy is the mean recall, in which every class counts alike."
GONE_ON = "none: training went on from a fine-tuned network"
TIMES = {"latency_ms": ("Latency", "ms"), "minutes": ("Fine-tune", "min")}
"""Fields of a match that are only known where they were asked for: their title and unit."""


def heading(task: Task, runs: Sequence[Run]) -> Html:
    """Title, the data in one sentence, each network's accuracies, and what follows from them."""
    return tag(
        "header",
        tag("p", "tans report", class_="eyebrow"),
        tag("h1", task.name),
        tag("p", _lede(task), class_="lede"),
        tag("div", *(_tile(index, run) for index, run in enumerate(runs)), class_="tiles"),
        tag("p", _verdict(runs), class_="verdict"),
        _beware(runs[0]),
    )


def images(task: Task, source: str | None, thumbnails: Tensor | None) -> Html:
    """The user's images by class, beside those that the chosen network was trained on."""
    yours = tag("div", tag("h3", "Yours"), _by_class(task))
    theirs = tag("div", tag("h3", _learnt_from(source)), _sheet(source, thumbnails))
    return section("The images", tag("div", yours, theirs, class_="beside"))


def own_images(task: Task) -> Html:
    """The user's images by class."""
    return section("Some images of each class", _by_class(task))


def data_heading(task: Task) -> Html:
    """Title, and the data in one sentence."""
    return tag(
        "header",
        tag("p", "tans check", class_="eyebrow"),
        tag("h1", task.name),
        tag("p", _lede(task), class_="lede"),
    )


def noticed(task: Task) -> Html:
    """What was understood of the data, and what is odd about it."""
    layout = task.found.layout
    understood = tag("p", f"Taken for {layout}.") if layout else join()
    items = [tag("li", f"{told[0].upper()}{told[1:]}.") for told in warnings(task)]
    odd = tag("ul", *items) if items else tag("p", "Nothing odd was found.", class_="note")
    return section("What was noticed of the data", understood, odd)


def more_images(curve: Curve) -> Html:
    """Accuracy on frozen features against images, and what twice as many may bring."""
    title = "What more images may bring"
    if curve.untold is not None:
        return section(title, tag("p", curve.words()))
    measured = tuple(zip(map(float, curve.learnt_from), curve.accuracies, strict=True))
    expected = ((float(curve.images), curve.now), (2.0 * curve.images, curve.now + curve.gain))
    lines = [Line("measured", measured, marked=-1), Line("expected", expected, marked=1)]
    legend = [
        tag("span", tag("i", class_=f"swatch {line_class(index)}"), line.label)
        for index, line in enumerate(lines)
    ]
    alt = "Accuracy on frozen features against training images"
    note = (
        "A linear classifier on the features of a network that stays as it is, cross-validated. A "
        "fine-tuned network mostly does better with the same images. The large dot is what a line "
        "through the measured points, in log odds, expects of twice as many; in brackets the "
        "interval that is meant to hold the gain nine times in ten."
    )
    told = (
        tag("p", curve.words()),
        tag("p", *legend, class_="legend"),
        tag("p", note, class_="note"),
    )
    chart = figure(alt, line_chart(lines, "training images", alt))
    return section(title, tag("div", chart, tag("div", *told), class_="charts"))


def class_table(task: Task) -> Html:
    """How many images of each class are in each split."""
    rows: list[list[object]] = [
        [name, *row, sum(row)]
        for name, row in zip(task.classes, counts(task).tolist(), strict=True)
    ]
    head = ["Class", *(f"{split.capitalize()} images" for split in SPLITS), "Together"]
    return section("Classes and splits", table(head, rows, text={0}))


def ranking(result: SearchResult, chosen: str) -> Html:
    """The networks proposed, with what each costs."""
    matches = result.matches[:SHOWN_MATCHES]
    asked = [name for name in TIMES if any(getattr(m, name) is not None for m in matches)]
    head = ["", "Network", "Source task", "Parameters", "MFLOPs", "Input"]
    head += [TIMES[name][0] for name in asked] + ["Predicted accuracy", "Similarity", "Licence"]
    rows = [_ranked(place, match, asked) for place, match in enumerate(matches, 1)]
    classes = ["chosen" if match.id == chosen else None for match in matches]
    note = (
        "Parameters and multiply-adds include a head for these classes. Predicted accuracy is that "
        f"expected on the test images after the default fine-tune of {result.epochs} epochs"
    )
    if any(match.low is not None for match in matches):
        note += "; in brackets the interval that holds it for nine tasks in ten"
    return section(
        "The ranking",
        table(head, rows, text={1, 2, len(head) - 1}, row_classes=classes),
        tag("p", f"{note}.", class_="note"),
    )


def curves(runs: Sequence[Run]) -> Html:
    """Balanced validation accuracy against epochs and against seconds."""
    by_epoch = [_line(run, [float(epoch.epoch) for epoch in run.tuned.history]) for run in runs]
    by_second = [_line(run, [epoch.seconds for epoch in run.tuned.history]) for run in runs]
    legend = [
        tag("span", tag("i", class_=f"swatch {line_class(index)}"), run.label)
        for index, run in enumerate(runs)
    ]
    epochs = "Balanced validation accuracy against epochs"
    seconds = "Balanced validation accuracy against seconds of training"
    return section(
        "Learning",
        tag("p", *legend, class_="legend"),
        tag(
            "div",
            figure(epochs, line_chart(by_epoch, "epoch", epochs, whole=True)),
            figure(seconds, line_chart(by_second, "seconds", seconds)),
            class_="charts",
        ),
        tag("p", f"The large dot is the epoch that was kept. {BALANCED}", class_="note"),
    )


def run_table(runs: Sequence[Run]) -> Html:
    """Costs and accuracies of every run."""
    head = ["Run", "Began from", "Parameters", "MFLOPs", "Epochs", "Seconds"]
    head += [
        "Validation accuracy",
        "Balanced validation",
        "Test accuracy",
        "Balanced test accuracy",
    ]
    rows = [_run_row(index, run) for index, run in enumerate(runs)]
    note = "Validation figures are those of the epoch kept; in brackets 95% intervals."
    costs = tag("div", table(head, rows, text={0, 1}), class_="tight")
    return section("The runs", costs, tag("p", note, class_="note"))


def recalls(runs: Sequence[Run]) -> Html:
    """How many images of each class every run found, and what guessing would get."""
    title, scores = "Class by class", runs[0].tuned.scores
    if not scores.images:
        return section(title, tag("p", "There were no test images."))
    order = scores.worst_first
    rest = order[RECALLS:]
    note = (
        "Each bar is a recall: the share of a class's test images that were found. The classes "
        f"stand in the order of {runs[0].label}, the lowest first. {BALANCED}"
    )
    return section(
        title,
        tag("p", scores.guessing()),
        _recall_table(runs, order[:RECALLS]),
        tag(
            "details",
            tag("summary", f"and {len(rest)} more classes"),
            _recall_table(runs, rest),
        )
        if rest
        else join(),
        tag("p", note, class_="note"),
    )


def confusion(task: Task, run: Run) -> Html:
    """What the best run takes for what on the test images."""
    counts = run.tuned.confusion.numpy()
    if not counts.sum():
        return section("What is taken for what", tag("p", "There were no test images."))
    wrong = counts - np.diag(np.diag(counts))
    shown = np.arange(len(counts))
    if len(counts) > MATRIX_CLASSES:
        mistakes = wrong.sum(0) + wrong.sum(1)
        shown = np.sort(np.argsort(-mistakes, kind="stable")[:MATRIX_CLASSES])
    names = [task.classes[index] for index in shown]
    title = f"Confusion matrix of {run.label}"
    return section(
        "What is taken for what",
        tag("p", _matrix_note(run, len(counts)), class_="note"),
        tag(
            "div",
            tag("div", confusion_chart(counts[np.ix_(shown, shown)], names, title), class_="wide"),
            _mix_ups(wrong, counts.sum(1), task.classes),
            class_="matrix",
        ),
    )


def making(task: Task, result: SearchResult | None, runs: Sequence[Run]) -> Html:
    """Versions, times, recipe: what is needed to make it again."""
    facts = [
        (
            "Versions",
            f"tans {tans_version()}, torch {torch.__version__}, Python {platform.python_version()}",
        ),
        ("Device", f"{platform.machine()}, {torch.get_num_threads()} threads"),
        ("Search", _searched(result, runs[0].tuned)),
        ("Probabilities", runs[0].tuned.calibration.words()),
        ("Other images", runs[0].tuned.novelty.words()),
        ("Reading", "; ".join(task.found.reading.words()) or "8 bits for each colour"),
        ("Training images", f"read from {task.card.source}; licence {task.card.licence}"),
    ]
    facts += [
        (f"Licences of what {run.label} came from", str(run.tuned.licences))
        for run in runs
        if run.tuned.licences is not None
    ]
    recipes = {run.label: run.tuned.recipe for run in runs}
    if len(set(recipes.values())) == 1:
        recipes = {"every run": next(iter(recipes.values()))}
    facts += [
        (
            f"Recipe of {label}",
            ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in asdict(r).items()),
        )
        for label, r in recipes.items()
    ]
    facts += [
        (f"{run.label} learnt from", "; ".join(f"{e.id}, {e.licence}" for e in run.tuned.teachers))
        for run in runs
        if run.tuned.teachers
    ]
    terms = [join(tag("dt", name), tag("dd", value)) for name, value in facts]
    kept = (
        "its weights are their mean over the last steps"
        if all(recipe.average for recipe in recipes.values())
        else "the epoch was chosen on the validation images"
    )
    method = (
        f"Each network was fine-tuned under a new head by SGD with one cosine decay; {kept}, and "
        "the test images were looked at once, at the end."
    )
    return section("How it was made", tag("p", method), tag("dl", *terms))


def _tile(index: int, run: Run) -> Html:
    scores = run.tuned.scores
    low, high = scores.interval
    interval = f"95% interval {100 * low:.1f} to {100 * high:.1f}% on {scores.images:,} test images"
    guess = f"always guessing {scores.commonest}: {percent(scores.commonest_share)}"
    figures = (
        (
            _number(scores.accuracy, "accuracy"),
            _number(scores.balanced_accuracy, "balanced accuracy"),
        )
        if scores.images
        else (tag("p", "no test images", class_="number"),)
    )
    return tag(
        "div",
        tag("p", tag("i", class_=f"swatch {line_class(index)}"), run.label, class_="name"),
        tag("div", *figures, class_="figures"),
        tag("p", interval if scores.images else "", class_="note"),
        tag("p", guess if scores.images else "", class_="note"),
        tag("p", f"{run.source}, {millions(run.costs.params)} parameters", class_="note"),
        class_="tile chosen" if index == 0 else "tile",
    )


def _number(share: float, name: str) -> Html:
    """A large share above its name."""
    return tag("p", tag("span", percent(share), class_="number"), tag("span", name, class_="note"))


def _beware(run: Run) -> Html:
    """What to beware of when reading a run's scores."""
    sentences = run.tuned.scores.warnings()
    if not sentences:
        return join()
    items = (tag("li", sentence) for sentence in sentences)
    return tag(
        "div", tag("h3", f"Beware of {run.label}'s figures"), tag("ul", *items), class_="beware"
    )


def _verdict(runs: Sequence[Run]) -> str:
    """The difference between the chosen network and the best beside it, and whether to trust it."""
    chosen, *others = runs
    if not others or not chosen.tested[1]:
        return f"{chosen.label} was fine-tuned from {chosen.source}."
    other = max(others, key=lambda run: run.tuned.test_accuracy)
    points = 100 * (chosen.tuned.test_accuracy - other.tuned.test_accuracy)
    low, high = difference(chosen.tested, other.tested)
    size = f"{abs(points):.1f} points {'above' if points > 0 else 'below'}"
    if abs(points) < 0.05:
        size = "level with"
    trust = (
        f"The interval includes 0: with {chosen.tested[1]:,} test images this may be chance."
        if low <= 0 <= high
        else "The interval excludes 0: it is more than chance explains."
    )
    return (
        f"{chosen.label} is {size} {other.label} in test accuracy (95% interval of the "
        f"difference: {100 * low:+.1f} to {100 * high:+.1f}). {trust}"
    )


def _lede(task: Task) -> str:
    """The data in one sentence."""
    train, val, test = counts(task).sum(0).tolist()
    splits = f"{train:,} to train, {val:,} to validate, {test:,} to test"
    return f"{len(task):,} images in {len(task.classes)} classes: {splits}."


def _by_class(task: Task) -> Html:
    """A strip of training images for each class."""
    shown = task.classes[:SHOWN_CLASSES]
    each = STRIP * min(4, max(1, SHOWN_IMAGES // (STRIP * len(task.classes))))
    pixels, labels = task.sample(each * len(task.classes), THUMBNAIL)
    strips = [_strip(name, pixels[labels == index][:each]) for index, name in enumerate(shown)]
    rest = task.classes[SHOWN_CLASSES:]
    more = tag("details", tag("summary", f"and {len(rest)} more classes"), ", ".join(rest))
    return join(tag("div", *strips, class_="strips"), more if rest else "")


def _strip(name: str, pixels: Tensor) -> Html:
    caption = tag("figcaption", name, title=name)
    return tag("figure", picture(pixels, STRIP, f"images of {name}"), caption, class_="strip")


def _learnt_from(source: str | None) -> str:
    return f"What the chosen network learnt from: {source}" if source else "Its source"


def _sheet(source: str | None, thumbnails: Tensor | None) -> Html:
    if thumbnails is None:
        return tag("p", "The zoo keeps no images of this source.", class_="note")
    pixels = thumbnails if thumbnails.shape[-1] == THUMBNAIL else resize(thumbnails, THUMBNAIL)
    return picture(pixels, 8, f"64 images of {source}", class_="sheet")


def _ranked(place: int, match: Match, asked: Sequence[str]) -> list[object]:
    known = [(getattr(match, name), TIMES[name][1]) for name in asked]
    return [
        place,
        tag("code", match.id),
        match.task,
        millions(match.params),
        f"{match.flops / 1e6:.1f}",
        f"{match.resolution} px",
        *("" if value is None else f"{value:.1f} {unit}" for value, unit in known),
        join(bar(match.predicted_accuracy), _expected(match)),
        f"{match.similarity:.3f}",
        str(match.licences),
    ]


def _expected(match: Match) -> str:
    """Predicted accuracy, with its interval where there is one."""
    if match.low is None or match.high is None:
        return percent(match.predicted_accuracy)
    interval = f"{100 * match.low:.0f} to {100 * match.high:.0f}"
    return f"{percent(match.predicted_accuracy)} ({interval})"


def _run_row(index: int, run: Run) -> list[object]:
    scores, kept = run.tuned.scores, run.kept
    return [
        join(tag("i", class_=f"swatch {line_class(index)}"), run.label),
        tag("code", run.source),
        millions(run.costs.params),
        f"{run.costs.flops / 1e6:.1f}",
        f"{run.tuned.history[-1].epoch} (kept {run.tuned.best_epoch})",
        f"{run.tuned.seconds:.1f}",
        _known(kept.val_accuracy),
        _known(kept.val_balanced),
        _known(scores.accuracy, scores.interval),
        _known(scores.balanced_accuracy, scores.balanced_interval),
    ]


def _known(share: float, interval: tuple[float, float] | None = None) -> str:
    """A share, with its interval if given, or that there is none."""
    if math.isnan(share):
        return "none"
    between = f" ({100 * interval[0]:.0f} to {100 * interval[1]:.0f})" if interval else ""
    return percent(share) + between


def _recall_table(runs: Sequence[Run], order: Sequence[int]) -> Html:
    """Recall of some classes, by index, in every run."""
    scores = runs[0].tuned.scores
    head = ["Class", "Test images", *(f"Recall of {run.label}" for run in runs)]
    rows = [
        [scores.classes[index], f"{scores.support[index]:,}"]
        + [_recall(run.tuned.scores.recalls[index]) for run in runs]
        for index in order
    ]
    return tag("div", table(head, rows, text={0, *range(2, len(head))}), class_="recalls")


def _recall(share: float) -> Html | str:
    return "unknown" if math.isnan(share) else join(bar(share), percent(share))


def _line(run: Run, across: Sequence[float]) -> Line:
    heights = [epoch.val_balanced for epoch in run.tuned.history]
    kept = [epoch.epoch for epoch in run.tuned.history].index(run.tuned.best_epoch)
    return Line(run.label, tuple(zip(across, heights, strict=True)), kept)


def _searched(result: SearchResult | None, tuned: FineTuned) -> str:
    if tuned.origin is not None:
        return GONE_ON
    if result is None:
        return "none: the network was named"
    times = (
        f"{result.embedding_s:.2f} s to embed the images, "
        f"{1e3 * result.search_s:.1f} ms to rank the networks"
    )
    if result.looks:
        times += f", {result.look_s:.1f} s for a second look at {len(result.looks)} of them, "
        times += f"{result.look_share(tuned.seconds):.0%} of search and training"
    return times


def _matrix_note(run: Run, classes: int) -> str:
    note = (
        f"{run.label} on the {run.tested[1]:,} test images: rows are the true classes, columns "
        "what the network says, shades are shares of a row."
    )
    if classes > MATRIX_CLASSES:
        note += f" Of the {classes} classes, the {MATRIX_CLASSES} with the most mistakes."
    return note


def _mix_ups(wrong: np.ndarray, totals: np.ndarray, classes: Sequence[str]) -> Html:
    """The most frequent mistakes, in words."""
    order = np.argsort(-wrong, axis=None, kind="stable")[:MIX_UPS]
    pairs = [divmod(int(cell), len(classes)) for cell in order]
    rows: list[list[object]] = [
        [classes[true], classes[said], f"{wrong[true, said]} of {totals[true]}"]
        for true, said in pairs
        if wrong[true, said]
    ]
    if not rows:
        return tag("p", "No test image was mistaken.", class_="note")
    mistakes = table(["True", "Taken for", "Images"], rows, text={0, 1})
    return tag("div", tag("h3", "Most frequent mistakes"), mistakes)
