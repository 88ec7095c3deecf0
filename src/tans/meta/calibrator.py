"""How well a network will do after fine-tuning, with an interval, judged by the evidence.

A probe of a source's largest network says most, but not what a smaller network of it loses, and
what a higher resolution gains beyond it. So a ridge regression on the evidence is fitted to real
fine-tunes of stored networks on tasks of other families. Its errors on families that were left out
give the interval.

References:
    Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005 (conformal prediction).
    Bartlett, The Use of Transformations, Biometrics 1947 (accuracies as angles).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

import torch
from pydantic import FiniteFloat, NonNegativeFloat, NonNegativeInt, model_validator
from torch import Tensor

from tans.errors import InputError, ZooError
from tans.files import Manifest
from tans.meta.data import PROBE, tuned
from tans.meta.evidence import COLUMNS, angle, evidence, share
from tans.training import RECIPE, Recipe
from tans.types import Transfer
from tans.zoo.blobs import Blobs, as_blobs
from tans.zoo.seals import Seals
from tans.zoo.sources import Sources
from tans.zoo.zoo import CALIBRATOR, Zoo

FILE = CALIBRATOR
COVERAGE = 0.9
"""Share of tasks whose accuracy the interval holds."""
FEWEST_FAMILIES = 3
"""Kinds of task from which on leaving one out says something."""
OF_TUNING = 0.1
"""Of ``luck``, the part that no number of images takes away, in radians."""
LUCK = 1.0
"""Variance of a target's own level, as a multiple of a trial's noise."""
STRENGTHS = (0.3, 1.0, 3.0, 10.0, 30.0)
"""Ridge penalties that are tried, in rows."""


@dataclass(frozen=True, eq=False)
class Trials:
    """Real fine-tunes, and the evidence there was before them."""

    evidence: Tensor
    """float64 (n, len(COLUMNS))."""
    accuracy: Tensor
    """float64 (n,), test accuracy after the fine-tune, in [0, 1]."""
    targets: tuple[str, ...]
    """Per row, the task."""
    families: tuple[str, ...]
    """Per row, the task's kind of image."""
    groups: Tensor
    """float64 (n,), groups that the training images were of."""

    @classmethod
    def from_zoo(cls, zoo: Zoo, recipe: Recipe | None = None) -> Trials:
        """Read the transfers of a zoo onto its own tasks, where the sources were probed too.

        Args:
            recipe: of the fine-tunes; the default one when None. Those by an older version of it
                say nothing of this one.
        """
        sources, tasks = Sources.of(zoo), {task.name: task for task in zoo.tasks()}
        entries = {entry.id: entry for entry in zoo.entries(vectors=False)}
        stored = [t for t in zoo.transfers() if t.recipe == RECIPE]
        transfers = [t for t in stored if t.target in tasks and t.source in entries]
        probes = _by_setting([t for t in transfers if t.epochs == PROBE])
        rows, kept = [], []
        for transfer in tuned(transfers, recipe):
            seen = probes.get((transfer.target, transfer.images), {})
            if sources.stand_in(entries[transfer.source]).id in seen:
                rows.append(evidence(sources, [entries[transfer.source]], seen))
                kept.append(transfer)
        return cls(
            torch.cat([torch.empty(0, len(COLUMNS), dtype=torch.float64), *rows]),
            torch.tensor([t.accuracy for t in kept], dtype=torch.float64),
            tuple(t.target for t in kept),
            tuple(tasks[t.target].card.get("family") or t.target for t in kept),
            torch.tensor([t.groups or t.images for t in kept], dtype=torch.float64),
        )

    def rows(self, chosen: Tensor) -> Trials:
        """The trials where a mask (n,) holds."""
        kept = chosen.nonzero().flatten().tolist()
        return Trials(
            self.evidence[chosen],
            self.accuracy[chosen],
            tuple(self.targets[row] for row in kept),
            tuple(self.families[row] for row in kept),
            self.groups[chosen],
        )


@dataclass(frozen=True)
class Calibrator:
    """A linear rule from evidence to the accuracy, as an angle."""

    mean: tuple[float, ...]
    """Of each column of the evidence."""
    weights: tuple[float, ...]
    """A unit of each column, in radians."""
    bias: float
    strength: float
    """Ridge penalty, in rows."""
    margin: float = math.inf
    """Half width of the interval, as a multiple of ``luck``."""
    trials: int = 0
    """Fine-tunes it was fitted to."""

    def score(self, evidence: Tensor) -> Tensor:
        """Angles (n,) of accuracies, unbounded: they order networks that all seem to make no error.

        Args:
            evidence: float64 (n, len(COLUMNS)).
        """
        weights = torch.tensor(self.weights, dtype=torch.float64)
        return (evidence - torch.tensor(self.mean, dtype=torch.float64)) @ weights + self.bias

    def predict(self, evidence: Tensor) -> Tensor:
        """Accuracies (n,) in [0, 1] from evidence (n, len(COLUMNS))."""
        return share(self.score(evidence))

    def interval(self, evidence: Tensor, groups: int) -> tuple[Tensor, Tensor]:
        """Lower and upper bounds (n,) that hold the accuracy at the rate ``COVERAGE``.

        Args:
            groups: that the training images are of; each image is one where none are known.
        """
        angles = self.score(evidence)
        margin = self.margin * luck(torch.tensor(float(groups), dtype=torch.float64))
        return share(angles - margin), share(angles + margin)

    def save(self, place: str | Path | Blobs) -> None:
        """Write ``judge.json`` to a folder or other store.

        Raises:
            ZooError: it cannot be written.
        """
        _seals(place).put(FILE, _Stored(columns=COLUMNS, **asdict(self)).to_bytes())

    @classmethod
    def load(cls, place: str | Path | Blobs) -> Calibrator | None:
        """Inverse of ``save``; None where there never was one.

        Raises:
            ZooError: it is damaged, of another schema, or was lost.
        """
        blobs = as_blobs(place)
        seals = _seals(blobs)
        if not seals.exists(FILE):
            return None
        stored = _Stored.parse(seals.get(FILE), f"{blobs}/{FILE}")
        return cls(**stored.model_dump(exclude={"columns"}))


def luck(groups: Tensor) -> Tensor:
    """About how far an accuracy is from what was expected, in radians, (n,).

    One part is that of fine-tuning; the other comes from how few groups there are, a handful of
    fonts or themes say, to learn from and to be judged by.

    Args:
        groups: float64 (n,), at least 1.
    """
    return (OF_TUNING**2 + 1 / groups.clamp_min(1)).sqrt()


class _Stored(Manifest):
    """What ``judge.json`` says."""

    SCHEMA = 2
    ERROR = ZooError
    REMEDY = "run 'tans zoo transfers', where that was not done with it, and 'tans train' again"

    columns: tuple[str, ...]
    """Of the evidence that the rule is for."""
    mean: tuple[FiniteFloat, ...]
    weights: tuple[FiniteFloat, ...]
    bias: FiniteFloat
    strength: FiniteFloat
    margin: NonNegativeFloat
    """Infinite where there were too few trials."""
    trials: NonNegativeInt

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.columns != COLUMNS:
            raise ValueError(f"it is of evidence {self.columns}; expected {COLUMNS}")
        if not len(self.mean) == len(self.weights) == len(COLUMNS):
            raise ValueError(
                f"{len(self.mean)} means and {len(self.weights)} weights; expected {len(COLUMNS)}"
            )
        return self


def calibrate_zoo(zoo: Zoo) -> Calibrator | None:
    """Fit to a zoo's transfers and store it beside the retriever; None where they are too few.

    A stored calibrator of more trials stays: it came with a copy of some tasks of a larger zoo.

    Raises:
        ZooError: the zoo cannot be read, or written to.
    """
    trials = Trials.from_zoo(zoo)
    try:
        stored = Calibrator.load(zoo.retrieval)
    except ZooError:  # Damaged, or of another version: what is to be replaced.
        stored = None
    if stored is not None and stored.trials > len(trials.accuracy):
        return stored
    if len(set(trials.families)) < FEWEST_FAMILIES:
        _seals(zoo.retrieval).delete(FILE)
        return None
    calibrator = fit_calibrator(trials)
    calibrator.save(zoo.retrieval)
    return calibrator


def _seals(place: str | Path | Blobs) -> Seals:
    return Seals(as_blobs(place), _Stored.REMEDY)


def fit_calibrator(trials: Trials) -> Calibrator:
    """Fit to trials; penalty and interval come from leaving each family out in turn.

    Raises:
        InputError: the trials are of fewer than three families.
    """
    families = dict.fromkeys(trials.families)
    if len(families) < FEWEST_FAMILIES:
        raise InputError(
            f"the trials are of {len(families)} families of tasks; expected at least "
            f"{FEWEST_FAMILIES}: measure more with 'tans zoo transfers'"
        )
    left_out = {strength: predict_left_out(trials, strength) for strength in STRENGTHS}
    errors = {s: _angles(found) - _angles(trials.accuracy) for s, found in left_out.items()}
    best = min(STRENGTHS, key=lambda strength: errors[strength].square().mean().item())
    margin = _conformal(_of_best(trials, left_out[best], errors[best].abs() / luck(trials.groups)))
    return replace(_ridge(trials, best), margin=margin, trials=len(trials.accuracy))


def predict_left_out(trials: Trials, strength: float) -> Tensor:
    """Predicted accuracies (n,), each by a rule that saw no trial of the family."""
    predicted = torch.empty_like(trials.accuracy)
    for family in dict.fromkeys(trials.families):
        own = _of(trials.families, family)
        predicted[own] = _ridge(trials.rows(~own), strength).predict(trials.evidence[own])
    return predicted


def _of_best(trials: Trials, predicted: Tensor, errors: Tensor) -> list[float]:
    """Per target, the error (n,) where the prediction (n,) was best: what a user would take."""
    rows = [_of(trials.targets, name) for name in dict.fromkeys(trials.targets)]
    return [errors[own][predicted[own].argmax()].item() for own in rows]


def _ridge(trials: Trials, strength: float) -> Calibrator:
    """Least squares of angles, where each target has a level of its own (a random intercept).

    So the weights come mostly from comparing trials on the same target, as a user will.
    """
    x, y = trials.evidence, _angles(trials.accuracy)  # (n, k), (n,)
    names = list(dict.fromkeys(trials.targets))
    own = torch.stack([_of(trials.targets, name) for name in names], 1).double()  # (n, t)
    mean, spread = x.mean(0), x.std(0).clamp_min(1e-6)  # (k,)
    design = torch.cat([torch.ones_like(y)[:, None], (x - mean) / spread, own], 1)  # (n, 1+k+t)
    penalty = torch.tensor([0.0, *[strength] * x.shape[1], *[1 / LUCK] * len(names)])
    gram = design.T @ design + penalty.double().diag()
    bias, *solved = torch.linalg.solve(gram, design.T @ y)
    weights = torch.stack(solved[: x.shape[1]]) / spread
    return Calibrator(tuple(mean.tolist()), tuple(weights.tolist()), bias.item(), strength)


def _conformal(errors: Sequence[float]) -> float:
    """The error that a new task's stays below at the rate ``COVERAGE``; infinite for too few."""
    place = math.ceil(COVERAGE * (len(errors) + 1))
    return sorted(errors)[place - 1] if place <= len(errors) else math.inf


def _angles(accuracy: Tensor) -> Tensor:
    return torch.tensor([angle(value) for value in accuracy.tolist()], dtype=torch.float64)


def _of(names: Sequence[str], name: str) -> Tensor:
    return torch.tensor([each == name for each in names], dtype=torch.bool)


def _by_setting(probes: Sequence[Transfer]) -> dict[tuple[str, int], dict[str, float]]:
    """Probe accuracies by target and number of images, then by entry."""
    found: dict[tuple[str, int], dict[str, float]] = {}
    for probe in probes:
        found.setdefault((probe.target, probe.images), {})[probe.source] = probe.accuracy
    return found
