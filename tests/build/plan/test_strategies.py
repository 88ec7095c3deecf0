"""What every strategy must keep to, and what each is for."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from tans.build.plan.growth import Front
from tans.build.plan.strategies import (
    PER_DATASET,
    Grid,
    Measured,
    Pareto,
    Pool,
    Random,
    Strategy,
    Thompson,
    first_pairs,
)
from tans.errors import InputError
from tests.build.plan.construction import Landscape, Oracle, landscape

MADE = landscape()
ORACLE = Oracle(MADE.accuracies)
STRATEGIES: dict[str, Strategy] = {
    "grid": Grid(),
    "random": Random(1),
    "pareto": Pareto(ORACLE),
    "pareto per second": Pareto(ORACLE, per_second=True),
    "thompson": Thompson(ORACLE, 1),
}


def after(made: Landscape, pairs: list[int]) -> Measured:
    return Measured(tuple(pairs), tuple(made.accuracies[pairs].tolist()))


STARTED = after(MADE, first_pairs(MADE.pool, 2, seed=0))


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_batch_is_of_different_pairs_that_are_open(name: str) -> None:
    picks = [pick.pair for pick in STRATEGIES[name].choose(MADE.pool, STARTED, 6)]
    assert len(set(picks)) == 6
    assert not set(picks) & set(STARTED.pairs)


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_same_is_chosen_again(name: str) -> None:
    strategy = STRATEGIES[name]
    first = strategy.choose(MADE.pool, STARTED, 6)
    assert strategy.choose(MADE.pool, STARTED, 6) == first


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_last_pairs_are_chosen_too(name: str) -> None:
    all_but_two = after(MADE, list(range(2, len(MADE.pool))))
    picks = STRATEGIES[name].choose(MADE.pool, all_but_two, 6)
    assert {pick.pair for pick in picks} == {0, 1}


def test_grid_keeps_the_order_and_random_does_not() -> None:
    grid = [pick.pair for pick in Grid().choose(MADE.pool, Measured((1,), (0.5,)), 4)]
    assert grid == [0, 2, 3, 4]
    first, second = (
        [pick.pair for pick in Random(seed).choose(MADE.pool, Measured(), 60)] for seed in (0, 1)
    )
    assert sorted(first) == sorted(second) == list(range(60))
    assert first != second


def test_random_goes_on_in_its_order() -> None:
    whole = [pick.pair for pick in Random(0).choose(MADE.pool, Measured(), 8)]
    half = Random(0).choose(MADE.pool, after(MADE, whole[:4]), 4)
    assert [pick.pair for pick in half] == whole[4:]


def test_pareto_takes_the_pair_of_largest_growth() -> None:
    fronts = STARTED.fronts(MADE.pool)
    real = [
        fronts[d].with_network(a, c).volume - fronts[d].volume
        for d, a, c in zip(MADE.pool.datasets, MADE.accuracies, MADE.pool.costs, strict=True)
    ]
    (pick,) = Pareto(Oracle(MADE.accuracies, std=0.0)).choose(MADE.pool, STARTED, 1)
    assert pick.pair == int(np.argmax(real))
    assert pick.growth == pytest.approx(max(real))


def test_pareto_per_second_weighs_the_time() -> None:
    (first,) = STRATEGIES["pareto"].choose(MADE.pool, STARTED, 1)
    seconds = np.ones(len(MADE.pool))
    seconds[first.pair] = 1e4
    slow = replace(MADE.pool, seconds=seconds)
    (plain,) = STRATEGIES["pareto"].choose(slow, STARTED, 1)
    (weighed,) = STRATEGIES["pareto per second"].choose(slow, STARTED, 1)
    assert plain.pair == first.pair != weighed.pair


def test_a_batch_has_no_near_duplicates() -> None:
    pool = MADE.pool
    (best,) = STRATEGIES["pareto"].choose(pool, STARTED, 1)
    twin = next(p for p in MADE.pool.rows[pool.datasets[best.pair]] if p not in STARTED.pairs)
    twin = int(twin) if twin != best.pair else int(twin) + 1
    costs, accuracies = pool.costs.copy(), MADE.accuracies.copy()
    costs[twin], accuracies[twin] = costs[best.pair], accuracies[best.pair]
    doubled = replace(pool, costs=costs)
    picks = Pareto(Oracle(accuracies, std=0.0)).choose(doubled, STARTED, 2)
    assert len({pick.pair for pick in picks} & {best.pair, twin}) == 1


def test_a_batch_spreads_over_datasets() -> None:
    picks = Pareto(ORACLE).choose(MADE.pool, STARTED, 60)
    counts = Counter(int(MADE.pool.datasets[pick.pair]) for pick in picks)
    assert set(counts.values()) == {PER_DATASET}


def test_thompson_draws_anew_after_each_batch() -> None:
    wide = Oracle(MADE.accuracies, std=0.5)
    first, second = (Thompson(wide, seed).choose(MADE.pool, STARTED, 1) for seed in (0, 1))
    assert first != second
    more = after(MADE, [*STARTED.pairs, first[0].pair])
    assert Thompson(wide, 0).choose(MADE.pool, more, 1) != first


def test_the_start_has_so_many_of_each_dataset() -> None:
    start = first_pairs(MADE.pool, 2, seed=0)
    assert MADE.pool.datasets[start].tolist() == [0, 1, 2, 0, 1, 2]
    assert len(set(start)) == 6
    assert start != first_pairs(MADE.pool, 2, seed=1)
    assert sorted(first_pairs(MADE.pool, 99, seed=0)) == list(range(60))


def test_fronts_are_those_of_each_dataset() -> None:
    fronts = STARTED.fronts(MADE.pool)
    for dataset, front in enumerate(fronts):
        own = [pair for pair in STARTED.pairs if MADE.pool.datasets[pair] == dataset]
        assert front.volume == Front.of(MADE.accuracies[own], MADE.pool.costs[own]).volume


def test_what_is_no_pool_is_refused() -> None:
    one, row = np.zeros(1, dtype=np.intp), np.ones((1, 2))
    with pytest.raises(InputError, match="shapes"):
        Pool(one, np.ones((2, 2)), row, np.ones(1))
    with pytest.raises(InputError, match="seconds"):
        Pool(one, row, row, np.zeros(1))
    with pytest.raises(InputError, match="first_pairs"):
        Pareto(ORACLE).choose(MADE.pool, Measured(), 1)
    with pytest.raises(InputError, match="once"):
        Measured((1, 1), (0.5, 0.5))
