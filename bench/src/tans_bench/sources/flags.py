"""Flags of countries by their continent, as three collections draw them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import numpy as np

from tans_bench.sources.icons import drawing
from tans_bench.sources.packages import Package
from tans_bench.sources.pictures import Pictures, collect
from tans_bench.sources.source import Source

SIZE = 64
CONTINENTS = ("Africa", "Asia", "Europe", "North America", "Oceania", "South America")
BORROWED = frozenset(
    {
        *("bl", "bq", "bv", "gf", "gp", "hm", "mf", "mq", "nc", "pm", "re", "sj", "um", "wf"),
        *("yt", "sh-ac", "sh-ta"),
    }
)
"""Territories that one collection or another draws with the flag of their state."""
FOLDERS = (
    "package/flags/4x3/*.svg",
    "package/flags/1x1/*.svg",
    "package/png250px/*.png",
    "usr/share/iso-flags-png-320x240/*.png",
)


def flags(packages: Sequence[Package]) -> Pictures:
    """Flags whole on a square; the first package, ``flag-icons``, tells the continents.

    Flags that another continent also flies are left out, with copies of one drawing.
    """
    countries = json.loads(packages[0].file("package/country.json").read_text())
    labels = {
        country["code"]: CONTINENTS.index(country["continent"])
        for country in countries
        if country.get("continent") in CONTINENTS and country["code"] not in BORROWED
    }
    return collect(_drawn(packages, labels)).unambiguous().without_copies().joined()


def _drawn(
    packages: Sequence[Package], labels: dict[str, int]
) -> Iterator[tuple[np.ndarray, int, str]]:
    for package in packages:
        for path in (path for folder in FOLDERS for path in package.files(folder, labels)):
            image = drawing(path, SIZE)
            if image is not None:
                yield image, labels[path.stem], path.stem


SOURCES = (
    Source(
        name="flags",
        role="train",
        family="flags",
        licence="MIT AND LicenseRef-public-domain",
        packages=(
            "npm:flag-icons==7.5.0",
            "npm:svg-country-flags==1.2.10",
            "debian:iso-flags-png-320x240",
        ),
        classes=tuple(f"flag of {continent}" for continent in CONTINENTS),
        draw=flags,
        made="flags as three collections draw them, by continent; split by country, "
        "near-duplicates together",
        notes="A flag tells its continent only in part. Territories that fly their state's flag "
        "are left out. None of the drawings is an emoji.",
    ),
)
