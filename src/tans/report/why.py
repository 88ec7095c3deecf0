"""Why a network was proposed: the sources looked at, and whether the prediction came true."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from tans.report.blocks import bar, percent, section
from tans.report.charts import line_class
from tans.report.markup import Html, join, picture, tag
from tans.report.pictures import ELASTIC_BASE, Pictures, pictures_of, title_of
from tans.report.runs import Run
from tans.search import PAPER, Look, SearchResult
from tans.search.look import IMAGES
from tans.types import Match

SHOWN = 16
"""Images of each source that was looked at."""
NO_IMAGES = "The zoo keeps no images of this source."


def why(result: SearchResult, zoo: Pictures, runs: Sequence[Run]) -> Html:
    """The verdict on the zoo, its evidence, and predictions beside what was measured."""
    chosen = title_of(zoo, runs[0].source)
    return section(
        "Why this network",
        tag("p", _verdict(result, runs[0]), class_="verdict"),
        _evidence(result, zoo, chosen) if result.looks else join(),
        _promises(result, runs),
    )


def _verdict(result: SearchResult, run: Run) -> str:
    """Whether anything in the zoo is related to the data, in plain words."""
    best = result[0]
    said = {
        True: f"This zoo holds something related to your data: networks that learnt from "
        f"{best.task} are expected to do better on it than ImageNet's.",
        False: "Nothing in this zoo is related to your data: no source that was looked at is "
        "expected to do better than ImageNet, so an ImageNet network is proposed.",
        None: "No second look was taken, so it is not known whether this zoo holds anything "
        "related to your data: the networks are ranked by their embeddings alone.",
    }[result.related]
    if result.method == PAPER:
        said += (
            " It was searched as TANS was published: the nearest by their embeddings, and of these "
            "the one that the paper's predictor expects most of."
        )
    if run.source == best.id:
        return said
    return f"{said} The search proposed {best.id}; {run.source} was asked for by name."


def _evidence(result: SearchResult, zoo: Pictures, chosen: str) -> Html:
    """The sources that were looked at, the best probe first."""
    looks = sorted(result.looks, key=lambda look: -look.accuracy)
    note = (
        "Each bar is a probe: a linear classifier on the features of the source's largest network, "
        f"which is not trained for it, cross-validated on up to {IMAGES} of your training images. "
        "What a probe promises is not kept by every kind of network alike; the prediction weighs "
        "that, and the size of each network, so the longest bar need not win."
    )
    return join(
        tag("div", *(_look(look, zoo, chosen) for look in looks), class_="looks"),
        tag("p", note, class_="note"),
    )


def _look(look: Look, zoo: Pictures, chosen: str) -> Html:
    title = title_of(zoo, look.id)
    return tag(
        "div",
        tag("p", title, class_="name", title=look.id),
        _shown(title, pictures_of(zoo, look.task)),
        tag("p", bar(look.accuracy), percent(look.accuracy), class_="score"),
        class_="look chosen" if title == chosen else "look",
    )


def _shown(title: str, images: Tensor | None) -> Html:
    if images is not None:
        spread = images[:: max(1, len(images) // SHOWN)][:SHOWN]
        return picture(spread, SHOWN // 2, f"images of {title}", class_="sheet")
    if title.startswith(ELASTIC_BASE):
        return tag("p", "ImageNet's network, adapted once to all subnets of it.", class_="note")
    if title.startswith("ImageNet"):
        return tag("p", "The network as published, for photographs.", class_="note")
    return tag("p", NO_IMAGES, class_="note")


def _promises(result: SearchResult, runs: Sequence[Run]) -> Html:
    """What was predicted of each run, beside what came."""
    matches = {match.id: match for match in result}
    rows = [
        _promise(index, run, matches[run.source])
        for index, run in enumerate(runs)
        if run.source in matches
    ]
    title = tag("h3", "Predicted, and measured")
    if not rows:
        text = "Nothing was predicted for these networks: they are not among those proposed."
        return join(title, tag("p", text, class_="note"))
    others = {run.tuned.recipe.epochs or 0 for run in runs} - {result.epochs}
    note = "The line is the prediction, its band holds nine tasks in ten, the dot was measured."
    if others:
        note += f" Predictions are for {result.epochs} epochs; these fine-tunes had "
        note += " or ".join(str(epochs) for epochs in sorted(others)) + "."
    return join(title, tag("div", *rows, class_="promises"), tag("p", note, class_="note"))


def _promise(index: int, run: Run, match: Match) -> Html:
    swatch = tag("i", class_=f"swatch {line_class(index)}")
    right, total = run.tested
    measured = right / total if total else None
    return tag(
        "div",
        tag("p", swatch, run.label, class_="name"),
        _track(index, match, measured),
        tag("p", _kept(match, measured), class_="note"),
        class_="promise",
    )


def _track(index: int, match: Match, measured: float | None) -> Html:
    """The interval as a band from 0 to 100%, with marks at the prediction and the measurement."""
    low, high = match.low or 0.0, 1.0 if match.high is None else match.high
    band = tag("span", style=f"left:{100 * low:.1f}%;right:{100 * (1 - high):.1f}%", class_="band")
    tick = tag("span", style=f"left:{100 * match.predicted_accuracy:.1f}%", class_="tick")
    dot: Html | str = ""
    if measured is not None:
        dot = tag("span", style=f"left:{100 * measured:.1f}%", class_=f"dot {line_class(index)}")
    return tag("div", band if match.low is not None else "", tick, dot, class_="track")


def _kept(match: Match, measured: float | None) -> str:
    """Prediction and measurement in words, and whether the interval held."""
    said = f"predicted {percent(match.predicted_accuracy)}"
    bounds = None if match.low is None or match.high is None else (match.low, match.high)
    if bounds:
        said += f" ({100 * bounds[0]:.0f} to {100 * bounds[1]:.0f}%)"
    if measured is None:
        return f"{said}; there were no test images to hold it against"
    said += f", measured {percent(measured)}"
    if bounds is None:
        return said
    if bounds[1] - bounds[0] > 0.999:
        return f"{said}; the zoo holds too few measured fine-tunes for a narrower interval"
    if bounds[0] <= measured <= bounds[1]:
        return f"{said}: the interval held"
    off = max(bounds[0] - measured, measured - bounds[1])
    side = "below" if measured < bounds[0] else "above"
    return f"{said}: the interval did not hold, by {100 * off:.1f} points {side} it"
