from __future__ import annotations

from itertools import pairwise

import pytest

from tans.search import search
from tans.search.combine import best_starts, share_of_one
from tans.zoo.zoo import Zoo
from tests.small_zoo import drawn_task

QUERY = drawn_task("green", "three", seed=3)


def test_starts_are_the_best_matches_of_different_weights(small_zoo: Zoo) -> None:
    found = search(QUERY, small_zoo, top=1000)
    starts = best_starts(found, small_zoo)
    assert starts[0].id == found[0].id
    assert len({entry.weights for entry in starts}) == len(starts) == 3
    rank = {match.id: place for place, match in enumerate(found)}
    for one, next_one in pairwise(starts):
        assert rank[one.id] < rank[next_one.id]
        between = found[rank[one.id] : rank[next_one.id]]
        before = {entry.weights for entry in starts[: starts.index(next_one)]}
        assert {small_zoo.entry(match.id).weights for match in between} <= before
    assert best_starts(found, small_zoo, 1) == starts[:1]
    assert len(best_starts(search(QUERY, small_zoo, top=1), small_zoo)) == 1


def test_a_distillation_takes_as_long_as_all_its_fine_tunes_and_a_third_more(
    small_zoo: Zoo,
) -> None:
    largest = max(small_zoo.entries(), key=lambda entry: entry.body_flops)
    assert share_of_one([largest]) == pytest.approx(1 / (1 + 1 + 1 / 3))
    assert share_of_one([largest] * 3) == pytest.approx(1 / 5)
    smallest = min(small_zoo.entries(), key=lambda entry: entry.body_flops)
    assert share_of_one([smallest, largest]) < share_of_one([largest, smallest])
