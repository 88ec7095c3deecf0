"""What is learnt from, and which of it is taken to be good."""

from __future__ import annotations

import random

import pytest
import torch

from tans.errors import ZooError
from tans.zoo.zoo import Zoo
from tans_bench.methods.metad2a.graphs import cell_graphs
from tans_bench.methods.metad2a.pairs import Pair, Pairs, front_numbers
from tans_bench.spaces.nasbench201 import NAS_BENCH_201


def pairs_of(*tasks: str, count: int = 8) -> Pairs:
    """Random cells with random accuracies, the tasks taking turns."""
    drawn, generator = random.Random(0), torch.Generator().manual_seed(0)
    measured = [
        Pair(task, NAS_BENCH_201.sample(drawn), drawn.random(), drawn.randrange(1, 100))
        for _ in range(count)
        for task in tasks
    ]
    datasets = {t: (torch.randn(9, 5, generator=generator), torch.arange(9) % 3) for t in tasks}
    return Pairs(cell_graphs(), datasets, measured)


def test_fronts_are_peeled_off() -> None:
    scores = torch.tensor([3.0, 2.0, 1.0, 2.0, 1.0, 3.0])
    costs = torch.tensor([3.0, 2.0, 1.0, 3.0, 3.0, 3.0])
    assert front_numbers(scores, costs).tolist() == [0, 0, 0, 1, 2, 0]


def test_the_good_ones_hold_each_tasks_front_at_all_costs() -> None:
    pairs = pairs_of("a", "b", count=20)
    good = set(pairs.good(0.3).tolist())
    assert 12 <= len(good) < 40
    for row, pair in enumerate(pairs.measured):
        others = pairs.of(pair.task)
        beaten = any(o.accuracy > pair.accuracy and o.flops < pair.flops for o in others)
        assert row in good or beaten
    assert set(pairs.good(1.0).tolist()) == set(range(40))


def test_scores_have_no_level_and_one_spread() -> None:
    pairs = pairs_of("a", "b")
    for task in (0, 1):
        own = pairs.scores[pairs.tasks == task]
        assert own.mean().item() == pytest.approx(0, abs=1e-5)
        assert own.std(correction=0).item() == pytest.approx(1, abs=1e-4)
    level = Pairs(
        pairs.graphs, pairs.datasets, [Pair("a", p.architecture, 0.5, 1) for p in pairs.measured]
    )
    assert level.scores.abs().max() < 1e-2


@pytest.mark.parametrize("count", [1, 2, 8, 20])
def test_some_of_every_task_are_held_out(count: int) -> None:
    pairs = pairs_of("a", "b", count=count)
    learnt, held = pairs.held_out(0.1, seed=3)
    if count == 1:
        assert learnt.tolist() == held.tolist() == [0, 1]
        return
    assert sorted([*learnt.tolist(), *held.tolist()]) == list(range(2 * count))
    assert pairs.tasks[held].bincount().tolist() == [max(1, count // 10)] * 2
    assert held.tolist() == pairs.held_out(0.1, seed=3)[1].tolist()


def test_a_task_can_be_left_out_and_changes_the_digest() -> None:
    pairs = pairs_of("a", "b")
    rest = pairs.without({"a"})
    assert list(rest.datasets) == ["b"]
    assert {pair.task for pair in rest.measured} == {"b"}
    assert rest.digest() != pairs.digest() == pairs_of("a", "b").digest()


def test_of_a_zoo_come_its_measured_subnets(
    measured_zoo: Zoo, tmp_path_factory: pytest.TempPathFactory
) -> None:
    pairs = Pairs.of_zoo(measured_zoo)
    assert list(pairs.datasets) == ["blue", "red"]
    assert all(0 <= pair.accuracy <= 1 for pair in pairs.measured)
    empty = Zoo.create(tmp_path_factory.mktemp("empty") / "zoo")
    with pytest.raises(ZooError, match="no measured networks"):
        Pairs.of_zoo(empty)
