"""Networks of every family are built and described by their references."""

from __future__ import annotations

import random
from importlib.metadata import EntryPoint

import pytest
import torch

from tans.errors import InputError
from tans.networks import family
from tans.networks.families.elastic.family import ELASTIC
from tans.networks.families.elastic.specification import SPACES, Specification, ref_of
from tans.networks.family import (
    GROUP,
    Description,
    Elastic,
    build,
    counted,
    describe,
    get_family,
    resized,
)
from tans.types import Architecture, InputSpec, NetworkRef
from tests.networks.plain import PLAIN, PlainFamily, plain_ref

spaces = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)


@spaces
@pytest.mark.long
def test_counting_agrees_with_the_closed_form(space: Specification) -> None:
    for seed, size in enumerate((32, 57, 64)):
        ref = ref_of(space.sample(random.Random(seed)), size)
        known, found = describe(ref), counted(ELASTIC, ref)
        assert (known.width, known.body_params, known.body_flops, known.head_width) == (
            found.width,
            found.body_params,
            found.body_flops,
            found.head_width,
        )
        assert known.topology == space.topology(Architecture.parse(ref.name))


def test_counting_agrees_with_what_is_built(plain: PlainFamily) -> None:
    ref = plain_ref(12, size=20)
    network = build(ref, 7)
    params = sum(p.numel() for p in network.body.parameters())
    flops = 10 * 10 * (8 * 3 * 9 + 12 * 8)
    assert describe(ref) == counted(plain, ref) == Description(12, params, flops, 2 * (8 + 12) + 12)


def test_a_head_costs_a_weight_an_input_and_a_bias_an_output(plain: PlainFamily) -> None:
    ref = plain_ref(12)
    costs = describe(ref).costs(7)
    assert costs.params == sum(p.numel() for p in plain.build(ref, 7).parameters())
    assert costs.flops == describe(ref).body_flops + 12 * 7
    bare = describe(ref).costs(0)
    assert (bare.params, bare.flops) == (describe(ref).body_params, describe(ref).body_flops)


def test_the_network_has_the_classes_asked_for() -> None:
    ref = ref_of(SPACES["lite0"].smallest, 32)
    network = build(ref, 5)
    assert network.ref == ref
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 5)


def test_the_same_network_at_another_size_differs_in_nothing_else() -> None:
    ref = plain_ref(12, 32)
    assert resized(ref, 48) == NetworkRef(
        "plain", "12", InputSpec(48, ref.input.mean, ref.input.std)
    )


# Families


def test_a_family_can_come_from_another_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("plain", "tests.networks.plain:PLAIN", GROUP)
    monkeypatch.setattr(family, "plugins", lambda group: {"plain": point} if group == GROUP else {})
    assert get_family("plain") is PLAIN
    assert build(plain_ref(6), 3).width == 6


def test_elastic_is_the_family_whose_networks_are_slices(plain: PlainFamily) -> None:
    assert isinstance(get_family("elastic"), Elastic)
    assert not isinstance(plain, Elastic)


@pytest.mark.parametrize(
    "ask", [lambda ref: build(ref, 3), describe, lambda r: get_family(r.family)]
)
def test_an_unknown_family_is_refused(ask) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match="no family of networks 'none'; expected one of elastic, "):
        ask(NetworkRef("none", "net", InputSpec(32)))


@pytest.mark.parametrize("ask", [lambda ref: build(ref, 3), describe])
@pytest.mark.usefixtures("plain")
def test_a_network_that_a_family_lacks_is_refused(ask) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match="no plain network 'wide'"):
        ask(NetworkRef("plain", "wide", InputSpec(32)))


@pytest.mark.parametrize("ask", [lambda ref: build(ref, 3), describe])
def test_an_unknown_space_is_refused(ask) -> None:  # type: ignore[no-untyped-def]
    nowhere = ref_of(Architecture("nowhere", (((3, 3),),)), 32)
    with pytest.raises(InputError, match="no search space 'nowhere'; expected one of lite0, "):
        ask(nowhere)
