"""The script beside a network of ONNX: without tans and PyTorch, what `tans predict` says."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tans.export.finetuned import load_finetuned
from tans.export.predict_onnx import Network
from tans.tasks.decoding import DETAIL, decode
from tans.tasks.reading import Reading

KINDS = {
    "rgb.png": {},
    "photo.jpg": {},
    "turned.jpg": {"orientation": 6},
    "mirrored.png": {"orientation": 5},
    "scan.tif": {"orientation": 3},
    "clear.png": {"mode": "RGBA"},
    "clear.webp": {"mode": "RGBA"},
    "grey.png": {"mode": "L"},
    "grey clear.png": {"mode": "LA"},
    "palette.png": {"mode": "P"},
    "palette.gif": {"mode": "P"},
    "palette clear.png": {"mode": "P", "transparency": 3},
    "bits.png": {"mode": "1"},
    "print.jpg": {"mode": "CMYK"},
    "large.jpg": {"size": (1900, 1301)},
    "large clear.png": {"size": (1201, 950), "mode": "RGBA"},
}


def draw(path: Path, size: tuple[int, int] = (61, 43), mode: str = "RGB", **more: int) -> Path:
    generator = np.random.default_rng(0)
    across = np.linspace(0, 255, size[0])[None, :, None] * np.ones((size[1], 1, 1))
    noise = generator.integers(-90, 90, (size[1], size[0], 3))
    pixels = (across * np.array([1, 0.5, 0.2]) + noise).clip(0, 255).astype(np.uint8)
    image = Image.fromarray(pixels).convert(mode)
    if mode in ("RGBA", "LA"):
        alpha = generator.integers(0, 256, (size[1], size[0])).astype(np.uint8)
        image.putalpha(Image.fromarray(alpha))
    exif = Image.Exif()
    if "orientation" in more:
        exif[0x0112] = more.pop("orientation")
    image.save(path, exif=exif, **more) if exif else image.save(path, **more)
    return path


@pytest.fixture
def alone(tmp_path: Path) -> dict[str, str]:
    """An environment in which tans and torch cannot be imported."""
    for name in ("tans", "torch"):
        (tmp_path / "without" / name).mkdir(parents=True)
        (tmp_path / "without" / name / "__init__.py").write_text("raise ImportError('not here')")
    return {**os.environ, "PYTHONPATH": str(tmp_path / "without"), "PYTHONIOENCODING": "utf-8"}


def run(exported: Path, alone: dict[str, str], *arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, exported / "predict_onnx.py", *arguments]
    return subprocess.run(
        [str(part) for part in command], capture_output=True, encoding="utf-8", env=alone
    )


def test_whoever_reads_may_stop(exported: Path, alone: dict[str, str], tmp_path: Path) -> None:
    many = [str(draw(tmp_path / "a.png"))] * 3
    command = [sys.executable, str(exported / "predict_onnx.py"), *many]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, env=alone)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


def test_it_says_what_tans_says(exported: Path, alone: dict[str, str], tmp_path: Path) -> None:
    refused = subprocess.run([sys.executable, "-c", "import tans"], env=alone, capture_output=True)
    assert refused.returncode == 1
    paths = [draw(tmp_path / name, **kind) for name, kind in KINDS.items()]  # type: ignore[arg-type]
    done = run(exported, alone, "--top", 3, *paths)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert [line[0] for line in lines] == [str(path) for path in paths]
    for prediction, (path, *ranked) in zip(
        load_finetuned(exported).predict(paths, top=3), lines, strict=True
    ):
        found = dict(zip(ranked[::2], map(float, ranked[1::2]), strict=True))
        assert found == pytest.approx(dict(prediction.ranked), abs=1e-4), path
    assert len({line[1] for line in lines}) > 1 or len({line[2] for line in lines}) > 1


@pytest.mark.parametrize("size", [20, 64, 300])
@pytest.mark.parametrize("name", KINDS)
def test_pixels_are_those_of_tans(tmp_path: Path, name: str, size: int) -> None:
    path = draw(tmp_path / name, **KINDS[name])  # type: ignore[arg-type]
    for reading in (Reading(ground=(9, 90, 200)), Reading()):
        assert_same_pixels(path, reading, size)


@pytest.mark.parametrize(
    ("suffix", "sample", "limits"),
    [
        ("png", "uint16", (0.0, 4095.0)),
        ("tif", "uint16", (50.0, 4000.5)),
        ("tif", "float32", (-1.0, 4e3)),
    ],
)
def test_grey_of_more_than_8_bits_is_read_as_tans_does(
    tmp_path: Path, suffix: str, sample: str, limits: tuple[float, float]
) -> None:
    levels = np.random.default_rng(0).integers(0, 5000, (40, 50)).astype(sample)
    Image.fromarray(levels).save(tmp_path / f"a.{suffix}")
    assert_same_pixels(tmp_path / f"a.{suffix}", Reading({sample: limits}), 32)


def assert_same_pixels(path: Path, reading: Reading, size: int) -> None:
    """The script makes of a file what a network with this reading is given."""
    network = object.__new__(Network)  # without a file of ONNX
    network.size, network.ground = size, reading.ground
    network.ranges = reading.to_json()["ranges"]
    picture = decode(path, detail=max(DETAIL, 2 * size))
    expected = reading.square(picture, size).transpose(2, 0, 1)[None]  # (1, 3, size, size)
    np.testing.assert_array_equal(network.prepared(path), expected)


def test_colours_of_16_bits_are_refused(tmp_path: Path) -> None:
    network = object.__new__(Network)
    network.size, network.ground, network.ranges = 32, (255, 255, 255), {"uint8": [0, 255]}
    with pytest.raises(ValueError, match="colours of 16 bits"):
        network.prepared(deep_png(tmp_path / "deep.png"))


def deep_png(path: Path) -> Path:
    """A PNG of 16 bits a colour, which Pillow does not write."""
    width, height = 5, 4
    rows = b"".join(b"\0" + bytes(6 * width) for _ in range(height))
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    return path


def test_files_that_cannot_be_read_are_told(
    exported: Path, alone: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "broken.png").write_bytes(b"none")
    Image.fromarray(np.full((20, 20), 4000, np.uint16)).save(tmp_path / "deep.png")
    good = draw(tmp_path / "good.png")
    paths = [tmp_path / "broken.png", tmp_path / "deep.png", tmp_path / "missing.png", good]
    done = run(exported, alone, *paths)
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    broken, deep, missing = done.stderr.splitlines()
    assert "cannot identify" in broken
    assert "its samples are uint16" in deep
    assert "missing.png" in missing
    assert done.stdout.startswith(f"{good}\t")


def test_a_network_of_eight_bits_can_be_taken(
    exported: Path, alone: dict[str, str], tmp_path: Path
) -> None:
    network = ("--network", exported / "network.int8.onnx")
    done = run(exported, alone, *network, draw(tmp_path / "a.png"))
    assert done.returncode == 0
    assert done.stdout.split("\t")[1] in load_finetuned(exported).classes
