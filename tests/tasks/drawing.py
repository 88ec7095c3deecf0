"""Small pictures and files, drawn and written for tests of how data is read."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

KINDS = {"I": 1, "i": 2, "f": 3}
"""TIFF's number for samples that are unsigned, signed, or floats."""


def scene(seed: int, height: int = 48, width: int = 64) -> NDArray[np.float64]:
    """Coloured patches and a bright frame of some place and size, in 0..1, (h, w, 3)."""
    draw = np.random.default_rng(seed)
    coarse = Image.fromarray(draw.integers(0, 200, (6, 8, 3), dtype=np.uint8))
    patches = np.array(coarse.resize((width, height), Image.Resampling.BICUBIC)) / 255
    top, left = draw.integers(2, height // 2), draw.integers(2, width // 2)
    patches[top : top + height // 3, left : left + width // 3] = draw.random(3)
    return patches


def picture(seed: int) -> Image.Image:
    """A scene of 8 bits, in memory."""
    return Image.fromarray((scene(seed) * 255).round().astype(np.uint8))


def photo(seed: int, height: int = 150, width: int = 200) -> NDArray[np.float64]:
    """Light and shade of all sizes in two colours, as photos have, below 0.9, (h, w, 3)."""
    draw = np.random.default_rng(seed)
    light = np.zeros((height, width))
    for size in (3, 6, 12, 24, 48):
        coarse = Image.fromarray(draw.integers(0, 256, (size, size), dtype=np.uint8))
        light += np.array(coarse.resize((width, height), Image.Resampling.BICUBIC)) / 255 / 5
    shade = ((light - light.min()) / np.ptp(light))[..., None]
    dark, bright = draw.uniform(0, 0.3, 3), draw.uniform(0.5, 0.9, 3)
    mixed: NDArray[np.float64] = dark + shade * (bright - dark)
    return mixed


def grey(seed: int, height: int = 32, width: int = 40) -> NDArray[np.float64]:
    """A grey picture that reaches from 0 to 1, (h, w)."""
    picture = scene(seed, height, width).mean(2)
    spread: NDArray[np.float64] = (picture - picture.min()) / np.ptp(picture)
    return spread


def store(path: Path, picture: NDArray[np.float64], **how: object) -> Path:
    """Write a picture in 0..1 as 8 bits; the suffix names the format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((picture * 255).round().astype(np.uint8)).save(path, **how)  # type: ignore[arg-type]
    return path


def fill(root: Path, folders: Iterable[str], count: int = 4, seed: int = 0) -> Path:
    """Different pictures in each of the folders."""
    for place, folder in enumerate(folders):
        for index in range(count):
            store(root / folder / f"{index}.png", scene(1000 * seed + 100 * place + index))
    return root


def put(root: Path, *names: str) -> Path:
    """Files without contents."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def png16(path: Path, samples: NDArray[np.uint16], clear: tuple[int, ...] | None = None) -> Path:
    """Write samples (h, w), or (h, w, 2 to 4), as a PNG of 16 bits, which Pillow does for grey
    alone; ``clear`` is the value or colour that stands for transparent."""
    channels = 1 if samples.ndim == 2 else samples.shape[2]
    height, width = samples.shape[:2]
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0))]
    if clear is not None:
        parts.append((b"tRNS", struct.pack(f">{len(clear)}H", *clear)))
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    parts += [(b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
            for kind, data in parts
        )
    )
    return path


def tiff(
    path: Path,
    samples: NDArray[np.generic],
    order: str = "<",
    orientation: int = 1,
    extra: int | None = None,
    deflate: bool = False,
) -> Path:
    """Write samples (h, w), or (h, w, 3 or 4), of any type as a TIFF.

    Args:
        order: of the bytes, ``<`` or ``>``.
        extra: what TIFF calls the fourth channel: 2 is alpha.
        deflate: compress the samples.
    """
    height, width = samples.shape[:2]
    channels = 1 if samples.ndim == 2 else samples.shape[2]
    data = samples.astype(samples.dtype.newbyteorder(order)).tobytes()
    data = zlib.compress(data) if deflate else data
    bits, kind = samples.dtype.itemsize * 8, KINDS.get(samples.dtype.kind, 1)
    short, long = 3, 4
    tags = [
        (256, long, [width]),
        (257, long, [height]),
        (258, short, [bits] * channels),
        (259, short, [8 if deflate else 1]),
        (262, short, [1 if channels == 1 else 2]),
        (273, long, [0]),
        (274, short, [orientation]),
        (277, short, [channels]),
        (278, long, [height]),
        (279, long, [len(data)]),
        *([] if extra is None else [(338, short, [extra])]),
        (339, short, [kind] * channels),
    ]
    after = 8 + 2 + 12 * len(tags) + 4
    apart = sum(2 * len(values) for _, _, values in tags if len(values) > 2)
    fields, loose = b"", b""
    for tag, size, values in tags:
        shown = [after + apart] if tag == 273 else values
        packed = struct.pack(order + ("H" if size == short else "L") * len(shown), *shown)
        place = packed.ljust(4, b"\0")
        if len(packed) > 4:
            place, loose = struct.pack(order + "L", after + len(loose)), loose + packed
        fields += struct.pack(order + "HHL", tag, size, len(values)) + place
    head = struct.pack(order + "2sHLH", b"II" if order == "<" else b"MM", 42, 8, len(tags))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head + fields + struct.pack(order + "L", 0) + loose + data)
    return path


def is_colour(image: torch.Tensor, colour: tuple[int, ...], tolerance: int = 1) -> bool:
    """Whether all pixels of an image (3, r, r) are of one colour."""
    expected = torch.tensor(colour).view(3, 1, 1)
    return bool(((image.int() - expected).abs() <= tolerance).all())
