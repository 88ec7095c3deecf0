"""Photographs of things that were judged by eye."""

from __future__ import annotations

from collections.abc import Sequence

from tans_bench.sources.packages import Package
from tans_bench.sources.pictures import Found, Pictures, read
from tans_bench.sources.source import Source

SIZE = 128
DEFECTS = ("none", "possible", "probable", "certain")
"""Names of the four likelihoods of a defect: 0, 1/3, 2/3 and 1."""


def solar_cells(packages: Sequence[Package]) -> Pictures:
    """Electroluminescence photographs of ``elpv-dataset`` by likelihood of a defect."""
    (package,) = packages
    folder = package.file("elpv_dataset/data/labels.csv").parent
    rows = (line.split() for line in (folder / "labels.csv").read_text().splitlines())
    found = [
        Found(folder / name, round(3 * float(likelihood)), name) for name, likelihood, _ in rows
    ]
    return read(found, SIZE).unambiguous().joined().capped(1280)


SOURCES = (
    Source(
        name="solar-cells",
        role="dev",
        family="solar cells",
        licence="CC-BY-NC-SA-4.0",
        packages=("pypi:elpv-dataset==1.0.0.post1",),
        classes=tuple(f"solar cell, defect {likelihood}" for likelihood in DEFECTS),
        draw=solar_cells,
        made="at most 1280 photographs a class; split by picture, near-duplicates together",
        notes="For judging only: the licence forbids commercial use, so nothing trained on these "
        "may ship. Cells of one module may lie on both sides of a split, as modules are not named.",
    ),
)
