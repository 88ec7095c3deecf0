"""Networks of every space are built and costed by the name of their space."""

import random

import pytest
import torch

from tans.errors import InputError
from tans.networks.building import build, costs, counted
from tans.networks.families.elastic.specification import SPACES
from tans.types import Architecture


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_counting_agrees_with_the_closed_form(space):
    for seed in range(3):
        architecture = space.sample(random.Random(seed))
        with torch.device("meta"):
            network = build(architecture, 7)
        assert counted(network, 64) == costs(architecture, 7, 64)


def test_the_network_has_the_classes_asked_for(lite0_smallest):
    network = build(lite0_smallest, 5)
    assert network.architecture == lite0_smallest
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 5)
    network.replace_head(3)
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 3)


@pytest.mark.parametrize("ask", [lambda a: build(a, 3), lambda a: costs(a, 3, 32)])
def test_an_unknown_space_is_refused(ask):
    with pytest.raises(InputError, match="no search space 'nowhere'; expected one of lite0, "):
        ask(Architecture("nowhere", (((3, 3),),)))


@pytest.fixture
def lite0_smallest():
    return SPACES["lite0"].smallest
