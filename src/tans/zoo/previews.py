"""What a task leaves in a zoo instead of its images: a contact sheet, and query features."""

from __future__ import annotations

import warnings
from io import BytesIO

import numpy as np
import safetensors.torch
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors import SafetensorError
from torch import Tensor

from tans.errors import ZooError

TILES = 8
"""Thumbnails a side of the sheet."""
SIDE = 64
"""Pixels a side of a thumbnail."""
STEPS = 255
"""Steps from the least value of a feature to its greatest."""
BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)


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
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            sheet = Image.open(BytesIO(data), formats=["WEBP"])  # reads its size alone
        _check_size(sheet)
        pixels = np.asarray(sheet.convert("RGB"))  # (512, 512, 3)
        tiles = pixels.reshape(TILES, SIDE, TILES, SIDE, 3).transpose(0, 2, 4, 1, 3)
    except (OSError, ValueError, MemoryError, *BOMBS) as error:
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
    """A safetensors file of features (n, d), kept in 8 bits, and labels (n,).

    Each of the d features has an offset, its least value, and a scale, so that no value is off by
    more than half a step.

    Raises:
        ZooError: the shapes do not match, there are no rows, a feature is not finite, or a label
            is negative or beyond 32767.
    """
    if features.dim() != 2 or not len(features) or labels.shape != features.shape[:1]:
        raise ZooError(
            f"features are {tuple(features.shape)} and labels {tuple(labels.shape)}; "
            "expected (n, d) and (n,), n at least 1"
        )
    values = features.detach().float().cpu()
    if not torch.isfinite(values).all():
        raise ZooError("features hold values that are not finite; look at the network they are of")
    offset, most = values.double().aminmax(dim=0)  # (d,)
    smallest = torch.finfo(torch.float32).tiny  # keeps constant features from dividing by 0
    scale = ((most - offset) / STEPS).clamp_min(smallest).float()  # (d,)
    steps = ((values - offset) / scale).round().clamp(0, STEPS).to(torch.uint8)  # (n, d)
    stored = {"steps": steps, "scale": scale, "offset": offset.float(), "labels": _narrow(labels)}
    return safetensors.torch.save(stored)


def features_from_bytes(data: bytes) -> tuple[Tensor, Tensor]:
    """Features, float32 (n, d), and labels, int64 (n,).

    Raises:
        ZooError: the bytes are no such file.
    """
    try:
        stored = safetensors.torch.load(data)
        steps, scale, offset = (stored[name] for name in ("steps", "scale", "offset"))
        labels = stored["labels"]
        _check_features(steps, scale, offset, labels)
        # in float64, because all steps of a huge scale may be beyond float32 where the sum is not
        values = (steps * scale.double() + offset).float()
        if not torch.isfinite(values).all():
            raise ValueError("a feature is not finite")
        return values, labels.long()
    except (SafetensorError, KeyError, ValueError) as error:
        raise ZooError(f"not a features file ({error}); expected one written by tans") from error


def _check_size(sheet: Image.Image) -> None:
    """Before anything is decoded, as that may take any amount of memory."""
    if sheet.size != (TILES * SIDE, TILES * SIDE):
        raise ValueError(f"{sheet.width} x {sheet.height} pixels")


def _check_features(steps: Tensor, scale: Tensor, offset: Tensor, labels: Tensor) -> None:
    count, width = steps.shape if steps.dim() == 2 else (0, 0)
    shapes = scale.shape == offset.shape == (width,) and labels.shape == (count,)
    types = scale.is_floating_point() and offset.is_floating_point()
    whole = steps.dtype == torch.uint8 and labels.dtype in (torch.uint8, torch.int16)
    if not count or not shapes or not types or not whole or int(labels.min()) < 0:
        found = {"steps": steps, "scale": scale, "offset": offset, "labels": labels}
        raise ValueError(
            ", ".join(f"{name} {t.dtype} {tuple(t.shape)}" for name, t in found.items())
        )


def _narrow(labels: Tensor) -> Tensor:
    """Labels (n,) as the least type that holds them, uint8 or int16."""
    least, most = (int(value) for value in labels.aminmax())
    if least < 0 or most > torch.iinfo(torch.int16).max:
        raise ZooError(f"labels go from {least} to {most}; expected 0 to 32767")
    return labels.cpu().to(torch.uint8 if most < 256 else torch.int16)
