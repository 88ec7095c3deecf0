"""What several parts of the page are put together from."""

from __future__ import annotations

from collections.abc import Sequence

from tans.report.markup import Html, tag


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[object]],
    text: set[int],
    row_classes: Sequence[str | None] | None = None,
) -> Html:
    """A table; the columns in ``text`` are set as text, the others as numbers."""
    kinds = [None if column in text else "number" for column in range(len(head))]
    titles = [tag("th", cell, class_=kind) for cell, kind in zip(head, kinds, strict=True)]
    lines = [
        tag(
            "tr",
            *(tag("td", cell, class_=kind) for cell, kind in zip(row, kinds, strict=True)),
            class_=name,
        )
        for row, name in zip(rows, row_classes or [None] * len(rows), strict=True)
    ]
    whole = tag("table", tag("thead", tag("tr", *titles)), tag("tbody", *lines))
    return tag("div", whole, class_="wide")


def section(title: str, *content: Html) -> Html:
    """A part of the page under its title."""
    return tag("section", tag("h2", title), *content)


def figure(caption: str, chart: Html) -> Html:
    """A chart under what it shows."""
    return tag("figure", tag("figcaption", caption), chart)


def millions(count: int) -> str:
    """As in ``2.31 M``."""
    return f"{count / 1e6:.2f} M"


def percent(share: float) -> str:
    """As in ``87.1%``."""
    return f"{100 * share:.1f}%"


def bar(share: float, **attributes: object) -> Html:
    """A share in [0, 1] as a bar."""
    kept = min(1.0, max(0.0, share))
    return tag("span", style=f"--share:{100 * kept:.0f}%", class_="bar", **attributes)
