"""A network whose layers are gated sums of their choices, and its gates by Gumbel-softmax.

References:
    Wu et al., FBNet: Hardware-Aware Efficient ConvNet Design via Differentiable Neural Architecture
    Search, CVPR 2019.
    Jang et al., Categorical Reparameterization with Gumbel-Softmax, ICLR 2017.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from tans.networks.families.elastic.body import Body, InvertedResidual
from tans.networks.families.elastic.specification import Specification
from tans.networks.families.elastic.supernet import slice_weights
from tans.networks.network import Network

LEAST_US = 2.0
"""Expected latency counts as at least so many microseconds: its logarithm must be positive."""


class Mixture(nn.Module):
    """A network whose layers are gated sums of the choices that its slots have.

    Args:
        network: the largest of its space; its weights are trained in place.
        temperature: of the gates; the higher, the nearer they are to equal.
    """

    allowed: Tensor
    """0 for the choices that a slot has, minus infinity for others, (s, 1 + c)."""

    def __init__(self, network: Network, temperature: float) -> None:
        super().__init__()
        self.network = network
        self.temperature = temperature
        slots = self.space.slots
        choices = max(len(slot.layers) for slot in slots)
        allowed = torch.full((len(slots), 1 + choices), -torch.inf)
        with torch.device("meta"):
            self._templates = _templates(self.space)
        for row, slot in enumerate(slots):
            allowed[row, 0 if slot.optional else 1 : 1 + len(slot.layers)] = 0
        self.register_buffer("allowed", allowed)
        self.theta = nn.Parameter(torch.zeros_like(allowed))
        # the deepest architectures that have one choice everywhere, or the nearest below
        self._uniform = [
            self.space.from_slots(s.layers[min(choice, len(s.layers) - 1)] for s in slots)
            for choice in range(choices)
        ]

    @property
    def body(self) -> Body:
        """Of the network."""
        assert isinstance(self.network.body, Body)
        return self.network.body

    @property
    def space(self) -> Specification:
        """That the network is the largest of."""
        return self.body.space

    def drawn(self, generator: torch.Generator, hard: bool) -> Tensor:
        """A sample of the gates (s, 1 + c) at the present temperature; see ``gumbel_softmax``."""
        noise = gumbel_noise(self.theta.shape, generator).to(self.theta.device)
        return gumbel_softmax(self.theta + self.allowed, noise, self.temperature, hard)

    def probabilities(self) -> Tensor:
        """Of each choice of each slot, absence first, on the CPU (s, 1 + c)."""
        return (self.theta + self.allowed).softmax(1).detach().cpu()

    def forward(self, x: Tensor, gates: Tensor) -> Tensor:
        """Class scores (n, classes) of images, float (n, 3, r, r); choices of gate 0 are not run.

        Args:
            gates: (s, 1 + c).
        """
        used = (gates > 0).tolist()
        weights = self._weights({c for row in used for c, on in enumerate(row) if on and c})
        body = self.body
        x = body.first(body.stem(x))
        names = (f"stages.{slot.stage}.{slot.place}." for slot in self.space.slots)
        for slot, name in enumerate(names):
            parts = [
                gates[slot, c] * (self._layer(slot, c, weights[c], name, x) if c else x)
                for c, on in enumerate(used[slot])
                if on
            ]
            x = torch.stack(parts).sum(0) if len(parts) > 1 else parts[0]
        return self.network.classifier(body.pool(body.tail(x)))

    def _weights(self, choices: set[int]) -> dict[int, dict[str, Tensor]]:
        """Per choice, the state of a network that has it in every slot."""
        whole = self.network.weights(keep_vars=True)
        return {c: slice_weights(whole, self.space, self._uniform[c - 1]) for c in choices}

    def _layer(
        self, slot: int, choice: int, weights: dict[str, Tensor], name: str, x: Tensor
    ) -> Tensor:
        own = {k.removeprefix(name): v for k, v in weights.items() if k.startswith(name)}
        template = self._templates[slot][choice - 1].train(self.training)
        return functional_call(template, own, (x,))


def gumbel_softmax(logits: Tensor, noise: Tensor, temperature: float, hard: bool) -> Tensor:
    """Gates that sum to 1 in each row, softmax((logits + noise) / temperature), (s, c).

    Args:
        logits: (s, c); minus infinity excludes a choice.
        noise: (s, c), Gumbel's for a sample.
        hard: 1 for the largest and 0 elsewhere, with the gradient of the soft gates.
    """
    soft = ((logits + noise) / temperature).softmax(1)
    if not hard:
        return soft
    chosen = F.one_hot(soft.argmax(1), soft.shape[1]).to(soft)
    return chosen + (soft - soft.detach())


def gumbel_noise(shape: torch.Size, generator: torch.Generator) -> Tensor:
    """A sample of the standard Gumbel distribution."""
    uniform = torch.rand(shape, generator=generator).clamp(1e-10, 1 - 1e-7)
    return -(-uniform.log()).log()


def latency_factor(gates: Tensor, latencies: Tensor, alpha: float, beta: float) -> Tensor:
    """What cross-entropy is multiplied by (equation 2), of the expected latency (equation 7).

    Args:
        gates: (s, c).
        latencies: microseconds (s, c).
    """
    expected = (gates * latencies).sum().clamp_min(LEAST_US)
    return alpha * expected.log() ** beta


def _templates(space: Specification) -> list[list[InvertedResidual]]:
    """Per slot, a module for each of its layers."""
    rows = []
    width = space.first.channels
    for slot in space.slots:
        stage = space.stages[slot.stage]
        shape = (stage, width, 1 if slot.place else stage.stride)
        rows.append(
            [InvertedResidual(*shape, layer, space, elastic=False) for layer in slot.layers]
        )
        width = stage.channels
    return rows
