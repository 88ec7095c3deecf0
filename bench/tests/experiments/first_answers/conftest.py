"""Tasks with made-up runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tans_bench.experiments.first_answers.measured import WHOLE, Contender, Measured
from tans_bench.runs.comparison import Cell

Runs = Sequence[tuple[float, float]]
"""Accuracy and seconds of a run, one for each seed from 0 on."""


def made(found: Mapping[Contender, Runs], name: str = "script-greek") -> Measured:
    """A task on which each method took a network of its own at 64 pixels."""
    cells = {}
    for contender, runs in found.items():
        network = f"{contender.method} {contender.limits}"
        common = {"network": network, "source": "red", "resolution": 64, "params": 3.4e6}
        common |= {"classes": 20, "fit_head": True}
        own = tuple(
            {**common, "seed": seed, "accuracy": accuracy, "seconds": seconds}
            for seed, (accuracy, seconds) in enumerate(runs)
        )
        choice = {**common, "details": {}}
        key = contender.method, contender.limits, contender.epochs
        cells[contender] = Cell(name, *key, choice, own)
    whole = [run for each, cell in cells.items() if each.epochs == WHOLE for run in cell.runs]
    return Measured(name, tuple(range(max(map(len, found.values())))), cells, whole)
