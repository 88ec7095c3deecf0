"""Evolution finds what its predictor prefers, and the predictor learns from the zoo."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from bench.tests.methods.small_space import SMALL_SPACE, everyone

from tans.errors import LimitError, ZooError
from tans.networks.families.elastic.specification import SPACES
from tans.networks.family import describe
from tans.types import Constraints
from tans.zoo.zoo import IMAGENET, Zoo
from tans_bench.methods import onceforall
from tans_bench.methods.genes import Genome, Room
from tans_bench.methods.method import Problem
from tans_bench.methods.onceforall import (
    OnceForAll,
    OnceForAllSettings,
    PredictorSettings,
    accuracy_predictor,
    evolve,
    measured,
)
from tests.small_zoo import drawn_task

QUERY = drawn_task("green", "three", seed=3)
TINY = OnceForAllSettings(
    population=8, generations=3, predictor=PredictorSettings(hidden=(8,), epochs=20)
)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("share", [0.5, 0.8, 1.0])
def test_evolution_finds_the_optimum_under_a_limit(
    seed: int, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SPACES, "small", SMALL_SPACE)
    limit = share * SMALL_SPACE.costs(SMALL_SPACE.largest, 3, 32).flops
    room = Room(Genome(SMALL_SPACE), Problem(QUERY, Constraints(max_flops=limit)), 32)
    rng = np.random.default_rng(seed)
    architectures = everyone()
    features = room.genome.features(np.stack([room.genome.encode(a) for a in architectures]))
    liked = rng.normal(size=features.shape[1])
    allowed = [SMALL_SPACE.costs(a, 3, 32).flops <= limit for a in architectures]
    optimum = (features @ liked)[allowed].max()
    settings = OnceForAllSettings(population=40, generations=40)
    genes, score = evolve(room, lambda own: own @ liked, settings, rng)
    assert score == pytest.approx(optimum)
    assert room.allows([room.genome.decode(genes)]).all()
    assert (room.genome.features(genes[None]) @ liked)[0] == pytest.approx(score)


def test_accuracies_are_standardised_by_task(small_zoo: Zoo) -> None:
    features, targets, tasks = measured(small_zoo)
    assert len(features) == len(targets) == len(tasks)
    for task in np.unique(tasks):
        assert targets[tasks == task].mean() == pytest.approx(0)
        assert targets[tasks == task].std() == pytest.approx(1)


def test_the_predictor_is_fitted_once_for_a_zoo(small_zoo: Zoo) -> None:
    first = accuracy_predictor(small_zoo, TINY.predictor)
    assert accuracy_predictor(small_zoo, TINY.predictor) is first
    assert -1 <= first.correlation <= 1 or np.isnan(first.correlation)
    rows = measured(small_zoo)[0]
    assert first.score(rows).shape == (len(rows),)


def test_a_zoo_without_differences_is_an_error(
    small_zoo: Zoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [replace(entry, val_accuracy=0.5) for entry in small_zoo.entries(vectors=False)]
    monkeypatch.setattr(Zoo, "entries", lambda *_, **__: entries)
    with pytest.raises(ZooError, match="different accuracies"):
        measured(small_zoo)


def test_a_proposal_keeps_to_the_limits_and_repeats(small_zoo: Zoo) -> None:
    method = OnceForAll(TINY)
    free = method(Problem(QUERY), small_zoo)
    assert (free.source, free.weights, free.fit_head) == (IMAGENET, small_zoo.base, True)
    assert free == method(Problem(QUERY), small_zoo)
    assert free.details["settings"]["generations"] == 3
    limit = describe(free.ref).costs(3).flops - 1
    bound = method(Problem(QUERY, Constraints(max_flops=limit)), small_zoo)
    assert describe(bound.ref).costs(3).flops <= limit
    assert bound.load(small_zoo, 3)(torch.rand(2, 3, 32, 32)).shape == (2, 3)
    with pytest.raises(LimitError, match="max_params 1;"):
        method(Problem(QUERY, Constraints(max_params=1)), small_zoo)


def test_chance_needs_no_predictor_and_is_another_with_another_seed(
    small_zoo: Zoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onceforall, "accuracy_predictor", None)
    method = OnceForAll(TINY, at_random=True)
    drawn = [method(Problem(QUERY, seed=seed), small_zoo) for seed in range(4)]
    assert drawn[0] == method(Problem(QUERY), small_zoo)
    assert len({proposal.ref for proposal in drawn}) > 1
    limit = describe(drawn[0].ref).costs(3).flops - 1
    bound = method(Problem(QUERY, Constraints(max_flops=limit)), small_zoo)
    assert describe(bound.ref).costs(3).flops <= limit
    assert bound.weights == small_zoo.base
    assert bound.details["settings"]["generations"] == 3
