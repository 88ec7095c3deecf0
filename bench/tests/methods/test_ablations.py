"""tans with a part left out."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from bench.tests.conftest import SHORT

from tans.networks.family import head_width
from tans.types import Constraints
from tans.zoo.sources import Sources
from tans.zoo.zoo import IMAGENET, Zoo
from tans_bench.methods.ablations import ABLATIONS, embeddings, farthest, scored, without_predictor
from tans_bench.methods.method import UNTRAINED, Problem
from tests.small_zoo import drawn_task

PROBLEM = Problem(drawn_task("green", "three", seed=3))


@pytest.mark.parametrize("name", ABLATIONS)
@pytest.mark.long
def test_a_proposal_runs_and_is_the_same_again(name: str, measured_zoo: Zoo) -> None:
    method = ABLATIONS[name].method
    proposal = method(PROBLEM, measured_zoo)
    network = proposal.load(measured_zoo, 3)
    side = proposal.ref.input.size
    assert network(torch.rand(2, 3, side, side)).shape == (2, 3)
    assert method(PROBLEM, measured_zoo) == proposal


def test_the_nearest_and_the_farthest_are_so_by_cosine(measured_zoo: Zoo) -> None:
    found = scored(PROBLEM, measured_zoo)
    similarity = {
        entry.id: cosine.item()
        for entry, cosine in zip(found.entries, found.similarity, strict=True)
    }
    nearest = without_predictor(PROBLEM, measured_zoo).network
    assert similarity[nearest] == max(similarity.values())
    assert similarity[farthest(PROBLEM, measured_zoo).network] == min(similarity.values())


def test_weights_are_replaced_and_the_architecture_stays(measured_zoo: Zoo) -> None:
    whole = embeddings(PROBLEM, measured_zoo)
    random = ABLATIONS["random-weights"].method(PROBLEM, measured_zoo)
    base = ABLATIONS["imagenet-weights"].method(PROBLEM, measured_zoo)
    assert random.ref == base.ref == whole.ref
    assert (random.weights, random.fit_head) == (UNTRAINED, False)
    assert (base.source, base.weights) == (IMAGENET, Sources.of(measured_zoo).base.weights)


def test_limits_hold(measured_zoo: Zoo) -> None:
    found = scored(PROBLEM, measured_zoo)
    some = sorted(entry.body_params for entry in found.entries)[len(found.entries) // 2]
    head = (head_width(measured_zoo.base_ref) + 1) * 3
    limited = Problem(PROBLEM.task, Constraints(max_params=some + head))
    assert {e.id for e in scored(limited, measured_zoo).entries} == {
        entry.id for entry in found.entries if entry.body_params <= some
    }


def test_meta_training_is_not_part_of_a_search(measured_zoo: Zoo) -> None:
    others = replace(SHORT, seed=5)
    first = embeddings(PROBLEM, measured_zoo, others)
    again = embeddings(PROBLEM, measured_zoo, others)
    assert first.once_s > again.once_s
