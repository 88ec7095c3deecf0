"""What a task leaves in a zoo instead of its images: a contact sheet, and query features."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import safetensors.torch
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors import SafetensorError
from torch import Tensor

from tans.errors import ZooError
from tans.zoo.weights import to_half

TILES = 8
"""Thumbnails a side of the sheet."""
SIDE = 64
"""Pixels a side of a thumbnail."""


def sheet_to_bytes(thumbnails: Tensor) -> bytes:
    """A lossless WebP of 512 x 512 pixels from thumbnails, uint8 (64, 3, 64, 64).

    Raises:
        ZooError: another shape or type came.
    """
    expected = (TILES * TILES, 3, SIDE, SIDE)
    if thumbnails.shape != expected or thumbnails.dtype != torch.uint8:
        raise ZooError(
            f"thumbnails are {thumbnails.dtype} {tuple(thumbnails.shape)}; "
            f"expected torch.uint8 {expected}, as Task.thumbnails gives"
        )
    tiles = thumbnails.cpu().numpy().reshape(TILES, TILES, 3, SIDE, SIDE)
    pixels = tiles.transpose(0, 3, 1, 4, 2).reshape(TILES * SIDE, TILES * SIDE, 3)
    buffer = BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "WEBP", lossless=True, method=6)
    return buffer.getvalue()


def sheet_from_bytes(data: bytes) -> Tensor:
    """Thumbnails, uint8 (64, 3, 64, 64), of a contact sheet.

    Raises:
        ZooError: the bytes are no contact sheet.
    """
    try:
        with Image.open(BytesIO(data), formats=["WEBP"]) as sheet:
            pixels = np.asarray(sheet.convert("RGB"))  # (512, 512, 3)
        tiles = pixels.reshape(TILES, SIDE, TILES, SIDE, 3).transpose(0, 2, 4, 1, 3)
    except (OSError, ValueError) as error:
        raise ZooError(
            f"not a contact sheet ({error}); expected a WebP of 512 x 512 pixels"
        ) from error
    return torch.from_numpy(tiles.reshape(-1, 3, SIDE, SIDE).copy())


def resize(images: Tensor, side: int) -> Tensor:
    """uint8 (n, 3, h, w) to uint8 (n, 3, side, side)."""
    if images.shape[-2:] == (side, side):
        return images
    resized = F.interpolate(images.float(), (side, side), mode="bilinear", antialias=True)
    return resized.round().clamp(0, 255).to(torch.uint8)


def features_to_bytes(features: Tensor, labels: Tensor) -> bytes:
    """A safetensors file of features (n, d), kept as float16, and labels (n,).

    Raises:
        ZooError: the shapes do not match, or a feature is not finite.
    """
    if features.dim() != 2 or labels.shape != features.shape[:1]:
        raise ZooError(
            f"features are {tuple(features.shape)} and labels {tuple(labels.shape)}; "
            "expected (n, d) and (n,)"
        )
    half = to_half("features", features.float())
    return safetensors.torch.save({"features": half, "labels": labels.long().cpu().contiguous()})


def features_from_bytes(data: bytes) -> tuple[Tensor, Tensor]:
    """Features, float32 (n, d), and labels, int64 (n,).

    Raises:
        ZooError: the bytes are no such file.
    """
    try:
        stored = safetensors.torch.load(data)
        return stored["features"].float(), stored["labels"]
    except (SafetensorError, KeyError) as error:
        raise ZooError(f"not a features file ({error}); expected one written by tans") from error
