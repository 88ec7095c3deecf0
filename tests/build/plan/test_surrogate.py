"""Predicted accuracies, and whether they are as sure as they say."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import multivariate_normal

from tans.build.plan import surrogate
from tans.build.plan.surrogate import (
    PRIOR,
    PRIOR_STD,
    Array,
    MixedSurrogate,
    pair_features,
    task_embeddings,
)
from tans.errors import InputError
from tans.zoo.zoo import Zoo

TASKS, NETWORKS, WIDTH = 8, 40, 5


def made(seed: int = 0) -> tuple[Array, Array, Array]:
    """Embeddings, features and accuracies of pairs as the model supposes them to be."""
    rng = np.random.default_rng(seed)
    embeddings = rng.normal(size=(TASKS, 2))
    tasks = np.repeat(np.arange(TASKS), NETWORKS)
    features = pair_features(
        tasks, rng.normal(size=(len(tasks), WIDTH)), rng.uniform(1, 2, (len(tasks), 2))
    )
    level = 0.6 + 0.1 * np.sin(embeddings[:, 0]) + rng.normal(0, 0.05, TASKS)
    shared = 0.02 * features[:, 1:3].sum(1)
    own = 0.02 * (rng.normal(size=(TASKS, WIDTH + 2))[tasks] * features[:, 1:]).sum(1)
    accuracies = level[tasks] + shared + own / 2 + rng.normal(0, 0.01, len(tasks))
    return embeddings, features, accuracies.clip(0, 1)


def drawn(count: int, total: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows to learn from, and the others."""
    order = np.random.default_rng(seed).permutation(total)
    return order[:count], order[count:]


def coverage(found: tuple[Array, Array], accuracies: Array) -> float:
    """Share that lies in the interval of 90 %."""
    mean, std = found
    return float((np.abs(accuracies - mean) < 1.645 * std).mean())


@pytest.mark.parametrize(("count", "low"), [(24, 0.75), (50, 0.8), (200, 0.85)])
@pytest.mark.long
def test_nine_in_ten_accuracies_lie_where_it_says(count: int, low: float) -> None:
    shares = []
    for seed in range(5):
        embeddings, features, accuracies = made(seed)
        known, others = drawn(count, len(features), seed)
        model = MixedSurrogate(embeddings)
        model.fit(features[known], accuracies[known])
        shares.append(coverage(model.predict(features[others]), accuracies[others]))
    assert low < np.mean(shares) < 0.98


def test_it_learns_what_networks_have_in_common_and_what_they_have_not() -> None:
    embeddings, features, accuracies = made()
    known, others = drawn(240, len(features))
    model = MixedSurrogate(embeddings)
    model.fit(features[known], accuracies[known])
    mean, _ = model.predict(features[others])
    tasks = features[:, 0].astype(int)
    level = np.array([accuracies[known][tasks[known] == t].mean() for t in range(TASKS)])
    naive = accuracies[others] - level[tasks[others]]
    assert np.square(accuracies[others] - mean).mean() < 0.3 * np.square(naive).mean()


def test_it_is_surer_where_more_was_measured() -> None:
    embeddings, features, accuracies = made()
    tasks = features[:, 0].astype(int)
    known = np.flatnonzero((tasks > 0) & (np.arange(len(tasks)) % 2 == 0))
    model = MixedSurrogate(embeddings)
    model.fit(features[known], accuracies[known])
    std = model.predict(features)[1]
    assert std[tasks == 0].min() > std[tasks > 0].max()


def plain_covariance(model: MixedSurrogate, features: Array, variances: Array) -> Array:
    """Covariance (n, n) of pairs with the given variances, by the formula."""
    tasks, networks = features[:, 0].astype(int), features[:, 1:]

    def radial(x: Array, width: float) -> Array:
        return np.exp(-np.square(x[:, None] - x[None]).sum(2) / (2 * width**2))

    same = tasks[:, None] == tasks
    scale = np.outer(model.spreads[tasks], model.spreads[tasks])
    covariance = variances[0] * radial(model.embeddings, 1.0)[np.ix_(tasks, tasks)]
    covariance += variances[1] * same
    covariance += variances[2] * scale * (networks @ networks.T) / networks.shape[1]
    covariance += variances[3] * scale * same * radial(networks, (2.0 * networks.shape[1]) ** 0.5)
    return covariance + variances[4] * scale * np.eye(len(tasks))


def test_it_is_the_gaussian_process_it_says_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against the plain formulas over one large covariance, from its own parts."""
    monkeypatch.setattr(surrogate, "JITTER", 0.0)
    embeddings, features, accuracies = made()
    known, others = drawn(60, len(features))
    model = MixedSurrogate(embeddings)
    model.fit(features[known], accuracies[known])
    covariance = plain_covariance(model, features, model.variances)
    inner, cross = covariance[np.ix_(known, known)], covariance[np.ix_(known, others)]
    gain = np.linalg.solve(inner, cross)  # (known, others)
    centre = accuracies[known].mean()
    mean, std = model.predict(features[others])
    assert_allclose(mean, centre + gain.T @ (accuracies[known] - centre), atol=1e-5)
    variance = np.diag(covariance)[others] - (cross * gain).sum(0)
    assert_allclose(std**2, variance, rtol=1e-3)


def test_its_variances_are_those_of_highest_posterior_density() -> None:
    embeddings, features, accuracies = made()
    known, _ = drawn(60, len(features))
    model = MixedSurrogate(embeddings)
    model.fit(features[known], accuracies[known])

    def density(log_variances: Array) -> float:
        covariance = plain_covariance(model, features[known], np.exp(log_variances))
        likelihood = multivariate_normal(np.full(60, accuracies[known].mean()), covariance)
        prior = -np.square((log_variances - PRIOR) / PRIOR_STD).sum() / 2
        return float(likelihood.logpdf(accuracies[known]) + prior)

    found = np.log(model.variances)
    for step in 0.3 * np.concatenate([np.eye(5), -np.eye(5)]):
        assert density(found) > density(found + step)


def test_the_same_pairs_give_the_same() -> None:
    embeddings, features, accuracies = made()
    known, others = drawn(50, len(features))
    first, second = MixedSurrogate(embeddings), MixedSurrogate(embeddings)
    first.fit(features[known], accuracies[known])
    second.fit(features[known], accuracies[known])
    assert_allclose(first.predict(features[others]), second.predict(features[others]))


@pytest.mark.parametrize("value", [0.0, 0.7, 1.0])
def test_equal_accuracies_are_no_trouble(value: float) -> None:
    embeddings, features, _ = made()
    known, others = drawn(30, len(features))
    model = MixedSurrogate(embeddings)
    model.fit(features[known], np.full(30, value))
    mean, std = model.predict(features[others])
    assert_allclose(mean, value, atol=0.02)
    assert (std > 0).all()


def test_one_pair_is_enough() -> None:
    embeddings, features, accuracies = made()
    model = MixedSurrogate(embeddings)
    model.fit(features[:1], accuracies[:1])
    mean, std = model.predict(features)
    assert np.isfinite(mean).all()
    assert (std > 0.01).all()


def test_embeddings_keep_which_tasks_are_alike() -> None:
    rng = np.random.default_rng(0)
    centres = np.repeat(rng.normal(size=(2, 30)), 3, axis=0) * 4 + rng.normal(size=(6, 30))
    found = task_embeddings([centre + rng.normal(size=(20, 30)) for centre in centres])
    apart = np.linalg.norm(found[:, None] - found[None], axis=2)
    assert apart[:3, :3].max() < apart[:3, 3:].min()
    assert found[:, 0].std() == pytest.approx(1.0)


@pytest.mark.long
def test_on_the_shipped_zoo_it_is_calibrated() -> None:
    zoo = Zoo.open()
    entries = [entry for entry in zoo.entries() if entry.accuracy is not None]
    names = sorted({entry.task for entry in entries})
    features = pair_features(
        np.array([names.index(entry.task) for entry in entries]),
        np.array([entry.topology for entry in entries]),
        np.array([[entry.body_params, entry.body_flops] for entry in entries]),
    )
    accuracies = np.array([entry.accuracy for entry in entries])
    model = MixedSurrogate(task_embeddings([zoo.features(name)[0].numpy() for name in names]))
    spread = accuracies.std()
    for count in (48, 480):
        known, others = drawn(count, len(entries))
        model.fit(features[known], accuracies[known])
        found = model.predict(features[others])
        assert 0.82 < coverage(found, accuracies[others]) < 0.97
        assert np.abs(found[0] - accuracies[others]).mean() < 0.2 * spread


@pytest.mark.parametrize(
    ("features", "accuracies"),
    [
        (np.zeros((0, 3)), np.zeros(0)),
        (np.zeros((2, 3)), np.zeros(3)),
        (np.zeros(3), np.zeros(3)),
        (np.full((2, 3), np.nan), np.zeros(2)),
        (np.full((2, 3), 99.0), np.zeros(2)),
        (np.zeros((2, 3)), np.full(2, np.nan)),
    ],
)
def test_what_are_no_pairs_is_refused(features: Array, accuracies: Array) -> None:
    with pytest.raises(InputError, match="expected"):
        MixedSurrogate(np.zeros((3, 2))).fit(features, accuracies)
