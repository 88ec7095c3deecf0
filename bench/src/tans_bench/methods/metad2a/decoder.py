"""Gated recurrent networks over the vertices of a graph: one writes it, one reads it.

Vertices come in topological order. A vertex's state is that of a recurrent cell whose input is its
type and whose former state is the gated sum over the vertices that lead to it.

Reference: Zhang et al., D-VAE: A Variational Autoencoder for Directed Acyclic Graphs, NeurIPS 2019
(section 3.1 to 3.3, equations 3 to 6).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tans_bench.methods.metad2a.graphs import INPUT, Graphs


class Vertices(nn.Module):
    """States of vertices, and what they tell those they lead to; see D-VAE, equations 3 and 4."""

    def __init__(self, graphs: Graphs, width: int) -> None:
        super().__init__()
        self.kinds, self.width = graphs.kinds, width
        self.cell = nn.GRUCell(graphs.kinds, width)
        self.place = nn.Embedding(graphs.vertices, width)
        self.gate = nn.Linear(width, width)
        self.mapper = nn.Linear(width, width, bias=False)

    def state(self, types: Tensor, told: Tensor | None = None) -> Tensor:
        """(n,) types, and what the vertices before have told (n, w), to states (n, w)."""
        return self.cell(F.one_hot(types, self.kinds).to(self.gate.weight.dtype), told)

    def tell(self, states: Tensor, place: int) -> Tensor:
        """What vertices in a place tell, (n, w) to (n, w)."""
        known = self.placed(states, place)
        return self.gate(known).sigmoid() * self.mapper(known)

    def placed(self, states: Tensor, place: int) -> Tensor:
        """States (n, w) of vertices, with the place that they are in."""
        return states + self.place.weight[place]


class GraphEncoder(nn.Module):
    """A graph as one vector: the gated sum over all its vertices.

    D-VAE takes the last vertex's state, which in a chain of layer slots knows little of the first.

    Args:
        graphs: of the space.
        width: of the vector.
    """

    edges: Tensor

    def __init__(self, graphs: Graphs, width: int) -> None:
        super().__init__()
        self.vertices = Vertices(graphs, width)
        self.register_buffer("edges", graphs.edges.float(), persistent=False)

    def forward(self, types: Tensor) -> Tensor:
        """(n, v) types to (n, width)."""
        state = self.vertices.state(types[:, 0])
        told = [self.vertices.tell(state, 0)]
        for place in range(1, types.shape[1]):
            sums = torch.einsum("u,unw->nw", self.edges[:place, place], torch.stack(told))
            state = self.vertices.state(types[:, place], sums)
            told.append(self.vertices.tell(state, place))
        return torch.stack(told).sum(0)


class GraphDecoder(nn.Module):
    """Writes a graph vertex by vertex from a latent: first its type, then who leads to it.

    Args:
        graphs: of the space.
        latent: numbers of a latent.
        width: of a vertex's state.
    """

    edges: Tensor
    allowed: Tensor

    def __init__(self, graphs: Graphs, latent: int, width: int) -> None:
        super().__init__()
        self.vertices, self.count = Vertices(graphs, width), graphs.vertices
        self.begin = nn.Linear(latent, width)
        self.kind = _two_layers(2 * width, 2 * width, graphs.kinds)
        self.edge = _two_layers(2 * width, 4 * width, 1)
        self.register_buffer("edges", graphs.edges, persistent=False)
        self.register_buffer("allowed", graphs.allowed, persistent=False)

    def loss(self, latents: Tensor, types: Tensor) -> Tensor:
        """Cross-entropy (n,) of graphs, given the right vertices and edges before each.

        Args:
            latents: (n, latent).
            types: int64 (n, v).
        """
        begun, state = self._begin(latents)
        before, told = [self.vertices.placed(state, 0)], [self.vertices.tell(state, 0)]
        loss = latents.new_zeros(len(latents))
        for place in range(1, self.count):
            kinds = self._kinds(state, begun, place)
            loss = loss + F.cross_entropy(kinds, types[:, place], reduction="none")
            edges = self._edges(before, types[:, place])  # (n, place)
            right = self.edges[:place, place].float().expand_as(edges)
            loss = loss + F.binary_cross_entropy_with_logits(edges, right, reduction="none").sum(1)
            state = self._join(types[:, place], told, right)
            before.append(self.vertices.placed(state, place))
            told.append(self.vertices.tell(state, place))
        return loss

    @torch.no_grad()
    def sample(
        self, latents: Tensor, generator: torch.Generator, *, masked: bool
    ) -> tuple[Tensor, Tensor]:
        """Draw a graph for each latent (n, latent): types int64 (n, v), edges bool (n, v, v).

        Args:
            generator: of the draws.
            masked: draw only what makes a valid graph, else anything.
        """
        begun, state = self._begin(latents)
        before, told = [self.vertices.placed(state, 0)], [self.vertices.tell(state, 0)]
        types = torch.full((len(latents), self.count), INPUT)
        edges = torch.zeros(len(latents), self.count, self.count, dtype=torch.bool)
        for place in range(1, self.count):
            kinds = self._kinds(state, begun, place)  # (n, k)
            if masked:
                fits = self.allowed[place, types[:, place - 1]]
                kinds = kinds.masked_fill(~fits, -torch.inf)
            types[:, place] = torch.multinomial(kinds.softmax(1), 1, generator=generator)[:, 0]
            chances = self._edges(before, types[:, place]).sigmoid()
            drawn = torch.bernoulli(chances, generator=generator).bool()  # (n, place)
            right = self.edges[:place, place].expand_as(drawn)
            edges[:, :place, place] = right if masked else drawn
            state = self._join(types[:, place], told, edges[:, :place, place].float())
            before.append(self.vertices.placed(state, place))
            told.append(self.vertices.tell(state, place))
        return types, edges

    def _begin(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """What all predictions see of the latents, and the input's state, both (n, w)."""
        begun = self.begin(latents).tanh()
        inputs = torch.full((len(latents),), INPUT, device=latents.device)
        return begun, self.vertices.state(inputs, begun)

    def _kinds(self, state: Tensor, begun: Tensor, place: int) -> Tensor:
        """Scores (n, k) of the type of the next vertex, which will stand in a place."""
        return self.kind(torch.cat([self.vertices.placed(state, place), begun], 1))

    def _edges(self, before: list[Tensor], types: Tensor) -> Tensor:
        """Scores (n, u) of edges to a new vertex of types (n,), from those before it (n, w)."""
        new = self.vertices.placed(self.vertices.state(types), len(before))
        pairs = [torch.cat([own, new], 1) for own in before]
        return self.edge(torch.stack(pairs, 1))[:, :, 0]

    def _join(self, types: Tensor, told: list[Tensor], edges: Tensor) -> Tensor:
        """States (n, w) of vertices that edges (n, u) lead to."""
        sums = torch.einsum("nu,unw->nw", edges, torch.stack(told))
        return self.vertices.state(types, sums)


def _two_layers(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))
