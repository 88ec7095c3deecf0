"""The Pareto front of a dataset's networks, and what another network is expected to add to it.

Accuracy is better the higher, in [0, 1], and counts from 0: a reference of chance would only shift
what is not yet dominated. Each cost (parameters, and latency or multiply-adds) is better the lower
and is divided by the largest among all candidates; it counts up to ``REFERENCE_COST``, a tenth
beyond the largest network, which with a reference of 1 would dominate nothing and so never be worth
training.

References:
    Jeong et al., Task-Adaptive Neural Network Search with Meta-Contrastive Learning, NeurIPS 2021,
    equation 7.
    Emmerich, Deutz and Klinkenberg, Hypervolume-based expected improvement, CEC 2011.
    Ishibuchi et al., How to Specify a Reference Point in Hypervolume Calculation, EC 2018.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import moocore
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from tans.errors import InputError

Array = NDArray[np.float64]
REFERENCE_ACCURACY = 0.0
REFERENCE_COST = 1.1
"""Of both costs, as a share of the largest."""
HIGHEST = 1.0
"""No accuracy is above it, whatever a normal distribution says."""
TINY, FAR = 1e-12, 38.0
"""A std that counts as none, and so many stds beyond which a normal has no mass in float64."""


def normalised(costs: ArrayLike) -> Array:
    """Costs (n, 2), each column divided by its largest.

    Raises:
        InputError: the shape differs, or a cost is not positive and finite.
    """
    given = np.asarray(costs, dtype=float)
    if given.ndim != 2 or given.shape[1] != 2 or not len(given):
        raise InputError(f"costs have shape {given.shape}; expected (networks, 2)")
    if not (np.isfinite(given) & (given > 0)).all():
        raise InputError(
            "a cost is not a positive number; expected parameters, and latency or multiply-adds"
        )
    return given / given.max(0)


def hypervolume(accuracies: ArrayLike, costs: ArrayLike) -> float:
    """Volume that networks dominate, up to the reference point (g_D of equation 7).

    Args:
        accuracies: (n,) in [0, 1].
        costs: (n, 2), normalised.

    Raises:
        InputError: shapes do not fit, or a value is not finite or is negative.
    """
    points = _points(accuracies, costs)
    if not len(points):
        return 0.0
    reference = (REFERENCE_ACCURACY, REFERENCE_COST, REFERENCE_COST)
    return float(moocore.hypervolume(points, reference, maximise=(True, False, False)))


def undominated(accuracies: ArrayLike, costs: ArrayLike) -> NDArray[np.bool_]:
    """Mask (n,) of networks that no other beats; of several that are alike, the first.

    Args:
        accuracies: (n,) in [0, 1].
        costs: (n, 2), normalised.

    Raises:
        InputError: shapes do not fit, or a value is not finite or is negative.
    """
    points = _points(accuracies, costs)
    if not len(points):
        return np.zeros(0, dtype=bool)
    return moocore.is_nondominated(points, maximise=(True, False, False))


@dataclass(frozen=True, eq=False)
class Front:
    """Networks of one dataset that no other beats in accuracy and both costs.

    Get one from ``Front.of``.
    """

    accuracies: Array
    """(k,), in [0, 1]."""
    costs: Array
    """(k, 2), normalised."""

    @classmethod
    def of(cls, accuracies: ArrayLike, costs: ArrayLike) -> Front:
        """The front of networks with accuracies (n,) and normalised costs (n, 2).

        Raises:
            InputError: shapes do not fit, or a value is not finite or is negative.
        """
        points = _points(accuracies, costs)
        points = points[undominated(accuracies, costs)]
        return cls(points[:, 0], points[:, 1:])

    def with_network(self, accuracy: float, costs: ArrayLike) -> Front:
        """The front after a network with normalised costs (2,) was added."""
        known = np.concatenate([self.costs, np.reshape(costs, (1, 2))])
        return Front.of(np.append(self.accuracies, min(max(accuracy, 0.0), HIGHEST)), known)

    @cached_property
    def volume(self) -> float:
        """Its hypervolume."""
        return hypervolume(self.accuracies, self.costs)

    def expected_growth(self, mean: ArrayLike, std: ArrayLike, costs: ArrayLike) -> Array:
        """What each of n networks alone is expected to add to the volume (f_zoo, equation 7).

        Costs are known, accuracy is normal and capped at ``HIGHEST``. A network dominates the same
        part of the plane of costs whatever its accuracy a, and above a cell of that part it adds
        max(a - h, 0), where h is the highest accuracy among the front's networks that dominate the
        cell. So the expectation is a sum over the front's levels h of area and a closed form.

        Args:
            mean: (n,) of the accuracy.
            std: (n,) of the accuracy; 0 gives the plain growth.
            costs: (n, 2), normalised.

        Returns:
            (n,), never negative.

        Raises:
            InputError: shapes do not fit, a value is not finite, or a cost or std is negative.
        """
        mean, std, costs = _candidates(mean, std, costs)
        levels, areas = self._areas(costs)  # (l,), (n, l)
        excess = _expected_excess(mean[:, None], std[:, None], levels)  # (n, l)
        beyond = _expected_excess(mean, std, np.array(HIGHEST))  # (n,)
        return (areas * np.maximum(excess - beyond[:, None], 0)).sum(1)

    def _areas(self, costs: Array) -> tuple[Array, Array]:
        """Levels (l,), and the area (n, l) at each that networks with these costs dominate."""
        widths = [_overlaps(costs[:, k], self._edges[k]) for k in (0, 1)]  # (n, i), (n, j)
        levels, order, starts = self._cells
        cells = (widths[0][:, :, None] * widths[1][:, None, :]).reshape(len(costs), len(order))
        return levels, np.add.reduceat(cells[:, order], starts, axis=1)

    @cached_property
    def _edges(self) -> tuple[Array, Array]:
        """Where the plane of costs is cut, along each cost: (i + 1,), (j + 1,)."""
        inside = self.costs[(self.costs < REFERENCE_COST).all(1)]
        first, second = (np.unique(np.concatenate([[0.0], column])) for column in inside.T)
        return np.append(first, REFERENCE_COST), np.append(second, REFERENCE_COST)

    @cached_property
    def _cells(self) -> tuple[Array, NDArray[np.intp], NDArray[np.intp]]:
        """Levels (l,), the order of cells (i * j,) by level, and where each level starts (l,)."""
        low = [edges[:-1] for edges in self._edges]
        reached = [self.costs[:, k, None] <= low[k] for k in (0, 1)]  # (k, i), (k, j)
        above = reached[0][:, :, None] & reached[1][:, None, :]  # (k, i, j)
        heights = np.where(above, self.accuracies[:, None, None], REFERENCE_ACCURACY)
        height = heights.max(0, initial=REFERENCE_ACCURACY).ravel()  # (i * j,)
        order = height.argsort(kind="stable")
        levels, starts = np.unique(height[order], return_index=True)
        return levels, order, starts


def _expected_excess(mean: Array, std: Array, level: Array) -> Array:
    """E max(a - level, 0) of a normal a: std * psi(z), z = (mean - level) / std.

    psi(z) = z Phi(z) + phi(z), as in expected improvement.
    """
    gap = mean - level
    z = np.clip(gap / np.maximum(std, TINY), -FAR, FAR)
    spread = std * np.exp(-0.5 * np.square(z)) / math.sqrt(2 * math.pi)
    return np.maximum(gap * ndtr(z) + spread, 0)


def _overlaps(costs: Array, edges: Array) -> Array:
    """Length (n, i) of each of the intervals between edges (i + 1,) that lies above a cost (n,)."""
    return np.maximum(edges[1:] - np.maximum(edges[:-1], costs[:, None]), 0)


def _points(accuracies: ArrayLike, costs: ArrayLike) -> Array:
    """Accuracy and both costs (n, 3)."""
    found, spent = np.asarray(accuracies, dtype=float), np.asarray(costs, dtype=float)
    _check_shapes(accuracies=found, costs=spent)
    points = np.column_stack([found, spent])
    if not np.isfinite(points).all() or (points < 0).any() or (found > HIGHEST).any():
        raise InputError(
            "accuracies must lie in [0, 1] and costs must be positive; one of them does not"
        )
    return points


def _candidates(mean: ArrayLike, std: ArrayLike, costs: ArrayLike) -> tuple[Array, Array, Array]:
    means, stds = np.asarray(mean, dtype=float), np.asarray(std, dtype=float)
    spent = np.asarray(costs, dtype=float)
    _check_shapes(mean=means, std=stds, costs=spent)
    if not all(np.isfinite(each).all() for each in (means, stds, spent)):
        raise InputError("a mean, std or cost is not finite; expected numbers")
    if (stds < 0).any() or (spent < 0).any():
        raise InputError("a std or cost is negative; expected none below 0")
    return means, stds, spent


def _check_shapes(*, costs: Array, **rows: Array) -> None:
    """All of ``rows`` (n,), costs (n, 2)."""
    for name, values in rows.items():
        if values.ndim != 1 or costs.shape != (len(values), 2):
            raise InputError(
                f"{name} has shape {values.shape} and costs {costs.shape}; "
                "expected (networks,) and (networks, 2)"
            )
