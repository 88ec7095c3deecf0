"""The search learns what is fast, and its proposal is the most probable within the limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from tans.errors import LimitError
from tans.networks.families.elastic.specification import LITE0, SPACES, Specification
from tans.networks.family import describe
from tans.types import Architecture, Constraints
from tans.zoo.zoo import IMAGENET, Zoo
from tans_bench.methods.blocks import Block
from tans_bench.methods.fbnet import (
    FBNet,
    FBNetSettings,
    choose,
    closed_up,
    fbnet_a,
    nearest,
    search,
)
from tans_bench.methods.genes import Genome, Room
from tans_bench.methods.method import Problem
from tans_bench.methods.mixture import gumbel_noise, gumbel_softmax, latency_factor
from tans_bench.spaces.families import ref_of
from tests.networks.families.elastic.strategies import TOY
from tests.small_zoo import drawn_task

QUERY = drawn_task("green", "three", seed=3)
TINY = FBNetSettings(
    epochs=1, warmup=0, batch_size=16, gate_learning_rate=0.1, soft=False, samples=20, images=40
)


def clock(space: Specification, wanted: Sequence[Block]) -> np.ndarray:  # noqa: ARG001
    row = [float(block.layer[0] * block.layer[1] * block.side) for block in wanted]
    return np.array([row, row])


def sure(architecture: Architecture, share: float) -> torch.Tensor:
    """Probabilities of each choice: so much for the architecture's, equal shares for others."""
    rows = torch.zeros(len(LITE0.slots), 7)
    for row, slot, layer in zip(rows, LITE0.slots, LITE0.to_slots(architecture), strict=True):
        choice = 1 + slot.layers.index(layer) if layer else 0
        row[0 if slot.place else 1 : 1 + len(slot.layers)] = 1
        row[choice] = 0
        row *= (1 - share) / row.sum()
        row[choice] = share
    return rows


def test_layers_that_are_left_close_up() -> None:
    flat = torch.full((5, 10), 0.1)
    choices = [1, 0, 2, 0, 9]
    assert str(closed_up(TOY, choices, flat)) == "toy:3x3|3x4,7x6"
    assert str(closed_up(TOY, [1, 5, 2, 3, 9], flat)) == "toy:3x3,5x4|3x4,3x6,7x6"


def test_a_depth_that_a_stage_lacks_is_made_up() -> None:
    likely = torch.full((5, 10), 0.05)
    likely[3, 5] = 0.9
    short = closed_up(TOY, [1, 0, 2, 0, 0], likely)
    assert str(short) == "toy:3x3|3x4,5x4"
    TOY.check(short)


def test_the_most_probable_within_the_limits_is_chosen() -> None:
    wanted = Architecture.parse("lite0:3x4,3x6|5x3|3x4,3x3,3x6|3x6,5x4|5x6,3x3,3x4|3x4")
    probabilities = sure(wanted, 0.8)
    free = Room(Genome(LITE0), Problem(QUERY), 32)
    assert choose(free, probabilities, 50, seed=0) == (wanted, "most probable")
    flops = LITE0.costs(wanted, 3, 32).flops
    bound = Room(Genome(LITE0), Problem(QUERY, Constraints(max_flops=flops - 1)), 32)
    chosen, how = choose(bound, probabilities, 500, seed=0)
    assert how == "drawn"
    assert LITE0.costs(chosen, 3, 32).flops < flops
    assert choose(bound, probabilities, 500, seed=0)[0] == chosen


def test_the_smallest_is_the_last_resort() -> None:
    least = describe(ref_of(LITE0.smallest, 32)).costs(3, deep=True).flops
    probabilities = sure(LITE0.largest, 1 - 1e-6)
    room = Room(Genome(LITE0), Problem(QUERY, Constraints(max_flops=least)), 32)
    assert choose(room, probabilities, 50, seed=0) == (LITE0.smallest, "smallest")
    room = Room(Genome(LITE0), Problem(QUERY, Constraints(max_flops=least - 1)), 32)
    with pytest.raises(LimitError):
        choose(room, probabilities, 50, seed=0)


@pytest.mark.long
def test_soft_gates_turn_from_what_is_slow(small_zoo: Zoo) -> None:
    latencies = torch.zeros(15, 7)
    latencies[4, 1:4] = torch.tensor([1e4, 1.0, 1.0])
    settings = replace(TINY, gate_learning_rate=0.5, alpha=5.0, beta=2.0, soft=True, epochs=2)
    probabilities = search(Problem(QUERY), small_zoo, latencies, settings).probabilities()
    assert probabilities[4, 1] < 0.2
    assert probabilities[4, 4:].sum() == 0


@pytest.mark.parametrize("seed", range(5))
def test_latency_turns_hard_gates_from_what_is_slow_whichever_is_drawn(seed: int) -> None:
    theta = torch.zeros(1, 3, requires_grad=True)
    noise = gumbel_noise(theta.shape, torch.Generator().manual_seed(seed))
    gates = gumbel_softmax(theta, noise, temperature=5.0, hard=True)
    latency_factor(gates, torch.tensor([[10.0, 1e4, 10.0]]), 5.0, 2.0).backward()
    assert theta.grad is not None
    assert theta.grad.argmax() == 1
    assert theta.grad[0, 1] > 0


@pytest.mark.long
def test_a_proposal_keeps_to_the_limits_and_repeats(small_zoo: Zoo) -> None:
    method = FBNet(TINY, measure=clock)
    state = torch.random.get_rng_state()
    free = method(Problem(QUERY), small_zoo)
    assert torch.equal(state, torch.random.get_rng_state())
    assert (free.source, free.weights, free.fit_head) == (IMAGENET, small_zoo.base, True)
    assert free == method(Problem(QUERY), small_zoo)
    assert free.details["chosen"] == "most probable"
    limit = describe(free.ref).costs(3).flops - 1
    bound = method(Problem(QUERY, Constraints(max_flops=limit)), small_zoo)
    assert describe(bound.ref).costs(3).flops <= limit
    assert bound.load(small_zoo, 3)(torch.rand(2, 3, 32, 32)).shape == (2, 3)
    with pytest.raises(LimitError, match="max_params 1;"):
        method(Problem(QUERY, Constraints(max_params=1)), small_zoo)


def test_fbnet_a_meets_limits_by_smaller_images(small_zoo: Zoo) -> None:
    free = fbnet_a(Problem(QUERY), small_zoo)
    assert (free.source, free.weights, free.fit_head) == (IMAGENET, small_zoo.base, True)
    assert free.ref == ref_of(nearest(LITE0), 32)
    flops = describe(free.ref).costs(3).flops
    bound = fbnet_a(Problem(QUERY, Constraints(max_flops=flops - 1)), small_zoo)
    assert bound.ref == ref_of(nearest(LITE0), 24)
    assert describe(bound.ref).costs(3).flops < flops
    assert bound.load(small_zoo, 3)(torch.rand(2, 3, 24, 24)).shape == (2, 3)
    with pytest.raises(LimitError, match="max_params 1;"):
        fbnet_a(Problem(QUERY, Constraints(max_params=1)), small_zoo)


def test_fbnet_a_begins_with_the_bases_own_weights(small_zoo: Zoo) -> None:
    proposal = fbnet_a(Problem(QUERY), small_zoo)
    own = proposal.load(small_zoo, 3).weights()
    whole = small_zoo.load_network(small_zoo.base_ref, proposal.weights, IMAGENET).weights()
    stems = [name for name in own if name in whole and "stem" in name and own[name].ndim == 4]
    assert stems
    assert all(torch.equal(own[name], whole[name]) for name in stems)


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_the_nearest_to_fbnet_a_is_in_the_space(space: Specification) -> None:
    space.check(nearest(space))


def test_the_nearest_to_fbnet_a_keeps_its_depths_kernels_and_ratios() -> None:
    assert str(nearest(LITE0)) == (
        "lite0:3x3,3x3|5x6,3x3|3x6,3x3,3x6|3x6,5x3,5x3|5x6,5x6,5x3,5x6|3x6"
    )
