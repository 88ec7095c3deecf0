"""Is a user better off with the answer? Judged on twelve tasks, with five seeds each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

from tans_bench.experiments.judged import field, tables, told
from tans_bench.experiments.judged.jobs import Cell, Frozen, Tuned, shortlist
from tans_bench.experiments.judged.methods import (
    BEST,
    METHODS,
    NEAREST,
    OWN,
    PLAIN,
    SAME,
    TANS,
    UNLIMITED,
    Method,
    Seen,
    read_seen,
    tuned,
)
from tans_bench.experiments.judged.predict import PREDICTED, Predict
from tans_bench.experiments.judged.stored import Runs
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Drawing
from tans_bench.runs.experiment import Experiment
from tans_bench.runs.jobs import Job
from tans_bench.runs.judge import SEEDS
from tans_bench.runs.results import Results

SIDE = (PLAIN, BEST, TANS)
"""Methods that numbers of images and of steps are varied for."""
RACED = (TANS, SAME, OWN)
"""Methods whose networks might all be tuned, to keep one."""
PEERS = (METHODS[SAME], METHODS[OWN])
"""Those that take the same network for all tasks."""
FEWER, MORE = 50, 1500
"""Training images, beside those of the main cell."""
SHORTER, LONGER = 50, 500
"""Steps, likewise."""
STEPS = (SHORTER, field.STEPS, LONGER)
"""After which others are compared with the common recipe after ``LONGER``."""


@dataclass(frozen=True)
class Judged:
    """A plan: look at all networks on each cell, and fine-tune what each method chooses."""

    tasks: tuple[str, ...] = field.TASKS
    few: tuple[str, ...] = field.FEW
    seeds: tuple[int, ...] = SEEDS
    unlimited: bool = False
    """Whether the main cell is judged without a limit too, which takes days without a card."""

    def scaled(self, preset: str) -> Judged:
        """What is compared is declared, and the same but for ``unlimited``: on a GPU alone."""
        return replace(self, unlimited=preset != "cpu")

    def jobs(self, bench: Bench) -> Sequence[Job]:
        main = self.cells(self.tasks, field.IMAGES)
        side = [cell for n in (FEWER, MORE) for cell in self.cells(self.few, n)]
        looks: list[Job] = [shortlist(cell) for cell in (*main, *side)]
        looks += [Frozen(cell, "within") for cell in (*main, *side)]
        if self.unlimited:
            looks += [Frozen(cell, "beyond") for cell in main]
        seen = read_seen(bench.results)
        expected: list[Job] = [Predict(cell) for cell in main if cell in seen]
        return list(dict.fromkeys([*looks, *self.finetunes(seen), *expected]))

    def finetunes(self, seen: Mapping[Cell, Seen]) -> list[Tuned]:
        """Those of the cells that were looked at so far, the main cell's first."""
        main = self.cells(self.tasks, field.IMAGES)
        varied = self.varied().values()
        return [
            *_tuned(METHODS.values(), main, seen),
            *(job for cells, steps in varied for job in _tuned(_side(), cells, seen, steps)),
            *(_tuned(UNLIMITED.values(), main, seen) if self.unlimited else ()),
        ]

    def varied(self) -> dict[str, tuple[list[Cell], int]]:
        """Cells of other numbers of images or of steps than the main one's, and the steps."""
        pairs = [(field.IMAGES, n) for n in (SHORTER, field.STEPS, LONGER)]
        pairs += [(n, field.STEPS) for n in (FEWER, MORE)]
        return {f"{n}, {steps}": (self.cells(self.few, n), steps) for n, steps in pairs}

    def cells(self, tasks: Iterable[str], images: int) -> list[Cell]:
        """Of all seeds."""
        return [Cell(task, seed, images) for seed, task in product(self.seeds, tasks)]


def _side() -> list[Method]:
    return [METHODS[name] for name in SIDE]


def _tuned(
    methods: Iterable[Method],
    cells: Iterable[Cell],
    seen: Mapping[Cell, Seen],
    steps: int = field.STEPS,
) -> list[Tuned]:
    known = [seen[cell] for cell in cells if cell in seen]
    pairs = product(known, list(methods))
    return [tuned(method, own, steps) for own, method in pairs if method.knows(own)]


def draw(plan: Judged, results: Results) -> Sequence[Drawing]:
    seen = read_seen(results)
    if not seen:
        return []
    main, few = (plan.cells(tasks, field.IMAGES) for tasks in (plan.tasks, plan.few))
    runs = Runs(results, seen)
    return [
        tables.accuracies("judged", {**METHODS, **UNLIMITED}, main, runs),
        tables.comparisons("compared", METHODS, (PLAIN, BEST), main, runs),
        tables.variations("varied", _side(), plan.varied(), runs),
        tables.sooner("sooner", _side()[1:], STEPS, METHODS[PLAIN], LONGER, few, runs),
        tables.races("raced", {name: METHODS[name] for name in RACED}, TANS, main, runs),
        tables.singles("single", [METHODS[n] for n in (NEAREST, TANS)], PEERS, main, runs),
        told.proposals("proposed", METHODS, main, runs),
        told.retrieval("retrieved", main, runs),
        told.abstention("abstained", METHODS[TANS], METHODS[SAME], main, runs),
        told.predictions("predicted", METHODS[TANS], main, runs, results.lines(PREDICTED)),
    ]


EXPERIMENT = Experiment(
    name="answers",
    title="Is a user better off with the answer?",
    question=(
        "Is the network that tans proposes for a task that the zoo has never seen better than what "
        "a user would take without it, fine-tuned by the same recipe?"
    ),
    plan=Judged(),
    drawn=draw,
)
