"""Small regressors, and which of them ranks unseen architectures best ("adaptive switching").

Reference: Lu et al., NSGANetV2: Evolutionary Multi-Objective Surrogate-Assisted Neural Architecture
Search, ECCV 2020 (section 3.2).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator
from scipy.stats import spearmanr
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.neural_network import MLPRegressor
from sklearn.tree import DecisionTreeRegressor

Array = NDArray[np.float64]
Predict = Callable[[Array], Array]
"""Of features (n, f), (n,)."""
Surrogate = Callable[[Array, Array, int], Predict]
"""Fits features (n, f) to targets (n,), from a seed."""
FOLDS = 5


@dataclass(frozen=True)
class Switched:
    """The surrogate that was chosen."""

    name: str
    predict: Predict
    correlation: float
    """Spearman's of its cross-validated predictions, in [-1, 1]; 0 where all are equal."""


def switch(
    features: Array, targets: Array, surrogates: Mapping[str, Surrogate], seed: int
) -> Switched:
    """The surrogate of the best cross-validated rank correlation, fitted to all.

    Args:
        features: (n, f).
        targets: (n,).
        surrogates: by name; the first of equals is taken.
    """
    folds = np.random.default_rng(seed).permutation(len(targets)) % FOLDS  # (n,)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few points: fits that stop early, constant predictions
        correlations = {
            name: _correlation(fit, features, targets, folds, seed)
            for name, fit in surrogates.items()
        }
        name = max(correlations, key=lambda name: correlations[name])
        predict = surrogates[name](features, targets, seed)
    return Switched(name, predict, correlations[name])


def gaussian_process(features: Array, targets: Array, seed: int) -> Predict:
    """A Gaussian process with noise, its length scale of the highest evidence."""
    kernel = ConstantKernel() * RBF(features.shape[1] ** 0.5) + WhiteKernel(0.1)
    model = GaussianProcessRegressor(kernel, normalize_y=True, random_state=seed)
    return model.fit(features, targets).predict


def regression_tree(features: Array, targets: Array, seed: int) -> Predict:
    """A CART of leaves of at least two."""
    model = DecisionTreeRegressor(min_samples_leaf=2, random_state=seed)
    return model.fit(features, targets).predict


def perceptron(features: Array, targets: Array, seed: int) -> Predict:
    """One hidden layer, fitted to standardised targets by a quasi-Newton method."""
    mean, spread = targets.mean(), targets.std() or 1.0
    model = MLPRegressor(
        hidden_layer_sizes=(32,), solver="lbfgs", alpha=1.0, max_iter=200, random_state=seed
    )
    model.fit(features, (targets - mean) / spread)
    return lambda unseen: model.predict(unseen) * spread + mean


def radial_basis(features: Array, targets: Array, seed: int) -> Predict:  # noqa: ARG001
    """Linear radial basis functions, smoothed."""
    return RBFInterpolator(features, targets, kernel="linear", degree=0, smoothing=1.0)


SURROGATES: Mapping[str, Surrogate] = {
    "gp": gaussian_process,
    "cart": regression_tree,
    "mlp": perceptron,
    "rbf": radial_basis,
}
"""The four of the paper."""


def _correlation(
    fit: Surrogate, features: Array, targets: Array, folds: NDArray[np.int64], seed: int
) -> float:
    """Spearman's of predictions, each by a fit to the other folds."""
    predicted = np.zeros(len(targets))
    for fold in np.unique(folds) if len(np.unique(folds)) > 1 else ():
        judged = folds == fold
        predicted[judged] = fit(features[~judged], targets[~judged], seed)(features[judged])
    return float(np.nan_to_num(spearmanr(predicted, targets).statistic))
