"""First answers: is a user better off with the match?

Every method's network, fine-tuned on unseen tasks for few epochs, from one seed, and judged on test
splits too small to tell. Kept so that its stored page can be drawn; the experiment ``answers``
supersedes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

from tans_bench.experiments.first_answers import figures, tables
from tans_bench.experiments.first_answers.measured import (
    KINDS,
    SIZES,
    WHOLE,
    Measured,
    kinds,
    of_kind,
    read,
)
from tans_bench.experiments.first_answers.tables import LENGTHS, LONG
from tans_bench.experiments.first_answers.targets import RIVALS, verdicts
from tans_bench.methods.method import Proposal
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Drawing
from tans_bench.runs.experiment import Arm, Comparison, Experiment
from tans_bench.runs.jobs import FineTune, Job
from tans_bench.runs.results import Results
from tans_bench.runs.roles import FIRST_DEV, FORMERLY_SEALED, first_role, is_sibling

TASKS = (*FIRST_DEV, *FORMERLY_SEALED)
PROBE = "probe"
SHORT = 3
"""Epochs within limits of size, beside the whole length, to compare at equal seconds."""
ARMS = (
    Arm(("tans", "imagenet"), TASKS, LENGTHS),
    Arm((*RIVALS, "tans-embeddings"), TASKS, (WHOLE,)),
    Arm(("tans",), TASKS, (SHORT, WHOLE), limits=SIZES),
    Arm(("elastic-base",), TASKS, (WHOLE,), limits=SIZES),
    Arm(("tans",), TASKS, (WHOLE,), limits=("",)),
    # where one image costs 4 and 12 times as much
    Arm(("imagenet",), TASKS, (WHOLE,), limits=("130M-flops",)),
    Arm(("imagenet",), TASKS, (0, 1), limits=("",)),
    Arm(("imagenet",), tuple(filter(is_sibling, TASKS)), (LONG,)),
)


@dataclass(frozen=True)
class Screened:
    """A comparison, and the networks that probes put first, to know the best of a task better."""

    comparison: Comparison
    first: int = 4
    """How many."""

    def jobs(self, bench: Bench) -> Sequence[Job]:
        screened = [job for arm in self.comparison.arms for job in self._finetunes(arm, bench)]
        return list(dict.fromkeys([*self.comparison.jobs(bench), *screened]))

    def scaled(self, preset: str) -> Screened:
        """As the comparison is."""
        return replace(self, comparison=self.comparison.scaled(preset))

    def _finetunes(self, arm: Arm, bench: Bench) -> list[FineTune]:
        """Of the networks that stand first in the probes that were made so far."""
        made = [choice for choice in arm.choices() if choice.method == PROBE and choice.done(bench)]
        stored = [found for choice in made if (found := bench.results.read(choice.name))]
        return [
            FineTune(found["task"], Proposal.of(bench.zoo.entry(id)), epochs, seed, arm.images)
            for found in stored
            for id in list(found["details"]["scores"])[: self.first]
            for epochs, seed in product(arm.epochs, arm.seeds)
        ]


def draw(plan: Screened, results: Results) -> Sequence[Drawing]:
    tasks = read(plan.comparison.arms, results)
    by_role = {name: [t for t in tasks if first_role(t.name) == name] for name in ("dev", "sealed")}
    return [
        drawing
        for name, own in by_role.items()
        if any(each.epochs == WHOLE for task in own for each in task.cells)
        for drawing in _of_role(name, own)
    ]


def _of_role(name: str, tasks: Sequence[Measured]) -> Sequence[Drawing]:
    """Everything of the tasks of one first role, which are never mixed with those of another."""
    found = [kind for kind in KINDS if of_kind(tasks, kind)]
    return [
        *(tables.comparison(f"{name}-{kind}", kind, tasks) for kind in found),
        *(figures.seconds(f"{name}-{kind}-seconds", kind, tasks) for kind in found),
        tables.at_its_best(f"{name}-imagenet", tasks),
        tables.within_limits(f"{name}-limits", tasks),
        *(tables.regrets(f"{name}-{kind}-regret", kind, tasks) for kind in kinds(tasks)),
        figures.regrets(f"{name}-regret", tasks),
        tables.predictions(f"{name}-predicted", tasks),
        tables.held(f"{name}-held", tasks),
        figures.intervals(f"{name}-intervals", tasks),
        verdicts(f"{name}-targets", tasks),
    ]


EXPERIMENT = Experiment(
    name="first_answers",
    title="First answers: is a user better off with the match?",
    question=(
        "Is the network that tans proposes for a task that the zoo has never seen better than what "
        "a user would take without it, and how far is it from the best? First answers, after 5 "
        "epochs from one seed, on test splits too small to tell; the experiment `answers` "
        "supersedes them."
    ),
    plan=Screened(Comparison(ARMS)),
    drawn=draw,
)
