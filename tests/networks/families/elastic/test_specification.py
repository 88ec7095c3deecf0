import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from tans.errors import InputError
from tans.networks.families.elastic.network import Network
from tans.networks.families.elastic.specification import LITE0, Specification, get_space
from tans.types import Architecture
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


@few
@given(architectures())
def test_text_form_round_trips(a: Architecture) -> None:
    assert Architecture.parse(str(a)) == a


@pytest.mark.parametrize("text", ["", "lite0", "lite0:3x6;2", "lite0:ax3|3x6"])
def test_bad_text_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="not an architecture"):
        Architecture.parse(text)


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
    network = Network(space, architecture, classes).eval()
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
        Network(LITE0, Architecture("lite0", (((7, 6),),)), 10)


def test_an_unknown_space_is_refused() -> None:
    with pytest.raises(InputError, match="expected one of lite0"):
        get_space("resnet")
