"""How accurate a network will be on a task, and how sure that is, from pairs measured so far.

A Gaussian process over pairs of a task t and a network x, in five parts:

    accuracy = mean + T(t) + u_t + s_t * (w . x + g_t(x) + noise)

T is smooth in the task's embedding and u_t is its own; w are effects that networks have on all
tasks, and g_t is smooth in x on task t alone. s_t is how much the accuracies of a task's networks
differ: little where nearly all answers are right, as the spread of a share p goes as
sqrt(p (1 - p)), and as much as was seen where several were measured. What tasks share has as few
dimensions as there are tasks and numbers of a network, so fitting takes one small Cholesky factor
for each task and one for what they share, not one over all pairs.

References:
    Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, sections 2.7 and 5.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

from tans.errors import InputError

Array = NDArray[np.float64]
COMPONENTS = 8
"""Of the tasks' embeddings, at most."""
PRIOR = np.log([0.02, 0.02, 0.1, 0.1, 0.5])
"""Logarithms of what is expected of the variances of T, u, w . x, g and the noise."""
PRIOR_STD = 2.0
"""Of each of them, so that few pairs give no extreme ones."""
SPREAD = 0.01
"""Within-task variance as a share of p (1 - p), where no task has two measured networks."""
WEIGHT = 4.0
"""Measured networks that the expected spread of a task counts as."""
JITTER = 1e-9
GROWN = 1.5
"""Variances are fitted anew when there are so many times the pairs of the last time."""


def task_embeddings(features: Sequence[NDArray[np.floating]]) -> Array:
    """Principal components (t, q) of tasks' mean image features, each task's (n_i, f).

    The first has variance 1.
    """
    means = np.stack([np.asarray(own, dtype=float).mean(0) for own in features])  # (t, f)
    left, sizes, _ = np.linalg.svd(means - means.mean(0), full_matrices=False)
    kept = left[:, :COMPONENTS] * sizes[:COMPONENTS]
    return kept / max(kept[:, 0].std(), JITTER)


def pair_features(tasks: NDArray[np.integer], topology: Array, costs: Array) -> Array:
    """What ``MixedSurrogate`` is told of pairs (n, 1 + d + 2): their task, then the network.

    Args:
        tasks: (n,), row of each pair's task among the embeddings.
        topology: (n, d), topology vectors.
        costs: (n, 2), parameters and multiply-adds.
    """
    numbers = np.column_stack([topology, np.log(costs)]).astype(float)  # (n, d + 2)
    centred = numbers - numbers.mean(0)
    return np.column_stack([tasks, centred / np.maximum(centred.std(0), JITTER)])


def describe_pairs(
    images: Sequence[NDArray[np.floating]],
    tasks: NDArray[np.integer],
    topology: Array,
    costs: Array,
) -> tuple[Array, MixedSurrogate]:
    """Features (n, f) of pairs, and a surrogate that reads them, not yet fitted.

    Args:
        images: features (n_i, f) of each task's images.
        tasks: (n,), place of each pair's task among them.
        topology: (n, d), topology vectors.
        costs: (n, 2), parameters and multiply-adds.
    """
    features = pair_features(tasks, topology, costs)
    return features, MixedSurrogate(task_embeddings(images))


@dataclass(frozen=True, eq=False)
class _Block:
    """One task's measured pairs, and what is solved once for all predictions on it."""

    networks: Array
    """(n, d)."""
    factor: Array
    """(n, n), lower Cholesky factor of the covariance that is the task's own."""
    whitened: Array
    """(n, r), the factor's inverse times what the pairs share with those of other tasks."""
    residual: Array
    """(n,), the factor's inverse times the accuracies less their mean."""


class MixedSurrogate:
    """Accuracy of pairs with its uncertainty; ``fit`` it before it predicts.

    Args:
        embeddings: (t, q) of all tasks, as from ``task_embeddings``.
    """

    def __init__(self, embeddings: Array) -> None:
        self.embeddings = embeddings
        self.variances = np.exp(PRIOR)
        """(5,), of T, u, w . x, g and the noise."""
        self._fitted_on = 0

    def fit(self, features: Array, accuracies: Array) -> None:
        """Learn from pairs (n, 1 + d) and their accuracies (n,) in [0, 1].

        The variances are those of highest posterior density; they are kept until there are
        ``GROWN`` times as many pairs, or fewer.

        Raises:
            InputError: there are no pairs, shapes do not fit, or a number is not finite.
        """
        tasks, networks = self._apart(features)
        if accuracies.shape != tasks.shape or not len(tasks) or not np.isfinite(accuracies).all():
            raise InputError(
                f"features {features.shape} and accuracies {accuracies.shape} were given; "
                "expected one number for each pair, and at least one pair"
            )
        self._mean = float(accuracies.mean())
        self.spreads = _spreads(tasks, accuracies, len(self.embeddings))
        given = (tasks, networks, accuracies - self._mean)
        if not self._fitted_on <= len(tasks) < GROWN * self._fitted_on:
            self.variances = self._best_variances(*given)
            self._fitted_on = len(tasks)
        self._blocks = self._solved(self.variances, *given)
        self._factor, self._weights = _shared_posterior(self._blocks)

    def predict(self, features: Array) -> tuple[Array, Array]:
        """Mean (m,) and standard deviation (m,) of what measuring pairs (m, 1 + d) will give.

        Raises:
            InputError: shapes do not fit, or a number is not finite.
        """
        tasks, networks = self._apart(features)
        mean, variance = np.empty(len(tasks)), np.empty(len(tasks))
        for task in np.unique(tasks):
            rows = np.flatnonzero(tasks == task)
            mean[rows], variance[rows] = self._on_task(int(task), networks[rows])
        return mean + self._mean, np.sqrt(variance)

    def _on_task(self, task: int, networks: Array) -> tuple[Array, Array]:
        """Mean (m,), less that of all, and variance (m,) of networks (m, d) on a task."""
        variances, spread = self.variances, self.spreads[task]
        shared = self._shared(variances, task, networks)  # (m, r)
        mean = shared @ self._weights
        variance = np.full(len(networks), variances[1] + spread**2 * (variances[3] + variances[4]))
        if (block := self._blocks.get(task)) is not None:
            cross = _own(variances, spread, block.networks, networks)  # (n, m)
            solved = solve_triangular(block.factor, cross, lower=True)  # (n, m)
            mean += solved.T @ (block.residual - block.whitened @ self._weights)
            variance -= np.square(solved).sum(0)
            shared = shared - solved.T @ block.whitened
        variance += np.square(solve_triangular(self._factor, shared.T, lower=True)).sum(0)
        return mean, np.maximum(variance, JITTER)

    def _apart(self, features: Array) -> tuple[NDArray[np.intp], Array]:
        """Tasks (n,) and networks (n, d)."""
        if features.ndim != 2 or not np.isfinite(features).all():
            raise InputError(
                f"features {features.shape} were given; expected finite (pairs, 1 + d)"
            )
        tasks = features[:, 0].astype(np.intp)
        if len(tasks) and not 0 <= tasks.min() <= tasks.max() < len(self.embeddings):
            raise InputError(
                f"features name tasks {tasks.min()} to {tasks.max()}; "
                f"expected numbers below {len(self.embeddings)}"
            )
        return tasks, features[:, 1:]

    def _shared(self, variances: Array, task: int, networks: Array) -> Array:
        """Rows (n, t + d) whose products are the covariance that tasks share."""
        smooth = np.sqrt(variances[0]) * self._smooth[task]  # (t,)
        scale = self.spreads[task] * np.sqrt(variances[2] / networks.shape[1])
        return np.column_stack([np.tile(smooth, (len(networks), 1)), scale * networks])

    @cached_property
    def _smooth(self) -> Array:
        """Cholesky factor (t, t) of the tasks' similarities."""
        similar = _radial(self.embeddings, self.embeddings, 1.0)
        return cholesky(similar + 1e-6 * np.eye(len(similar)), lower=True)

    def _solved(
        self, variances: Array, tasks: NDArray[np.intp], networks: Array, centred: Array
    ) -> dict[int, _Block]:
        """A block for each task that has pairs."""
        blocks = {}
        for task in np.unique(tasks).tolist():
            own, spread = tasks == task, self.spreads[task]
            covariance = _own(variances, spread, networks[own], networks[own])
            covariance[np.diag_indices(len(covariance))] += spread**2 * variances[4] + JITTER
            factor = cholesky(covariance, lower=True)
            shared = self._shared(variances, task, networks[own])
            both = np.column_stack([shared, centred[own]])
            whitened = solve_triangular(factor, both, lower=True)
            blocks[task] = _Block(networks[own], factor, whitened[:, :-1], whitened[:, -1])
        return blocks

    def _best_variances(self, tasks: NDArray[np.intp], networks: Array, centred: Array) -> Array:
        """The variances (5,) of highest posterior density."""

        def loss(log_variances: Array) -> float:
            blocks = self._solved(np.exp(log_variances), tasks, networks, centred)
            surprise = np.square((log_variances - PRIOR) / PRIOR_STD).sum() / 2
            return float(surprise - _log_likelihood(blocks))

        bounds = [(centre - 4 * PRIOR_STD, centre + 4 * PRIOR_STD) for centre in PRIOR]
        start = np.log(self.variances)
        return np.exp(minimize(loss, start, method="L-BFGS-B", bounds=bounds).x)


def _own(variances: Array, spread: float, left: Array, right: Array) -> Array:
    """Covariance (n, m), without noise, that networks of one task share with no other task."""
    width = np.sqrt(2.0 * left.shape[1])  # about the distance of two random networks
    return variances[1] + spread**2 * variances[3] * _radial(left, right, width)


def _radial(left: Array, right: Array, width: float) -> Array:
    """exp(-d^2 / 2 width^2) (n, m) of rows (n, d) and (m, d)."""
    squares = np.square(left).sum(1)[:, None] + np.square(right).sum(1) - 2 * left @ right.T
    return np.exp(-np.maximum(squares, 0) / (2 * width**2))


def _shared_posterior(blocks: dict[int, _Block]) -> tuple[Array, Array]:
    """Factor (r, r) of the precision of what tasks share, and its mean weights (r,)."""
    width = next(iter(blocks.values())).whitened.shape[1]
    precision = sum((b.whitened.T @ b.whitened for b in blocks.values()), start=np.eye(width))
    target = sum((b.whitened.T @ b.residual for b in blocks.values()), start=np.zeros(width))
    factor = cholesky(precision, lower=True)
    return factor, cho_solve((factor, True), target)


def _log_likelihood(blocks: dict[int, _Block]) -> float:
    """Of the accuracies less their mean."""
    factor, weights = _shared_posterior(blocks)
    explained = sum(b.residual @ (b.whitened @ weights) for b in blocks.values())
    fit = sum(b.residual @ b.residual for b in blocks.values()) - explained
    volume = sum(np.log(np.diag(b.factor)).sum() for b in blocks.values())
    count = sum(len(b.residual) for b in blocks.values())
    constant = count * np.log(2 * np.pi) / 2
    return float(-fit / 2 - volume - np.log(np.diag(factor)).sum() - constant)


def _spreads(tasks: NDArray[np.intp], accuracies: Array, count: int) -> Array:
    """s_t (count,) of each task: what was seen, and p (1 - p) where little was."""
    seen = np.bincount(tasks, minlength=count)
    total = np.bincount(tasks, accuracies, minlength=count)
    means = total / np.maximum(seen, 1)
    squares = np.bincount(tasks, np.square(accuracies - means[tasks]), minlength=count)
    shares = np.clip((total + accuracies.mean()) / (seen + 1), 0.02, 0.98)
    expected, free = shares * (1 - shares), np.maximum(seen - 1, 0)
    level = squares.sum() / (free @ expected) if free.any() else SPREAD
    level = max(level, SPREAD / 100)
    return np.sqrt((WEIGHT * level * expected + squares) / (WEIGHT + free))
