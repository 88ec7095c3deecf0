"""Draw many small pictures of many classes into class folders, or into shards of tar.

A class is a few strokes; a picture of it is one of its variants, turned, scaled, moved and sheared
at random, in random colours, with grain: no two are copies. The same seed gives the same files.
"""

from __future__ import annotations

import io
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

CLASSES, VARIANTS = 50, 25
SIDES = (64, 160)
"""Pixels of the shorter and the longer side, at least and at most."""
STROKES, POINTS, GRAIN = 4, 3, 12.0
"""Of a class; of each stroke; deviation of the noise, in levels."""
CANVAS = 128


def pictures(count: int, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """Of each picture its class and its file, JPEG."""
    for number in range(count):
        drawn = np.random.default_rng((seed, number))
        label = number % CLASSES
        picture = _picture(_strokes(label, int(drawn.integers(VARIANTS))), drawn)
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=80)
        yield f"class{label:02d}", file.getvalue()


def draw_folder(folder: Path, count: int) -> None:
    """Class folders of so many pictures."""
    for number, (label, data) in enumerate(pictures(count)):
        path = folder / label / f"{number:07d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def pack(folder: Path, shards: Path, each: int = 2000) -> None:
    """Shards as WebDataset writes them, of the pictures in class folders, in order of number."""
    shards.mkdir(parents=True, exist_ok=True)
    files = sorted(folder.glob("*/*.jpg"), key=lambda path: path.name)
    for start in range(0, len(files), each):
        with tarfile.open(shards / f"shard-{start // each:04d}.tar", "w") as tar:
            for path in files[start : start + each]:
                for ending, data in (
                    ("jpg", path.read_bytes()),
                    ("cls", path.parent.name.encode()),
                ):
                    member = tarfile.TarInfo(f"{path.stem}.{ending}")
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))


def _strokes(label: int, variant: int) -> np.ndarray:
    """Ends and bends of the strokes of a variant of a class, (strokes, points, 2), in -1 to 1."""
    own = np.random.default_rng((1, label)).uniform(-0.8, 0.8, (STROKES, POINTS, 2))
    return own + np.random.default_rng((2, label, variant)).normal(0, 0.12, own.shape)


def _picture(strokes: np.ndarray, drawn: np.random.Generator) -> Image.Image:
    turn, shear = drawn.uniform(-0.6, 0.6), drawn.uniform(-0.25, 0.25)
    scale, moved = drawn.uniform(0.55, 1.05, 2), drawn.uniform(-0.2, 0.2, 2)
    change = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    change = change @ np.array([[1, shear], [0, 1]]) @ np.diag(scale)
    ends = (strokes @ change.T + moved + 1) * CANVAS / 2
    ground, ink = drawn.integers(0, 256, (2, 3))
    if np.abs(ground - ink).sum() < 200:
        ink = (ground + 128) % 256
    image = Image.new("RGB", (CANVAS, CANVAS), tuple(map(int, ground)))
    pen = ImageDraw.Draw(image)
    for points in ends:
        width = int(drawn.integers(5, 13))
        pen.line([tuple(point) for point in points], tuple(map(int, ink)), width, "curve")
    side = (int(drawn.integers(SIDES[0], SIDES[1] + 1)), int(drawn.integers(*SIDES)))
    small = np.asarray(image.resize(side, Image.Resampling.BILINEAR), dtype=np.float32)
    low, high = drawn.uniform(-40, 40, 2).tolist()
    shade = np.linspace(low, high, small.shape[1], dtype=np.float32)
    noise = drawn.standard_normal(small.shape, dtype=np.float32) * np.float32(GRAIN)
    return Image.fromarray((small + shade[None, :, None] + noise).clip(0, 255).astype(np.uint8))


if __name__ == "__main__":
    draw_folder(Path(sys.argv[1]), int(sys.argv[2]))
