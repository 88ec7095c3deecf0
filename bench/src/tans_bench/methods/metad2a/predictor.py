"""How good an architecture would be on a dataset, from both alone.

Reference: Lee, Hyung and Hwang, Rapid Neural Architecture Search by Learning to Generate Graphs
from Datasets, ICLR 2021 (section 3.3).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tans_bench.methods.metad2a.decoder import GraphEncoder
from tans_bench.methods.metad2a.encoder import SetEncoder
from tans_bench.methods.metad2a.graphs import Graphs


class Predictor(nn.Module):
    """Scores architectures for datasets.

    Args:
        graphs: of the space.
        inputs: width of the image features.
        latent: numbers that a dataset becomes.
        width: numbers that a graph becomes.
    """

    def __init__(self, graphs: Graphs, inputs: int, latent: int, width: int) -> None:
        super().__init__()
        self.encoder = SetEncoder(inputs, latent)
        self.reader = GraphEncoder(graphs, width)
        self.score = nn.Sequential(nn.Linear(latent + width, width), nn.ReLU(), nn.Linear(width, 1))

    def forward(self, sets: tuple[Tensor, Tensor], which: Tensor, types: Tensor) -> Tensor:
        """Scores (n,) of graphs, more is better.

        Args:
            sets: features (t, c, m, f) of datasets, and which of them count, (t, c, m).
            which: int64 (n,), the dataset of each graph.
            types: int64 (n, v), of the graphs.
        """
        datasets, graphs = self.encoder(*sets), self.reader(types)
        return self.score(torch.cat([datasets[which], graphs], 1))[:, 0]
