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

from tans.networks.families.elastic.network import InvertedResidual, Network
from tans.networks.families.elastic.supernet import slice_state
from tans.types import Architecture
from tans_bench.methods.genes import Genome

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
        self.network, self.genome = network, Genome(network.space)
        self.temperature = temperature
        slots = self.genome.slots
        allowed = torch.full((len(slots), 1 + max(map(len, slots))), -torch.inf)
        with torch.device("meta"):
            self._templates = _templates(self.genome)
        for slot, (layers, optional) in enumerate(zip(slots, _optional(self.genome), strict=True)):
            allowed[slot, 0 if optional else 1 : 1 + len(layers)] = 0
        self.register_buffer("allowed", allowed)
        self.theta = nn.Parameter(torch.zeros_like(allowed))
        self._uniform = [_uniform(self.genome, choice) for choice in range(allowed.shape[1] - 1)]

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
        x = self.network.first(self.network.stem(x))
        names = (f"stages.{s}.{j}." for s, j in _places(self.genome))
        for slot, name in enumerate(names):
            parts = [
                gates[slot, c] * (self._layer(slot, c, weights[c], name, x) if c else x)
                for c, on in enumerate(used[slot])
                if on
            ]
            x = torch.stack(parts).sum(0) if len(parts) > 1 else parts[0]
        net = self.network
        return net.classifier(net.mix_activation(net.mix(net.tail(x).mean((2, 3)))))

    def _weights(self, choices: set[int]) -> dict[int, dict[str, Tensor]]:
        """Per choice, the state of a network that has it in every slot."""
        state = self.network.state_dict(keep_vars=True)
        space = self.network.space
        return {c: slice_state(state, space, self._uniform[c - 1]) for c in choices}

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


def _places(genome: Genome) -> list[tuple[int, int]]:
    """(stage, index in it) of each slot."""
    stages = genome.space.stages
    return [(s, j) for s, stage in enumerate(stages) for j in range(stage.depths[-1])]


def _optional(genome: Genome) -> list[bool]:
    """Which slots lie beyond the least depth of their stage."""
    return [j >= genome.space.stages[s].depths[0] for s, j in _places(genome)]


def _uniform(genome: Genome, choice: int) -> Architecture:
    """The deepest architecture that has one choice everywhere, or the nearest below."""
    stages, start = [], 0
    for stage in genome.space.stages:
        layers = genome.slots[start]
        stages.append((layers[min(choice, len(layers) - 1)],) * stage.depths[-1])
        start += stage.depths[-1]
    return Architecture(genome.space.name, tuple(stages))


def _templates(genome: Genome) -> list[list[InvertedResidual]]:
    """Per slot, a module for each of its layers."""
    rows = []
    width = genome.space.first.channels
    for (s, j), layers in zip(_places(genome), genome.slots, strict=True):
        stage = genome.space.stages[s]
        shape = (stage, width, stage.stride if j == 0 else 1)
        rows.append(
            [InvertedResidual(*shape, layer, genome.space, elastic=False) for layer in layers]
        )
        width = stage.channels
    return rows
