"""How well a network will do after fine-tuning, with an interval, judged by the evidence.

A probe of a source's largest network says most, but not what a smaller network of it loses, and
what a higher resolution gains beyond it. So a ridge regression on the evidence is fitted to real
fine-tunes of stored networks on tasks of other families. Its errors on families that were left out
give the interval: as multiples of ``luck`` they look normal, and their root mean square varies less
than the worst of a few dozen does.

References:
    Student, The Probable Error of a Mean, Biometrika 1908 (intervals from few errors).
    Laird and Ware, Random-Effects Models for Longitudinal Data, Biometrics 1982 (own levels).
    Bartlett, The Use of Transformations, Biometrics 1947 (accuracies as angles).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import ClassVar, Self

import torch
from pydantic import FiniteFloat, NonNegativeFloat, NonNegativeInt, model_validator
from torch import Tensor

from tans.errors import InputError, ZooError
from tans.files import Fields, Manifest
from tans.meta.data import PROBE, tuned
from tans.meta.evidence import COLUMNS, angle, evidence, share
from tans.training import ALIKE, Recipe
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
OF_TUNING = 0.15
"""Of ``luck``, the part that no number of images takes away, in radians."""
OF_TRIAL = 0.07
"""How far trials on one target are apart, on the scale on which ``luck`` is how far targets are."""
USUAL: Mapping[str, float] = {"best probe": 1.0}
"""Weights that the penalty draws to, those of other columns to 0: on average a fine-tune reaches
about what the best probe does."""
STRENGTHS = (0.3, 1.0, 3.0)
"""Ridge penalties that are tried, in rows. Heavier ones hardly change how far predictions are off,
as that is mostly the level of the target, and wipe out what orders networks on one."""


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
        tasks = {task.name: task for task in zoo.tasks()}
        entries = {entry.id: entry for entry in zoo.entries(vectors=False)}
        stored = [t for t in zoo.transfers() if t.recipe >= ALIKE]
        transfers = [t for t in stored if t.target in tasks and t.source in entries]
        if not transfers:  # imported networks, too, which have no base beside them
            none = torch.empty(0, dtype=torch.float64)
            return cls(none.new_empty(0, len(COLUMNS)), none, (), (), none)
        sources = Sources.of(zoo)
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
    tuning: float = OF_TUNING
    """As ``OF_TUNING``, that the margin is for."""

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
        margin = self.margin * luck(torch.tensor(groups, dtype=torch.float64), self.tuning)
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


def luck(groups: Tensor, tuning: float = OF_TUNING) -> Tensor:
    """About how far an accuracy is from what was expected, in radians, (n,).

    One part is that of fine-tuning; the other comes from how few groups there are, a handful of
    fonts or themes say, to learn from and to be judged by.

    Args:
        groups: float64 (n,), at least 1.
        tuning: the first part, in radians.
    """
    return (tuning**2 + 1 / groups.clamp_min(1)).sqrt()


def _2_to_3(fields: Fields) -> Fields:
    """The part of luck that is of fine-tuning was the same for all files."""
    return {**fields, "tuning": 0.1}


class _Stored(Manifest):
    """What ``judge.json`` says."""

    SCHEMA = 3
    MIGRATIONS: ClassVar[Mapping[int, Callable[[Fields], Fields]]] = {2: _2_to_3}
    ERROR = ZooError
    REMEDY = "run 'tans zoo transfers', where that was not done with it, and 'tans train' again"

    columns: tuple[str, ...]
    """Of the evidence that the rule is for."""
    mean: tuple[FiniteFloat, ...]
    weights: tuple[FiniteFloat, ...]
    bias: FiniteFloat
    strength: FiniteFloat
    margin: NonNegativeFloat
    """Infinite where no interval was fitted, or there were too few trials."""
    trials: NonNegativeInt
    tuning: NonNegativeFloat

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
    margins = {s: _margin(trials, predict_left_out(trials, s)) for s in STRENGTHS}
    best = min(STRENGTHS, key=lambda strength: margins[strength])
    return replace(_ridge(trials, best), margin=margins[best], trials=len(trials.accuracy))


def predict_left_out(trials: Trials, strength: float) -> Tensor:
    """Predicted angles (n,), each by a rule that saw no trial of the family."""
    predicted = torch.empty_like(trials.accuracy)
    for family in dict.fromkeys(trials.families):
        own = _of(trials.families, family)
        predicted[own] = _ridge(trials.rows(~own), strength).score(trials.evidence[own])
    return predicted


def _margin(trials: Trials, predicted: Tensor) -> float:
    """What a new task's error stays below at the rate ``COVERAGE``, as a multiple of ``luck``.

    All targets count alike, however many trials are on them. Those of a family may be off together,
    so that there are no more degrees of freedom than families.

    Args:
        predicted: angles (n,) by rules that did not see the family.
    """
    from scipy.special import stdtrit  # of use only where one is fitted

    errors = (predicted - _angles(trials.accuracy)) / luck(trials.groups)  # (n,)
    rows = [_of(trials.targets, name) for name in dict.fromkeys(trials.targets)]
    squares = torch.stack([errors[own].square().mean() for own in rows])  # (t,)
    freedom = len(set(trials.families)) - 1
    quantile = float(stdtrit(freedom, (1 + COVERAGE) / 2))  # Student's t
    return quantile * math.sqrt(squares.mean().item())


def _ridge(trials: Trials, strength: float) -> Calibrator:
    """Least squares of angles, where each target has a level of its own (a random intercept).

    So the weights come mostly from comparing trials on the same target, as a user will, and a
    target of few groups, whose level is mostly luck, has little say in the bias.
    """
    usual = torch.tensor([USUAL.get(name, 0.0) for name in COLUMNS], dtype=torch.float64)  # (k,)
    x = trials.evidence  # (n, k)
    y = _angles(trials.accuracy) - x @ usual  # (n,)
    own = torch.stack([_of(trials.targets, name) for name in dict.fromkeys(trials.targets)], 1)
    own = own.double()  # (n, t)
    mean, spread = x.mean(0), x.std(0).clamp_min(1e-6)  # (k,)
    design = torch.cat([torch.ones_like(y)[:, None], (x - mean) / spread, own], 1)  # (n, 1+k+t)
    levels = (OF_TRIAL / luck(own.T @ trials.groups / own.sum(0))) ** 2  # (t,)
    penalty = torch.cat([torch.tensor([0.0, *[strength] * x.shape[1]]).double(), levels])
    bias, *solved = torch.linalg.solve(design.T @ design + penalty.diag(), design.T @ y)
    weights = usual + torch.stack(solved[: x.shape[1]]) / spread
    bias = bias + mean @ usual  # evidence is taken from its mean
    return Calibrator(tuple(mean.tolist()), tuple(weights.tolist()), bias.item(), strength)


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
