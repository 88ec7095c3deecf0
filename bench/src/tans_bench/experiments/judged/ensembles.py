"""An ensemble of the networks that look best, and one network that learns from it.

Both begin as ``tans finetune --combine distil`` does: with those three of what a search looks at
that do best on frozen features, each of other weights. The best of them learns again, from the
labels and from what the three say together.

Reference: Hinton, Vinyals and Dean, Distilling the Knowledge in a Neural Network, 2015.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import torch

from tans.networks.network import Network
from tans.search.combine import TEACHERS
from tans.tasks.splits import TRAIN
from tans.tasks.task import Task
from tans.training import FineTuned, finetune, predict
from tans_bench.experiments.judged import field
from tans_bench.experiments.judged.jobs import Cell, OfCell, Tuned, recipe_of
from tans_bench.experiments.judged.methods import METHODS, TANS, ZOO, Seen, read_seen
from tans_bench.experiments.judged.starts import compare_starts
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Drawing
from tans_bench.runs.experiment import Experiment, Fixed
from tans_bench.runs.judge import SEEDS
from tans_bench.runs.results import Result, Results

RUNS = "ensembles"
ALONE, ENSEMBLE, TAUGHT = "match", "ensemble", "taught by it"


def starts(seen: Seen) -> list[str]:
    """Networks that look best of those that a search looks at, the best first."""
    looked = METHODS[TANS].candidates(seen)
    return sorted(looked, key=lambda name: -seen.accuracy[name])[:TEACHERS]


def measured(bench: Bench, cell: Cell) -> Result:
    """Tune three networks on a cell, then let the first learn from them."""
    task, seen = cell.read(bench), read_seen(bench.results)[cell]
    recipe = recipe_of(Tuned(cell, RUNS, ZOO), task.split_sizes[TRAIN])
    chosen = starts(seen)
    teachers = [finetune(_begun(name, bench), task, recipe=recipe) for name in chosen]
    taught = finetune(
        _begun(chosen[0], bench),
        task,
        recipe=recipe,
        teachers=[teacher.network for teacher in teachers],
    )
    accuracy = {
        ALONE: teachers[0].test_accuracy,
        ENSEMBLE: together(teachers, task),
        TAUGHT: taught.test_accuracy,
    }
    return {
        "networks": chosen,
        "single": [round(teacher.test_accuracy, 5) for teacher in teachers],
        "accuracy": {name: round(own, 5) for name, own in accuracy.items()},
    }


def trial(cell: Cell) -> OfCell:
    """The job for one cell."""
    return OfCell(RUNS, cell, measured)


def _begun(name: str, bench: Bench) -> Network:
    return field.load(name.rpartition("@")[0], ZOO, bench.zoo)


def together(teachers: Sequence[FineTuned], task: Task) -> float:
    """Test accuracy of the mean of what several networks say."""
    images, labels = task.split("test", ZOO)
    said = torch.stack([predict(teacher.network, images) for teacher in teachers])  # (t, n, c)
    return (said.softmax(2).mean(0).argmax(1) == labels).float().mean().item()


def draw(plan: Fixed, results: Results) -> Sequence[Drawing]:
    del plan  # whatever is stored
    lines = list(results.lines(RUNS))
    caption = (
        f"A trial: test accuracy in %, mean of at most {len(SEEDS)} seeds, {field.IMAGES} training "
        f"images, {field.STEPS} steps for each of {TEACHERS} networks and for the one taught; "
        "points over the match, paired by task and seed, of all with the 95 % interval of a "
        "bootstrap over families."
    )
    return [compare_starts("accuracy", caption, lines, (ALONE, ENSEMBLE, TAUGHT))] if lines else []


EXPERIMENT = Experiment(
    name="ensembles",
    title="An ensemble, and a network that learns from it",
    question=(
        "Is a network that learns from an ensemble of itself and two others better than the match, "
        "and how much of the ensemble's gain does it keep?"
    ),
    plan=Fixed(tuple(trial(Cell(task, seed)) for seed, task in product(SEEDS, field.FEW))),
    drawn=draw,
)
