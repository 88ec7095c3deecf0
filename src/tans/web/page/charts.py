"""Charts of the page as inline SVG, coloured by its style sheet; a text stands beside each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tans.report.charts import Line, line_chart, ticks
from tans.report.markup import Html, join, tag
from tans.types import Match
from tans.web.page.limits import short
from tans.web.page.plane import Array, Plane
from tans.web.page.ranking import Cost, front
from tans.web.schemas import EpochAnswer, JobAnswer

WIDTH, HEIGHT = 520, 360
LEFT, RIGHT, TOP, BOTTOM = 48, 16, 14, 46
MARKED = 24
"""Networks of the front that get a dot each, if there are no more."""
NAMED = 5
"""Sources that the map names beside those most similar to the dataset, if there is room."""
CLEAR = 15.0
"""Height of a name on the map."""
LETTER = 7.2
"""Width of a letter there, on average."""
UNITS: dict[Cost, str] = {
    "params": "parameters",
    "flops": "multiply-adds for one image",
    "latency_ms": "milliseconds for one image",
}


# Accuracy against cost


@dataclass(frozen=True)
class Axes:
    """A logarithmic axis of costs and one of accuracies."""

    costs: tuple[float, float]
    accuracies: tuple[float, ...]
    """Ticks, ascending."""

    @classmethod
    def over(cls, matches: Sequence[Match], cost: Cost) -> Axes:
        values = [math.log10(max(getattr(match, cost), 1e-3)) for match in matches]
        up = ticks(
            min(match.predicted_accuracy for match in matches),
            max(match.predicted_accuracy for match in matches),
        )
        return cls((min(values) - 0.05, max(values) + 0.05), tuple(up))

    def place(self, cost: float, accuracy: float) -> tuple[float, float]:
        (low, high), up = self.costs, self.accuracies
        right = (math.log10(max(cost, 1e-3)) - low) / (high - low)
        above = (accuracy - up[0]) / (up[-1] - up[0])
        return (
            round(LEFT + (WIDTH - LEFT - RIGHT) * right, 1),
            round(TOP + (HEIGHT - TOP - BOTTOM) * (1 - above), 1),
        )


def tradeoff(
    everything: Sequence[Match], within: Sequence[Match], cost: Cost, chosen: Match | None
) -> Html:
    """Predicted accuracy against a cost: all networks faint, those within limits, their front.

    Args:
        everything: networks, those that do not fit too.
    """
    known = [match for match in everything if getattr(match, cost) is not None]
    if not known:
        return tag("p", "Nothing is known of this cost yet.", class_="note")
    axes, best = Axes.over(known, cost), front(within, cost)

    def place(match: Match) -> tuple[float, float]:
        return axes.place(getattr(match, cost), match.predicted_accuracy)

    fitting = {match.id for match in within}
    body = [
        _frame(axes, UNITS[cost]),
        _dots([place(match) for match in known if match.id not in fitting], "faint"),
        _dots([place(match) for match in known if match.id in fitting], "dots"),
        _steps([place(match) for match in best]),
        *(
            _dot(match, place(match), "front", 4.5)
            for match in best[: MARKED * (len(best) <= MARKED)]
        ),
    ]
    if chosen is not None and getattr(chosen, cost) is not None:
        body.append(_dot(chosen, place(chosen), "chosen", 8))
    return _svg(front_in_words(within, cost), join(*body))


def front_in_words(within: Sequence[Match], cost: Cost) -> str:
    """What the chart of accuracy against cost shows, in a sentence or two."""
    best = front(within, cost)
    if not best:
        return "No network within these limits has a known cost."
    last = best[-1]
    text = (
        f"The most accurate is expected to reach {share(last.predicted_accuracy)} with "
        f"{short(getattr(last, cost))} {UNITS[cost]}."
    )
    cheap = next(m for m in best if m.predicted_accuracy >= last.predicted_accuracy - 0.01)
    if cheap is not last:
        text += (
            f" Within one point of it, {short(getattr(cheap, cost))} do "
            f"({share(cheap.predicted_accuracy)}, {cheap.id})."
        )
    count = len(best)
    return f"{text} {count} network{'s are' if count > 1 else ' is'} on the Pareto front."


def _frame(axes: Axes, unit: str) -> Html:
    floor, parts = HEIGHT - BOTTOM, []
    for y in axes.accuracies:
        at = axes.place(1, y)[1]
        parts.append(tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=at, y2=at, class_="grid"))
        parts.append(tag("text", f"{100 * y:g}%", x=LEFT - 8, y=at + 4, text_anchor="end"))
    for value in _log_ticks(*axes.costs):
        at = axes.place(value, axes.accuracies[0])[0]
        parts.append(tag("line", x1=at, x2=at, y1=floor, y2=floor + 5, class_="grid"))
        parts.append(tag("text", _brief(value), x=at, y=floor + 20, text_anchor="middle"))
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(tag("text", unit, x=middle, y=HEIGHT - 5, text_anchor="middle"))
    return join(*parts)


def _log_ticks(low: float, high: float) -> list[float]:
    """Round numbers between two powers of ten, some."""
    of = (1, 2, 5) if high - low < 2.4 else (1,)
    powers = range(math.floor(low), math.ceil(high) + 1)
    values = [factor * 10.0**power for power in powers for factor in of]
    return [value for value in values if low <= math.log10(value) <= high]


def _brief(value: float) -> str:
    for size, letter in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def _steps(places: Sequence[tuple[float, float]]) -> Html:
    """A stair through points, cheapest first: what more cost brings."""
    points = []
    for (x, y), before in zip(places, [None, *places], strict=False):
        points += [] if before is None else [f"{x},{before[1]}"]
        points.append(f"{x},{y}")
    return tag("polyline", points=" ".join(points), class_="stair")


def _dots(places: Sequence[tuple[float, float]], kind: str) -> Html:
    """Many points as one path, which a browser draws at once."""
    drawn = "".join(f"M{x} {y}h0" for x, y in dict.fromkeys(places))
    return tag("path", d=drawn, class_=kind)


def _dot(match: Match, at: tuple[float, float], kind: str, radius: float) -> Html:
    title = tag("title", f"{match.id}: {share(match.predicted_accuracy)}")
    return tag("circle", title, cx=at[0], cy=at[1], r=radius, class_=kind)


# The map


@dataclass(frozen=True)
class Named:
    """A place on the map with a name."""

    name: str
    at: tuple[float, float]
    near: bool
    """Whether it is among those most similar to the dataset."""


def plane_map(plane: Plane, query: Array, chosen: str | None, alt: str) -> Html:
    """Networks as faint dots, sources as circles with names, the dataset as a cross.

    Args:
        query: embedding of the dataset (d,).
        chosen: source of the chosen network.
    """
    sources = {name: _on_map(middle) for name, middle in plane.sources().items()}
    order = [name for name, _ in plane.similar(query)]
    near = set(order[:NAMED]) | ({chosen} if chosen in sources else set())
    yours = _on_map(plane.place(query))
    circles = [
        tag(
            "circle",
            tag("title", name),
            cx=x,
            cy=y,
            r=7,
            class_="source chosen" if name == chosen else "source",
        )
        for name, (x, y) in sources.items()
    ]
    # the most similar get their names first
    ranked = sorted(sources, key=lambda name: (name != chosen, order.index(name)))
    named = [Named(name, sources[name], name in near) for name in ranked]
    dots = _dots([_on_map(place) for place in plane.places], "faint")
    return _svg(alt, join(dots, *circles, _names(named, yours), _cross(yours)))


def _on_map(place: Array) -> tuple[float, float]:
    x, y = float(place[0]), float(place[1])
    return round(24 + (WIDTH - 48) * x, 1), round(24 + (HEIGHT - 48) * y, 1)


def _names(named: Sequence[Named], yours: tuple[float, float]) -> Html:
    """Names that find room, one after another; the dataset's first."""
    taken = [_box("your images", yours, 0.0, 8.4)]
    parts = [_text("your images", taken[0], "yours")]
    for each in named:
        boxes = (_box(each.name, each.at, shift) for shift in (0.0, 30.0))
        free = next((box for box in boxes if not any(_overlap(box, b) for b in taken)), None)
        if free is not None:
            taken.append(free)
            parts.append(_text(each.name, free, "near" if each.near else "far"))
    return join(*parts)


Box = tuple[float, float, float, float]


def _box(name: str, at: tuple[float, float], shift: float, letter: float = LETTER) -> Box:
    """Left, top, right and bottom of a name above its place, or below by a shift."""
    width = letter * len(name)
    left = min(max(at[0] - width / 2, 2.0), WIDTH - width - 2)
    top = min(max(at[1] - 24 + shift, 0.0), HEIGHT - CLEAR)
    return left, top, left + width, top + CLEAR


def _overlap(one: Box, other: Box) -> bool:
    return (
        one[0] < other[2] + 4 and other[0] < one[2] + 4 and one[1] < other[3] and other[1] < one[3]
    )


def _text(name: str, box: Box, kind: str) -> Html:
    middle = round((box[0] + box[2]) / 2, 1)
    return tag("text", name, x=middle, y=round(box[3] - 3, 1), text_anchor="middle", class_=kind)


def _cross(at: tuple[float, float]) -> Html:
    x, y = at
    title = tag("title", "your images")
    drawn = f"M{x - 8} {y}h16M{x} {y - 8}v16"
    return tag("path", title, d=drawn, class_="cross")


# A fine-tune


def curve(job: JobAnswer) -> Html:
    """Validation accuracy by epoch, as far as a fine-tune is; marked is the one that is kept."""
    points = tuple(
        (float(epoch.epoch), math.nan if epoch.val_accuracy is None else epoch.val_accuracy)
        for epoch in job.history
    )
    if not any(np.isfinite(y) for _, y in points):
        return Html("")
    marked = job.history.index(_standing(job))
    return line_chart(
        [Line("validation", points, marked)], "epoch", curve_in_words(job), whole=True
    )


def curve_in_words(job: JobAnswer) -> str:
    """How the network stands, in a sentence."""
    if not job.history or (accuracy := _standing(job).val_accuracy) is None:
        return "No epoch is done yet."
    return (
        f"After epoch {_standing(job).epoch}, {share(accuracy)} of the validation images are "
        "classified rightly."
    )


def _standing(job: JobAnswer) -> EpochAnswer:
    """The epoch that is kept; the last one while training goes on."""
    if job.outcome is None:
        return job.history[-1]
    return next(epoch for epoch in job.history if epoch.epoch == job.outcome.best_epoch)


def share(value: float) -> str:
    """As in ``87.1 %``."""
    return f"{100 * value:.1f} %"


def _svg(alt: str, body: Html) -> Html:
    box = f"0 0 {WIDTH} {HEIGHT}"
    return tag("svg", body, viewBox=box, role="img", aria_label=alt, class_="chart")
