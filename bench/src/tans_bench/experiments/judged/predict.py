"""What the calibrator expects of the network that tans proposes, learnt without kin of the task."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import torch

from tans.meta.calibrator import Calibrator, Trials, fit_calibrator
from tans.meta.evidence import COLUMNS, angle
from tans.search.look import IMAGES as LOOKED_AT
from tans.zoo.zoo import Zoo
from tans_bench.experiments.judged import field
from tans_bench.experiments.judged.jobs import Cell
from tans_bench.experiments.judged.methods import METHODS, TANS, Seen, read_seen
from tans_bench.runs.bench import Bench
from tans_bench.runs.results import LINES, Result

PREDICTED = "judged_predicted"
"""File of lines among the results."""


@dataclass(frozen=True)
class Predict:
    """Expect an accuracy, with an interval, before the fine-tune."""

    cell: Cell

    @property
    def task(self) -> str:
        return self.cell.task

    @property
    def name(self) -> str:
        return f"{PREDICTED}{LINES}/{self.cell}"

    def done(self, bench: Bench) -> bool:
        key = {**asdict(self.cell), "zoo": bench.digest}
        return bench.results.find(PREDICTED, key) is not None

    def run(self, bench: Bench) -> Result:
        seen = read_seen(bench.results)[self.cell]
        calibrator = _calibrator(bench.zoo.path, field.kin(self.cell.task))
        row = evidence_of(seen)
        low, high = calibrator.interval(row, self.cell.read(bench).groups_learnt(LOOKED_AT))
        return {
            **asdict(self.cell),
            "zoo": bench.digest,
            "trials": calibrator.trials,
            "predicted": round(calibrator.predict(row).item(), 5),
            "low": round(low.item(), 5),
            "high": round(high.item(), 5),
        }


def evidence_of(seen: Seen) -> torch.Tensor:
    """What speaks for the network that tans proposes, (1, len(COLUMNS)), all being of one size."""
    method = METHODS[TANS]
    reached = [seen.accuracy[name] for name in method.candidates(seen)]
    known = {"probe": angle(seen.accuracy[method.choose(seen)]), "best probe": angle(max(reached))}
    return torch.tensor([[known.get(column, 0.0) for column in COLUMNS]], dtype=torch.float64)


def without(trials: Trials, families: frozenset[str]) -> Trials:
    """Trials on tasks of other families."""
    return trials.rows(torch.tensor([family not in families for family in trials.families]))


@lru_cache(maxsize=8)
def _calibrator(folder: Path, kin: frozenset[str]) -> Calibrator:
    return fit_calibrator(without(Trials.from_zoo(Zoo.open(folder)), kin))
