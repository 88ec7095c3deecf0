"""The surrogate that ranks unseen points best is the one that is used."""

from __future__ import annotations

import numpy as np
import pytest

from tans_bench.methods.surrogates import SURROGATES, Array, Predict, switch


def points(n: int = 40) -> tuple[Array, Array]:
    features = np.random.default_rng(0).integers(0, 2, size=(n, 6)).astype(float)
    return features, features @ np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0])


def least_squares(features: Array, targets: Array, seed: int) -> Predict:  # noqa: ARG001
    weights = np.linalg.lstsq(features, targets, rcond=None)[0]
    return lambda unseen: unseen @ weights


def backwards(features: Array, targets: Array, seed: int) -> Predict:
    right = least_squares(features, targets, seed)
    return lambda unseen: -right(unseen)


def constant(features: Array, targets: Array, seed: int) -> Predict:  # noqa: ARG001
    return lambda unseen: np.full(len(unseen), targets.mean())


def test_the_better_rank_correlation_is_chosen() -> None:
    features, targets = points()
    known = {"constant": constant, "backwards": backwards, "right": least_squares}
    chosen = switch(features, targets, known, seed=0)
    assert chosen.name == "right"
    assert chosen.correlation > 0.99
    assert chosen.predict(features) == pytest.approx(targets)
    del known["right"]
    assert switch(features, targets, known, seed=0).name == "constant"


@pytest.mark.parametrize("name", SURROGATES)
def test_each_surrogate_learns_a_sum(name: str) -> None:
    features, targets = points()
    chosen = switch(features, targets, {name: SURROGATES[name]}, seed=1)
    assert chosen.correlation > 0.7
    again = switch(features, targets, {name: SURROGATES[name]}, seed=1)
    assert np.array_equal(chosen.predict(features), again.predict(features))


def test_equal_targets_and_single_points_do_not_fail() -> None:
    features, _ = points(5)
    assert switch(features, np.ones(5), SURROGATES, seed=0).correlation == 0
    assert switch(features[:1], np.ones(1), SURROGATES, seed=0).correlation == 0
