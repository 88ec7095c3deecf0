"""What a network is, as its answers to fixed inputs (paper, section 3.2, functional encoding)."""

from __future__ import annotations

from contextlib import nullcontext
from functools import lru_cache
from importlib.resources import as_file, files

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from tans.networks.batchnorm import folded
from tans.networks.device import autocast, moved, near, place
from tans.networks.network import Network, images_at_once, prepare
from tans.types import Images

NOISE_SEED = 777
REFERENCES = 32
"""P, the fixed images that every network answers to."""


@torch.no_grad()
def functional_embedding(network: Network) -> Tensor:
    """Features for one fixed Gaussian-noise image, (width,); the paper's v_f."""
    where, side = place(network), network.input.size
    generator = torch.Generator().manual_seed(NOISE_SEED)
    noise = torch.randn(1, 3, side, side, generator=generator)
    return network.eval().features(moved(noise, where))[0].cpu()


@torch.no_grad()
def reference_similarities(network: Network) -> Tensor:
    """Centred cosine similarities among the features for the reference images, (P (P - 1) / 2,).

    They do not depend on the width of the features, so networks of any family compare.
    """
    where, side = place(network), network.input.size
    images = moved(reference_images(), where).float()
    images = F.interpolate(images, (side, side), mode="bilinear")
    features = network.eval().features(prepare(images, network.input))  # (P, width)
    centred = F.normalize(features - features.mean(0), dim=1)
    rows, columns = torch.triu_indices(REFERENCES, REFERENCES, offset=1)
    return (centred @ centred.T).cpu()[rows, columns]


@lru_cache(maxsize=1)
def reference_images() -> Tensor:
    """The shipped reference images, uint8 (P, 3, 64, 64)."""
    with as_file(files("tans") / "assets" / "references.webp") as path, Image.open(path) as sheet:
        pixels = np.asarray(sheet.convert("RGB"))  # (64 rows, 64 columns, 3)
    rows, columns = pixels.shape[0] // 64, pixels.shape[1] // 64
    tiles = pixels.reshape(rows, 64, columns, 64, 3).transpose(0, 2, 4, 1, 3)
    return torch.from_numpy(tiles.reshape(-1, 3, 64, 64).copy())


@torch.no_grad()
def image_features(
    network: Network, images: Images, batch: int | None = None, of_head: bool = False
) -> Tensor:
    """Features of images, uint8 (n, 3, r, r) to float32 (n, width) on the CPU.

    Args:
        batch: images at a time; by their size where None.
        of_head: what the head reads, of which pooled features may be a part; as in training, in 16
            bits on a card that has them.
    """
    where, side = place(network), network.input.size
    network = folded(network).to(memory_format=torch.channels_last)
    features = network.head_features if of_head else network.features
    with autocast(where) if of_head else nullcontext():
        found = [
            features(
                prepare(moved(part, where), network.input).to(memory_format=torch.channels_last)
            )
            for part in near(images, where).split(batch or images_at_once(side, where))
        ]
    return torch.cat(found).float().cpu()  # (n, width)
