"""Figure 8, above: how the cost of a search grows with the number of datasets."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tans.build.spending import seconds_spent
from tans_bench.methods.entrants import get_method
from tans_bench.recipes import EPOCHS
from tans_bench.runs.bench import Bench
from tans_bench.runs.comparison import Cell, cells
from tans_bench.runs.drawing import Drawing, Plot, Table, canvas
from tans_bench.runs.experiment import Arm, Comparison, Experiment
from tans_bench.runs.jobs import Job
from tans_bench.runs.results import Result, Results
from tans_bench.runs.roles import FIRST_DEV

METHODS = ("tans-embeddings", "tans", "probe")
COUNTS = (1, 10, 100, 1000)
"""Of datasets."""
HOUR = 3600


@dataclass(frozen=True)
class Spent:
    """What the zoo has cost, and how many sources it holds."""

    task: str = ""
    """None in particular."""

    @property
    def name(self) -> str:
        return "costs/zoo"

    def done(self, bench: Bench) -> bool:
        stored = bench.results.read(self.name)
        return stored is not None and stored["zoo"] == bench.digest

    def run(self, bench: Bench) -> Result:
        return {
            "zoo": bench.digest,
            "sources": len(bench.zoo.tasks()),
            "seconds": seconds_spent(bench.zoo),
        }


@dataclass(frozen=True)
class Costs:
    """A plan: methods whose searches are timed, and the zoo that they search."""

    comparison: Comparison

    def jobs(self, bench: Bench) -> Sequence[Job]:
        return [Spent(), *self.comparison.jobs(bench)]

    def scaled(self, preset: str) -> Costs:
        return Costs(self.comparison.scaled(preset))


@dataclass(frozen=True)
class Way:
    """How to find a network for each of many datasets."""

    title: str
    once_s: float
    """Seconds that serve all datasets."""
    each_s: float
    """Seconds of every dataset's own search."""

    def hours(self, datasets: int) -> float:
        """Of so many searches."""
        return (self.once_s + datasets * self.each_s) / HOUR


def draw(plan: Costs, results: Results) -> Sequence[Drawing]:
    zoo = results.read(Spent().name)
    found: dict[str, list[Cell]] = {}
    for cell in cells(plan.comparison.arms, results):
        found.setdefault(cell.method, []).append(cell)
    if zoo is None or not found.keys() >= set(METHODS):
        return []
    ways = _ways(zoo, found)
    return [_table(ways), _figure(ways)]


def _ways(zoo: Result, found: Mapping[str, Sequence[Cell]]) -> list[Way]:
    made = sum(zoo["seconds"].values())
    search = {
        method: statistics.fmean(cell.search_s for cell in own) for method, own in found.items()
    }
    tuned = statistics.fmean(cell.training_s for own in found.values() for cell in own)
    return [
        Way(f"{get_method(METHODS[0]).title}, zoo at hand", 0, search[METHODS[0]]),
        *(Way(get_method(m).title, made, search[m]) for m in METHODS),
        Way("fine-tune every source", made, zoo["sources"] * tuned),
    ]


def _table(ways: Sequence[Way]) -> Table:
    rows = [
        [
            way.title,
            f"{way.once_s:.0f}",
            f"{way.each_s:.1f}",
            *(f"{way.hours(count):.2f}" for count in COUNTS),
        ]
        for way in ways
    ]
    caption = (
        "Seconds once, for the zoo, and seconds of each search; then hours for so many datasets. "
        f"Every dataset's final fine-tune comes on top and is the same for all. Every source: "
        f"{EPOCHS} epochs of one network of each source."
    )
    columns = (
        "method",
        "once (s)",
        "each (s)",
        *(f"{count} dataset{'s' * (count > 1)} (h)" for count in COUNTS),
    )
    return Table("costs", caption, columns, rows)


def _figure(ways: Sequence[Way]) -> Plot:
    figure = canvas(6.5, 3)
    axis = figure.subplots()
    for place, way in enumerate(ways):
        hours = [way.hours(count) for count in COUNTS]
        axis.plot(COUNTS, hours, "o-", color=f"C{place}", label=way.title, markersize=3)
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlabel("datasets")
    axis.set_ylabel("hours of search, the zoo included")
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=7)
    return Plot("costs", "Cost of the search against the number of datasets.", figure)


EXPERIMENT = Experiment(
    name="costs",
    title="Cost against the number of datasets (Figure 8, above)",
    question="From how many datasets on is a zoo worth its making?",
    plan=Costs(Comparison((Arm(METHODS, FIRST_DEV, (EPOCHS,)),))),
    drawn=draw,
)
