"""Figure 8, below: how many pairs does a zoo need whose pairs are chosen, and not drawn?"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from tans.costs.latency import LatencyModel
from tans_bench.runs.bench import Bench
from tans_bench.runs.comparison import averaged, percent
from tans_bench.runs.drawing import Drawing, Plot, Table, canvas
from tans_bench.runs.experiment import Experiment
from tans_bench.runs.jobs import Job
from tans_bench.runs.replay import NAMES, SHARES, SIZES, START, TIMED, Calibrate, Replay
from tans_bench.runs.results import Result, Results

TITLES = {
    "pareto": "expected growth (equation 7)",
    "pareto-per-second": "expected growth per second",
    "pareto-costs-alone": "expected growth, costs alone known",
    "thompson": "growth of one draw (Thompson)",
    "random": "random",
    "grid": "task by task",
}
TIMED_TITLES = {
    "pareto": "expected growth, by latency",
    "pareto-flops": "expected growth, by multiply-adds",
    "random": "random",
}
RIVAL = "random"
SPENT = 0.2
"""Share of the pairs at which strategies are compared."""
LEAST = 0.01
"""Missing hypervolume in %, below which the figure shows no difference."""
HALF = 0.5
"""Share of the pairs that the rival is given."""
FOUND = ("volume", "accuracy")
LABELS = {
    "volume": "hypervolume missing (% of all pairs')",
    "accuracy": "test accuracy retrieved (%)",
}
MEASURED = (
    "The time of a pair is what measuring a network of its task took, in proportion to the "
    "network's multiply-adds."
)

Runs = Mapping[str, Sequence[Result]]
"""Stored replays of each strategy, at least one."""


@dataclass(frozen=True)
class Replays:
    """A plan of strategies and seeds."""

    strategies: tuple[str, ...]
    seeds: tuple[int, ...]

    def jobs(self, bench: Bench) -> Sequence[Job]:
        calibrate = Calibrate()
        latency = calibrate.found(bench.results) if calibrate.done(bench) else None
        return [*self.by_flops(), calibrate, *(self.by_latency(latency) if latency else [])]

    def by_flops(self) -> list[Replay]:
        return [Replay(*pair) for pair in product(self.strategies, self.seeds)]

    def by_latency(self, latency: LatencyModel) -> list[Replay]:
        return [Replay(*pair, latency=latency) for pair in product(TIMED, self.seeds)]

    def scaled(self, preset: str) -> Replays:
        """Twenty seeds on a GPU."""
        return self if preset == "cpu" else replace(self, seeds=tuple(range(20)))


def draw(plan: Replays, results: Results) -> Sequence[Drawing]:
    found = _stored(plan.by_flops(), results)
    latency = Calibrate().found(results)
    timed = _stored(plan.by_latency(latency), results) if latency else {}
    drawn: list[Drawing] = [needed(found), given(found), curves(found)] if found else []
    return [*drawn, _needed_by_latency(timed, latency)] if timed and latency else drawn


def _stored(replays: Sequence[Replay], results: Results) -> Runs:
    found: dict[str, list[Result]] = {}
    for replay in replays:
        if (run := results.read(replay.name)) is not None:
            found.setdefault(replay.strategy, []).append(run)
    return found


def needed(found: Runs) -> Table:
    """Pairs until the hypervolume is reached."""
    pairs = next(iter(found.values()))[0]["pairs"]
    caption = (
        f"Share of the {pairs} pairs in %, {START} random ones of each task among them, until the "
        "mean hypervolume reaches so much of that of all pairs, which is random sampling's with "
        f"all of them; the share of the time until {100 * SHARES[1]:g} % of it; and the share of "
        f"pairs until random sampling's hypervolume with {HALF:.0%} of the pairs. Means over seeds "
        "and their 95 % intervals."
    )
    return _until_shares("pairs-needed", caption, found, TITLES)


def _needed_by_latency(found: Runs, latency: LatencyModel) -> Table:
    """The same where latency counts in place of multiply-adds."""
    (_, least), *_, (_, most) = latency.measured
    caption = (
        "The same with latency in place of multiply-adds: milliseconds for one image as predicted "
        f"from what one device charged, where the smallest network takes {least:.1f} and the "
        f"largest {most:.1f}, {latency.error:.0%} off on networks that were left out of the fit. "
        "*By multiply-adds* is the order that expected growth gives without knowing latency."
    )
    return _until_shares("pairs-needed-by-latency", caption, found, TIMED_TITLES)


def _until_shares(name: str, caption: str, found: Runs, titles: Mapping[str, str]) -> Table:
    rows = []
    for strategy, runs in found.items():
        needed = [[run["reached"][str(share)] / run["pairs"] for run in runs] for share in SHARES]
        time = [run["reached_time"][str(SHARES[1])] for run in runs]
        rival = [_until(run, _rival_volume(found, run)) for run in runs]
        cells = [*needed, time, rival]
        rows.append([titles[strategy], str(len(runs)), *map(averaged, cells)])
    shares = [f"{100 * share:g} %" for share in SHARES]
    columns = ("strategy", "seeds", *shares, f"time to {shares[1]}", f"random's at {HALF:.0%}")
    return Table(name, caption, columns, rows)


def given(found: Runs, timed: str = MEASURED) -> Table:
    """What some shares of the pairs give.

    Args:
        timed: a sentence on what the time of a pair is.
    """
    spent = (SPENT / 2, SPENT, HALF, 1.0)
    rows = []
    for strategy, runs in found.items():
        cells = [
            percent(statistics.fmean(run[what][_place(run, share)] for run in runs))
            for what in FOUND
            for share in spent
        ]
        rows.append([TITLES[strategy], *cells])
    caption = (
        "Hypervolume, in % of that of all pairs, and test accuracy in % of the network that is "
        "best on validation images within "
        f"{', '.join(f'{size:.0%}' for size in SIZES)} of the largest network's multiply-adds "
        "(a guess where none is so small), mean over tasks and these limits, after so many of the "
        f"pairs. {timed}"
    )
    columns = [f"{what} at {share:.0%}" for what in FOUND for share in spent]
    return Table("pairs-given", caption, ("strategy", *columns), rows)


def _place(run: Result, share: float) -> int:
    """Of the curve's point at a share of the pairs."""
    return int(np.searchsorted(run["counts"], share * run["pairs"]))


def _rival_volume(found: Runs, run: Result) -> float:
    """The rival's hypervolume with ``HALF`` of the pairs, from the same start if it was run."""
    rivals = found.get(RIVAL, [run])
    same = [rival for rival in rivals if rival["seed"] == run["seed"]] or rivals
    return float(same[0]["volume"][_place(same[0], HALF)])


def _until(run: Result, volume: float) -> float:
    """Share of the pairs at the first point of the curve that has so much hypervolume."""
    place = int(np.argmax(np.array(run["volume"]) >= volume))
    return float(run["counts"][place] / run["pairs"])


def _shown(what: str, curves: NDArray[np.float64]) -> NDArray[np.float64]:
    """In %; of the hypervolume what is missing, as strategies differ in the last of it."""
    return 100 * curves if what == "accuracy" else np.maximum(100 - 100 * curves, LEAST)


def curves(found: Runs) -> Plot:
    figure = canvas(7.5, 3.4)
    for axis, what in zip(figure.subplots(1, 2), FOUND, strict=True):
        for place, (strategy, runs) in enumerate(found.items()):
            values = _shown(what, np.array([run[what] for run in runs]))  # (seeds, points)
            shares = 100 * np.array(runs[0]["counts"]) / runs[0]["pairs"]
            colour = f"C{place}"
            axis.plot(shares, values.mean(0), color=colour, label=TITLES[strategy])
            axis.fill_between(
                shares, values.min(0), values.max(0), color=colour, alpha=0.2, linewidth=0
            )
        axis.set_xlabel("pairs trained (%)")
        axis.set_ylabel(LABELS[what])
        if what == "volume":
            axis.set_yscale("log")
    figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    caption = (
        "Hypervolume that is missing, and accuracy of what a retrieval gives, against the pairs "
        "that were trained; "
        "means over seeds, the band from the least to the most."
    )
    return Plot("pairs", caption, figure)


EXPERIMENT = Experiment(
    name="construction",
    title="A zoo from few pairs (Figure 8, below)",
    question=(
        "If the pairs of a task and a network are trained in the order of the growth that is "
        "expected of them, how few give what training all of them gives?"
    ),
    plan=Replays(tuple(NAMES), seeds=(0, 1, 2, 3, 4)),
    drawn=draw,
)
