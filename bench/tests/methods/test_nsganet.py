"""The search evaluates where its front has gaps, and finds what a planted task prefers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from bench.tests.methods.small_space import SMALL_SPACE, everyone

from tans.errors import LimitError
from tans.networks.families.elastic.specification import SPACES
from tans.networks.family import describe
from tans.types import Architecture, Constraints
from tans.zoo.zoo import IMAGENET, Zoo
from tans_bench.methods.genes import Genome, Room
from tans_bench.methods.method import Problem, space_of
from tans_bench.methods.nsganet import (
    DEVIATIONS,
    SMALL,
    Archive,
    NsgaNetSettings,
    NsgaNetV2,
    evaluation,
    explore,
    fill_gaps,
)
from tests.small_zoo import drawn_task

QUERY = drawn_task("green", "three", seed=3)
TINY = NsgaNetSettings(
    initial=3, iterations=1, evaluated=1, population=6, generations=2, images=30, epochs=0
)


def test_gaps_of_the_front_are_filled_widest_first() -> None:
    candidates = np.array([1.1, 2.0, 9.0, 3.0, 2.1])
    assert fill_gaps(candidates, np.array([1.0, 10.0]), 2).tolist() == [3, 1]
    assert sorted(fill_gaps(candidates, np.array([1.0]), 9).tolist()) == [0, 1, 2, 3, 4]


def test_an_archive_knows_its_best_and_its_front() -> None:
    archive = Archive(
        genes=np.zeros((4, 2), dtype=np.int64),
        accuracies=np.array([0.5, 0.75, 0.75, 0.25]),
        flops=np.array([20.0, 80.0, 60.0, 40.0]),
    )
    assert archive.best() == 2
    assert archive.front().tolist() == [True, False, True, False]
    assert archive.hypervolume(100.0) == pytest.approx(0.5 * 0.4 + 0.75 * 0.4)


@pytest.mark.long
def test_a_planted_problem_is_solved_with_few_evaluations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SPACES, "small", SMALL_SPACE)
    limit = 0.7 * SMALL_SPACE.costs(SMALL_SPACE.largest, 3, 32).flops
    room = Room(Genome(SMALL_SPACE), Problem(QUERY, Constraints(max_flops=limit)), 32)
    asked: list[Architecture] = []

    def planted(architecture: Architecture) -> float:
        asked.append(architecture)
        return sum(0.1 if k == 5 else 0.02 * e for s in architecture.stages for k, e in s)

    settings = NsgaNetSettings(initial=20, iterations=6, evaluated=6)
    archive, iterations = explore(room, planted, settings, seed=0)
    assert len(asked) == len(set(asked)) == 20 + 6 * 6
    assert room.allows(asked).all()
    volumes = [i.hypervolume for i in iterations]
    assert volumes == sorted(volumes)
    scores = {a: planted(a) for a in everyone()}
    allowed = [s for a, s in scores.items() if room.allows([a]).all()]
    best = archive.accuracies[archive.best()]
    assert best >= np.quantile(allowed, 0.98)
    random_best = archive.accuracies[:20].max()
    assert best > random_best


def test_a_space_that_is_too_small_is_evaluated_once_and_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(SPACES, "small", SMALL_SPACE)
    least = SMALL_SPACE.costs(SMALL_SPACE.smallest, 3, 32).flops
    room = Room(Genome(SMALL_SPACE), Problem(QUERY, Constraints(max_flops=1.01 * least)), 32)
    archive, _ = explore(room, lambda _: 0.5, replace(TINY, iterations=3), seed=0)
    architectures = [room.genome.decode(row) for row in archive.genes]
    assert len(set(architectures)) == len(architectures) <= 3 + 3


def test_the_small_search_has_a_hundred_evaluations() -> None:
    count = SMALL.initial + SMALL.iterations * SMALL.evaluated
    assert count >= 100
    assert any(one.here.startswith(f"{count}: ") for one in DEVIATIONS)


def test_architectures_are_judged_by_training_images_alone(small_zoo: Zoo) -> None:
    class Guarded:
        def __getattr__(self, name: str) -> object:
            assert name != "split"
            return getattr(QUERY, name)

    problem = Problem(Guarded())  # type: ignore[arg-type]
    smallest = space_of(small_zoo).smallest
    for epochs in (0, 1):
        evaluate = evaluation(problem, small_zoo, replace(TINY, epochs=epochs))
        found = evaluate(smallest)
        assert 0 <= found <= 1
        assert found == evaluate(smallest)


@pytest.mark.long
def test_a_proposal_keeps_to_the_limits_and_repeats(small_zoo: Zoo) -> None:
    method = NsgaNetV2(TINY)
    state = torch.random.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
    free = method(Problem(QUERY), small_zoo)
    assert torch.equal(state[0], torch.random.get_rng_state())
    assert state[1] == np.random.get_state()[1].tolist()  # noqa: NPY002
    assert (free.source, free.weights, free.fit_head) == (IMAGENET, small_zoo.base, True)
    assert free == method(Problem(QUERY), small_zoo)
    kept = free.details["archive"]
    assert max(kept, key=lambda row: row["accuracy"])["accuracy"] == next(
        row["accuracy"] for row in kept if row["architecture"] == free.ref.name
    )
    limit = describe(free.ref).costs(3).flops - 1
    bound = method(Problem(QUERY, Constraints(max_flops=limit)), small_zoo)
    assert describe(bound.ref).costs(3).flops <= limit
    assert bound.load(small_zoo, 3)(torch.rand(2, 3, 32, 32)).shape == (2, 3)
    with pytest.raises(LimitError, match="max_params 1;"):
        method(Problem(QUERY, Constraints(max_params=1)), small_zoo)
