"""A proposal is a network that can be loaded, stored in the zoo or untrained."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tans.errors import ZooError
from tans.zoo.zoo import Zoo
from tans_bench.methods.method import UNTRAINED, Proposal


def test_a_stored_network_keeps_its_id_and_its_weights(small_zoo: Zoo) -> None:
    entry = small_zoo.entries(vectors=False)[0]
    proposal = Proposal.of(entry)
    assert proposal.network == entry.id
    images = torch.rand(2, 3, 32, 32)
    own, stored = proposal.load(small_zoo, 5), small_zoo.load(entry.id, 5)
    assert torch.equal(own.features(images), stored.features(images))
    assert own(images).shape == (2, 5)


def test_untrained_weights_come_from_the_seed_alone(small_zoo: Zoo) -> None:
    ref = small_zoo.entries(vectors=False)[0].ref
    untrained = Proposal(UNTRAINED, UNTRAINED, ref, fit_head=False)
    images = torch.rand(2, 3, 32, 32)
    first = untrained.load(small_zoo, 4, seed=1)(images)
    assert torch.equal(first, untrained.load(small_zoo, 4, seed=1)(images))
    assert not torch.equal(first, untrained.load(small_zoo, 4, seed=2)(images))


def test_weights_that_the_zoo_lacks_are_an_error(small_zoo: Zoo) -> None:
    stored = Proposal.of(small_zoo.entries(vectors=False)[0])
    with pytest.raises(ZooError):
        replace(stored, weights="0" * 64).load(small_zoo, 3)
