import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from tans.errors import InputError
from tans.networks.families.elastic.body import Body
from tans.networks.families.elastic.specification import (
    LITE0,
    Specification,
    architecture_of,
    get_space,
    ref_of,
)
from tans.networks.network import Network
from tans.types import Architecture, InputSpec, NetworkRef
from tests.networks.families.elastic.strategies import TOY, architectures

few = settings(max_examples=20, deadline=None)


@few
@given(architectures(), architectures())
def test_topology_is_injective(a: Architecture, b: Architecture) -> None:
    assert (LITE0.topology(a) == LITE0.topology(b)) == (a == b)


@few
@given(architectures(), st.data())
def test_topology_tells_apart_a_single_change(a: Architecture, data: st.DataObject) -> None:
    stage = data.draw(st.integers(0, len(a.stages) - 1))
    layer = data.draw(st.integers(0, len(a.stages[stage]) - 1))
    kernel, expand = a.stages[stage][layer]
    other = data.draw(st.sampled_from([e for e in (3, 4, 6) if e != expand]))
    layers = list(a.stages[stage])
    layers[layer] = (kernel, other)
    stages = (*a.stages[:stage], tuple(layers), *a.stages[stage + 1 :])
    assert LITE0.topology(Architecture(a.space, stages)) != LITE0.topology(a)


@few
@given(architectures())
def test_topology_masks_layers_that_do_not_exist(a: Architecture) -> None:
    vector = LITE0.topology(a)
    assert len(vector) == LITE0.topology_size == 36
    layers = sum(len(stage) for stage in a.stages)
    assert sum(v > 0 for v in vector[:30]) == 2 * layers
    assert vector[30:] == tuple(len(stage) for stage in a.stages)


def test_slots_are_as_many_as_a_stage_is_deep() -> None:
    toy = [(slot.stage, slot.place, slot.optional) for slot in TOY.slots]
    assert toy == [(0, 0, False), (0, 1, True), (1, 0, False), (1, 1, False), (1, 2, True)]
    three_by_three = ((3, 3), (3, 4), (3, 6), (5, 3), (5, 4), (5, 6), (7, 3), (7, 4), (7, 6))
    assert {slot.layers for slot in TOY.slots} == {three_by_three}


@few
@given(architectures())
def test_an_architecture_is_what_its_slots_hold(a: Architecture) -> None:
    held = LITE0.to_slots(a)
    for slot, layer in zip(LITE0.slots, held, strict=True):
        assert layer in slot.layers or (slot.optional and layer is None)
    assert LITE0.from_slots(held) == a


def test_layers_behind_an_empty_slot_close_up() -> None:
    layers = [(3, 3), None, (5, 4), None, (7, 6)]
    assert str(TOY.from_slots(layers)) == "toy:3x3|5x4,7x6"


@few
@given(architectures())
def test_text_form_round_trips(a: Architecture) -> None:
    assert Architecture.parse(str(a)) == a


@pytest.mark.parametrize("text", ["", "lite0", "lite0:3x6;2", "lite0:ax3|3x6"])
def test_bad_text_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="not an architecture"):
        Architecture.parse(text)


@few
@given(architectures(), st.integers(1, 300))
def test_a_reference_names_one_architecture_and_its_input(a: Architecture, size: int) -> None:
    ref = ref_of(a, size)
    assert architecture_of(ref) == a
    assert (ref.family, ref.input) == ("elastic", InputSpec(size))


def test_a_network_of_another_family_has_no_architecture() -> None:
    with pytest.raises(InputError, match="not of the family 'elastic'"):
        architecture_of(NetworkRef("timm", "mobilenetv2_100", InputSpec(64)))


@few
@given(
    st.sampled_from([LITE0, TOY]).flatmap(lambda s: st.tuples(st.just(s), architectures(s))),
    st.integers(2, 30),
    st.sampled_from([32, 57, 64]),
)
def test_costs_agree_with_a_count_on_the_built_network(
    drawn: tuple[Specification, Architecture], classes: int, resolution: int
) -> None:
    space, architecture = drawn
    body, ref = Body(space, architecture), ref_of(architecture, resolution)
    network = Network(ref, body, space.features, classes).eval()
    costs = space.costs(architecture, classes, resolution)
    assert costs.params == sum(p.numel() for p in network.parameters())
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 3, resolution, resolution))
    assert costs.flops == counter.get_total_flops() / 2  # it counts a multiply-add as two


def test_largest_lite0_costs_what_its_authors_state() -> None:
    costs = LITE0.costs(LITE0.largest, 1000, 224)
    assert costs.params == 4_652_008
    assert costs.flops == pytest.approx(385e6, rel=0.05)


def test_an_architecture_of_another_space_is_refused() -> None:
    with pytest.raises(InputError, match="not in the space"):
        LITE0.topology(TOY.largest)
    with pytest.raises(InputError, match="not in the space"):
        Body(LITE0, Architecture("lite0", (((7, 6),),)))


def test_an_unknown_space_is_refused() -> None:
    with pytest.raises(InputError, match="expected one of lite0"):
        get_space("resnet")
