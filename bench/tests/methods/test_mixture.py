"""Gates are those of Gumbel-softmax, and a mixture with one choice a slot is a subnet."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tans.networks.families.elastic.specification import LITE0
from tans.networks.families.elastic.supernet import Supernet, extract
from tans.types import Architecture
from tans_bench.methods.mixture import Mixture, gumbel_noise, gumbel_softmax, latency_factor

LOGITS = torch.tensor([[0.0, 1.0, 2.0], [-torch.inf, 3.0, 0.0]])
NOISE = torch.tensor([[2.5, 0.0, 0.0], [9.0, 0.0, 1.0]])


@pytest.fixture(scope="module")
def mixture() -> Mixture:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        supernet = Supernet(LITE0, classes=3, size=32)
    return Mixture(supernet.full, temperature=1.0)


def gates_of(mixture: Mixture, architecture: Architecture) -> Tensor:
    gates = torch.zeros_like(mixture.allowed)
    for row, slot, layer in zip(gates, LITE0.slots, LITE0.to_slots(architecture), strict=True):
        row[1 + slot.layers.index(layer) if layer else 0] = 1
    return gates


def test_a_hard_gate_is_the_largest_of_logits_and_noise() -> None:
    gates = gumbel_softmax(LOGITS, NOISE, temperature=0.7, hard=True)
    assert gates.tolist() == [[1, 0, 0], [0, 1, 0]]
    soft = gumbel_softmax(LOGITS, NOISE, temperature=0.5, hard=False)
    exponentials = [math.exp(2 * value) for value in (2.5, 1.0, 2.0)]
    wanted = [value / sum(exponentials) for value in exponentials]
    assert soft[0].tolist() == pytest.approx(wanted, rel=1e-5)
    assert soft[1, 0] == 0


def test_a_hard_gate_has_the_gradient_of_the_soft_one() -> None:
    weights = torch.tensor([[1.0, -2.0, 0.5], [0.3, 0.1, 4.0]])
    gradients = []
    for hard in (True, False):
        logits = LOGITS.clone().requires_grad_()
        (gumbel_softmax(logits, NOISE, 0.7, hard) * weights).sum().backward()
        assert logits.grad is not None
        gradients.append(logits.grad)
    assert torch.equal(*gradients)
    assert gradients[0][0].abs().min() > 0
    assert gradients[0][1, 0] == 0


def test_the_noise_is_gumbels() -> None:
    noise = gumbel_noise(torch.Size([200_000]), torch.Generator().manual_seed(0))
    assert noise.mean().item() == pytest.approx(0.57722, abs=0.01)
    assert noise.var().item() == pytest.approx(math.pi**2 / 6, abs=0.03)


def test_the_latency_factor_is_of_the_expected_latency() -> None:
    gates = torch.tensor([[0.25, 0.75], [1.0, 0.0]])
    latencies = torch.tensor([[100.0, 200.0], [50.0, 900.0]])
    factor = latency_factor(gates, latencies, alpha=0.2, beta=0.6)
    assert factor.item() == pytest.approx(0.2 * math.log(225) ** 0.6)
    nothing = latency_factor(torch.zeros(1, 2), torch.ones(1, 2), 0.2, 0.6)
    assert 0 < nothing.item() < 1


@pytest.mark.parametrize(
    "text",
    [
        str(LITE0.largest),
        str(LITE0.smallest),
        "lite0:3x4,3x6|5x3|3x4,3x3,3x6|3x6,5x4|5x6,3x3,3x4|3x4",
    ],
)
def test_one_choice_a_slot_computes_what_the_subnet_does(mixture: Mixture, text: str) -> None:
    architecture = Architecture.parse(text)
    subnet = extract(mixture.network.weights(), LITE0, architecture, 32)
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        scores = mixture.eval()(images, gates_of(mixture, architecture))
    assert torch.allclose(scores, subnet(images), atol=1e-5)


def test_soft_gates_weigh_the_choices_of_a_slot(mixture: Mixture) -> None:
    last = len(LITE0.slots) - 1
    ends: list[Tensor] = []
    mixture.body.tail.register_forward_pre_hook(lambda _, inputs: ends.append(inputs[0]))
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    gates = gates_of(mixture, LITE0.largest)
    rows = torch.tensor([[0.0, 1, 0, 0], [0, 0, 1, 0], [0, 0.25, 0.75, 0]])
    with torch.no_grad():
        for row in rows:
            gates[last] = torch.nn.functional.pad(row, (0, gates.shape[1] - 4))
            mixture.eval()(images, gates)
    assert torch.allclose(ends[2], 0.25 * ends[0] + 0.75 * ends[1], atol=1e-5)


def test_choices_that_a_slot_lacks_have_no_chance(mixture: Mixture) -> None:
    probabilities = mixture.probabilities()
    assert probabilities.sum(1) == pytest.approx(1)
    firsts = {0, 2, 4, 7, 10, 14}
    for slot, row in enumerate(probabilities.tolist()):
        assert (row[0] == 0) == (slot in firsts)
        assert sum(p > 0 for p in row[1:]) == len(LITE0.slots[slot].layers)


def test_weights_and_gates_both_get_gradients(mixture: Mixture) -> None:
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    gates = mixture.drawn(torch.Generator().manual_seed(2), hard=True)
    assert gates.sum(1).tolist() == [1.0] * len(gates)
    mixture.eval()(images, gates).square().sum().backward()
    assert mixture.theta.grad is not None
    chosen = gates.argmax(1)
    gated = mixture.theta.grad[torch.arange(len(gates)), chosen]
    assert (gated != 0).sum() >= len(gates) - 1
    assert mixture.body.stem.conv.weight.grad is not None
