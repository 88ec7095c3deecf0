"""From a dataset to architectures: a Gaussian latent of the dataset, and graphs written from it.

Reference: Lee, Hyung and Hwang, Rapid Neural Architecture Search by Learning to Generate Graphs
from Datasets, ICLR 2021 (section 3.2).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tans_bench.methods.metad2a.decoder import GraphDecoder
from tans_bench.methods.metad2a.encoder import SetEncoder
from tans_bench.methods.metad2a.graphs import Graphs


class Generator(nn.Module):
    """Writes architectures for a dataset.

    Args:
        graphs: of the space.
        inputs: width of the image features.
        latent: numbers of a latent.
        width: of a vertex's state.
    """

    def __init__(self, graphs: Graphs, inputs: int, latent: int, width: int) -> None:
        super().__init__()
        self.encoder = SetEncoder(inputs, latent)
        self.mean = nn.Linear(latent, latent)
        self.log_variance = nn.Linear(latent, latent)
        self.decoder = GraphDecoder(graphs, latent, width)

    def gaussians(self, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Means and log variances (t, latent) of datasets.

        Args:
            features: (t, c, m, f), by class.
            mask: bool (t, c, m), which of them count.
        """
        known = self.encoder(features, mask)
        return self.mean(known), self.log_variance(known)

    def loss(
        self,
        sets: tuple[Tensor, Tensor],
        which: Tensor,
        types: Tensor,
        divergence_weight: float,
        generator: torch.Generator,
    ) -> Tensor:
        """Negative of the evidence's lower bound (the paper's equation 3), mean over graphs.

        Args:
            sets: features and mask, as ``gaussians`` takes them.
            which: int64 (n,), the dataset of each graph.
            types: int64 (n, v), of the graphs.
            divergence_weight: of the divergence from the standard normal distribution.
            generator: of the noise.
        """
        means, log_variances = (values[which] for values in self.gaussians(*sets))
        latents = _drawn(means, log_variances, generator)
        squares = means.square() + log_variances.exp() - 1 - log_variances
        divergence = 0.5 * squares.sum(1)  # (n,)
        return (self.decoder.loss(latents, types) + divergence_weight * divergence).mean()

    @torch.no_grad()
    def sample(
        self,
        sets: tuple[Tensor, Tensor],
        count: int,
        generator: torch.Generator,
        *,
        masked: bool,
    ) -> tuple[Tensor, Tensor]:
        """Graphs for one dataset: types int64 (count, v), edges bool (count, v, v).

        Args:
            sets: as ``loss`` takes them, of one dataset.
            count: how many.
            generator: of the draws.
            masked: draw only what makes a valid graph, else anything.
        """
        means, log_variances = (v.expand(count, -1) for v in self.gaussians(*sets))
        latents = _drawn(means, log_variances, generator)
        return self.decoder.sample(latents, generator, masked=masked)


def _drawn(means: Tensor, log_variances: Tensor, generator: torch.Generator) -> Tensor:
    noise = torch.randn(means.shape, generator=generator)
    return means + (log_variances / 2).exp() * noise.to(means.device)
