"""Charts as inline SVG, coloured by the page's style sheet, so that they follow light and dark."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tans.report.markup import Html, join, tag

WIDTH, HEIGHT = 520, 300
LEFT, RIGHT, TOP, BOTTOM = 48, 14, 12, 46
COLOURS = 6
"""Line colours in the style sheet; later lines repeat them, dashed."""
CELL = 30
LABEL_LETTERS = 20
LETTER = 7.2
"""Width of a letter of a label, on average."""


@dataclass(frozen=True)
class Line:
    """One curve of a chart."""

    label: str
    points: tuple[tuple[float, float], ...]
    """(x, y); points with a NaN are left out."""
    marked: int
    """Index of the point that stands out."""


def line_chart(lines: Sequence[Line], x_title: str, alt: str, whole: bool = False) -> Html:
    """Curves of shares, y in [0, 1] shown as per cent; ``whole`` keeps x ticks to integers."""
    values = [p for line in lines for p in line.points if not math.isnan(sum(p))]
    if not values:
        return tag("p", "There were no validation images to draw this from.", class_="note")
    across = ticks(0.0, max(x for x, _ in values), least=float(whole))
    up = ticks(min(y for _, y in values), max(y for _, y in values))
    place = _scale(across, up)
    body = join(
        _axes(across, up, x_title, place), *(_curve(i, c, place) for i, c in enumerate(lines))
    )
    return _svg(WIDTH, HEIGHT, alt, body)


def confusion_chart(counts: np.ndarray, classes: Sequence[str], alt: str) -> Html:
    """Counts of (true class, predicted class), (c, c), shaded by their share of the row."""
    side = CELL * len(classes)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    longest = LETTER * max(len(shorten(name)) for name in classes)
    left, top = round(longest) + 14, round(0.77 * longest) + 20  # 0.77 is the sine of 50 degrees
    parts = [_label(name, left - 8, top + CELL * (i + 0.62)) for i, name in enumerate(classes)]
    parts += [
        _label(name, left + CELL * (i + 0.6), top - 8, slanted=True)
        for i, name in enumerate(classes)
    ]
    cells = join(
        *(
            _cell(row, column, int(counts[row, column]), float(shares[row, column]), classes)
            for row in range(len(classes))
            for column in range(len(classes))
        )
    )
    parts.append(tag("g", cells, transform=f"translate({left} {top})"))
    return _svg(left + side + round(0.64 * longest) + 6, top + side + 4, alt, join(*parts))


def ticks(low: float, high: float, count: int = 5, least: float = 0.0) -> list[float]:
    """About ``count`` round numbers, at least ``least`` apart, that enclose both ends."""
    span = max(high - low, 1e-2)
    step = 10.0 ** math.floor(math.log10(span / count))
    step *= next(m for m in (1, 2, 5, 10) if span / (m * step) <= count)
    step = max(step, least)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 10) for i in range(first, max(last, first + 1) + 1)]


def line_class(index: int) -> str:
    """Style class of the curve of that index."""
    return f"line{index % COLOURS}" + (" dashed" if index >= COLOURS else "")


def shorten(name: str, letters: int = LABEL_LETTERS) -> str:
    """A name of at most that many letters, cut in the middle, as many differ at the end."""
    end = letters // 2 - 1
    return name if len(name) <= letters else f"{name[: letters - end - 1]}…{name[-end:]}"


Place = Callable[[float, float], tuple[float, float]]


def _scale(across: Sequence[float], up: Sequence[float]) -> Place:
    width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def place(x: float, y: float) -> tuple[float, float]:
        right = (x - across[0]) / (across[-1] - across[0])
        above = (y - up[0]) / (up[-1] - up[0])
        return round(LEFT + width * right, 1), round(TOP + height * (1 - above), 1)

    return place


def _axes(across: Sequence[float], up: Sequence[float], x_title: str, place: Place) -> Html:
    floor = HEIGHT - BOTTOM
    parts = []
    digits = 1 if round(100 * (up[1] - up[0]), 6) % 1 else 0
    for y in up:
        height = place(across[0], y)[1]
        parts.append(tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=height, y2=height, class_="grid"))
        text = f"{100 * y:.{digits}f}%"
        parts.append(tag("text", text, x=LEFT - 8, y=height + 4, text_anchor="end"))
    for x in across:
        left = place(x, up[0])[0]
        parts.append(tag("text", f"{x:g}", x=left, y=floor + 18, text_anchor="middle"))
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(tag("text", x_title, x=middle, y=HEIGHT - 6, text_anchor="middle"))
    return join(*parts)


def _curve(index: int, line: Line, place: Place) -> Html:
    places = [None if math.isnan(x + y) else place(x, y) for x, y in line.points]
    drawn = " ".join(f"{p[0]},{p[1]}" for p in places if p)
    dots = [
        tag(
            "circle",
            tag("title", f"{line.label}: {100 * y:.1f}% at {x:.3g}"),
            cx=at[0],
            cy=at[1],
            r=5 if i == line.marked else 2.8,
        )
        for i, ((x, y), at) in enumerate(zip(line.points, places, strict=True))
        if at
    ]
    return tag("g", tag("polyline", points=drawn), *dots, class_=line_class(index))


def _label(name: str, x: float, y: float, slanted: bool = False) -> Html:
    turn = f"rotate(-50 {x:g} {y:g})" if slanted else None
    return tag(
        "text",
        tag("title", name),
        shorten(name),
        x=f"{x:g}",
        y=f"{y:g}",
        text_anchor="start" if slanted else "end",
        transform=turn,
    )


def _cell(row: int, column: int, count: int, share: float, classes: Sequence[str]) -> Html:
    x, y = CELL * column, CELL * row
    kind = "right" if row == column else "wrong"
    title = f"{classes[row]} taken for {classes[column]}: {count} ({share:.0%})"
    box = tag(
        "rect",
        tag("title", title),
        x=x + 1,
        y=y + 1,
        width=CELL - 2,
        height=CELL - 2,
        rx=3,
        class_=kind,
        style=f"--share:{round(100 * share)}%",
    )
    if not count:
        return box
    dark = "number strong" if share > 0.55 else "number"
    text = tag("text", count, x=x + CELL / 2, y=y + CELL / 2 + 4, class_=dark, text_anchor="middle")
    return join(box, text)


def _svg(width: float, height: float, alt: str, body: Html) -> Html:
    box = f"0 0 {width:g} {height:g}"
    return tag("svg", body, viewBox=box, role="img", aria_label=alt, width=width, height=height)
