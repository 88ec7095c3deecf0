"""Datasets with files that are none, bombs, traps and tables without measure."""

from __future__ import annotations

import os
import pickle
import resource
import shutil
import socket
import struct
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import PIL
import pytest
from PIL import Image

from tans.errors import InputError, TaskError
from tans.export.classifier import find_files
from tans.tasks.check import warnings
from tans.tasks.task import Task
from tests.reliability.counting import Trials

pytestmark = [
    pytest.mark.timeout(120),  # whoever waits for a pipe waits for ever
    pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no pipes in folders"),
]
ROOM = 2**30
"""Bytes of memory that a dataset of little pictures may take beside what the process has."""
COLOURS = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200)}
SOUND = 24


@pytest.fixture
def data(tmp_path: Path) -> Callable[[], Path]:
    """Makes a sound dataset of three classes of eight."""

    def make() -> Path:
        root = tmp_path / "data"
        shutil.rmtree(root, ignore_errors=True)
        for name, colour in COLOURS.items():
            (root / name).mkdir(parents=True)
            for k in range(8):
                shade = tuple(channel + 3 * k for channel in colour)
                Image.new("RGB", (20 + 7 * k, 20), shade).save(root / name / f"{k}.png")
        return root

    return make


@contextmanager
def little_memory() -> Iterator[None]:
    """Let this process have no more than ``ROOM`` beside what it has."""
    if not Path("/proc/self/statm").exists():  # no Linux
        yield
        return
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def read(root: Path) -> Task:
    with little_memory():
        return Task.from_path(root)


def left_out(root: Path, why: str, key: str) -> None:
    """A dataset is used without one file, and that is told."""
    task = read(root)
    assert len(task) == SOUND
    assert task.found.left_out == {why: (key,)}
    assert any(f"1 left out: {why} ({key})" in told for told in warnings(task))


def refuse(path: Path, *words: str) -> None:
    """One error, short enough to be read."""
    with pytest.raises(TaskError) as refused:
        read(path)
    said = str(refused.value)
    assert len(said) < 1000, said[:1000]
    for word in words:
        assert word in said


# Pictures


def chunk(kind: bytes, body: bytes) -> bytes:
    crc = struct.pack(">I", zlib.crc32(kind + body))
    return struct.pack(">I", len(body)) + kind + body + crc


def png(width: int, height: int, rows: bytes | None = None, extra: bytes = b"") -> bytes:
    """Black in one bit a pixel; ``rows`` in their place, ``extra`` chunks before them."""
    if rows is None:
        packer = zlib.compressobj(9)
        row = b"\0" * (1 + (width + 7) // 8)
        rows = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    parts = (chunk(b"IHDR", head), extra, chunk(b"IDAT", rows), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def zeros(count: int) -> bytes:
    return zlib.compress(b"\0" * count, 9)


def gif(side: int, frames: int) -> bytes:
    head = b"GIF89a" + struct.pack("<HH", side, side) + b"\xf0\0\0" + b"\0\0\0\xff\xff\xff"
    frame = b"\x2c" + struct.pack("<HHHH", 0, 0, 1, 1) + b"\0" + b"\x02\x02\x44\x01\0"
    return head + frame * frames + b";"


def tiff(width: int, height: int, following: int = 0, samples: int = 1) -> bytes:
    """Grey, with few bytes of it there; ``following`` is where the next directory lies."""
    tags = [
        *((256, 4, width), (257, 4, height), (258, 3, 8), (262, 3, 1)),
        *((273, 4, 8), (277, 3, samples), (278, 4, height), (279, 4, width * height)),
    ]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    directory = struct.pack("<H", len(tags)) + entries + struct.pack("<I", following)
    return b"II*\0" + struct.pack("<I", 8) + directory


def icns(picture: bytes) -> bytes:
    size = struct.pack(">I", 16 + len(picture))
    return b"icns" + size + b"ic10" + struct.pack(">I", 8 + len(picture)) + picture


def ico(picture: bytes) -> bytes:
    head = b"\0\0\1\0\1\0\0\0\0\0\1\0\x20\0"
    return head + struct.pack("<II", len(picture), 22) + picture


BOMBS: Mapping[str, Callable[[], bytes]] = {
    "a.png": lambda: png(50_000, 50_000, zeros(10)),
    "whole.png": lambda: png(50_000, 20_000),
    "claims.png": lambda: png(2**31 - 1, 2**31 - 1, b""),
    "one line of millions.png": lambda: png(1, 80_000_000, b""),
    "one row of millions.png": lambda: png(80_000_000, 1),
    "a.gif": lambda: gif(65_535, 1),
    "a.tif": lambda: tiff(60_000, 60_000),
    "a.ico": lambda: ico(png(50_000, 50_000, zeros(10))),
    "a.icns": lambda: icns(png(50_000, 50_000, zeros(10))),
    "a.pgm": lambda: b"P5 60000 60000 255\n12",
    "a.bmp": lambda: (
        b"BM" + struct.pack("<IIIIiiHH", 60, 0, 54, 40, 60_000, 60_000, 1, 8) + b"\0" * 40
    ),
    "a.webp": lambda: b"RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0\x2f\xff\xff\xff\x0f" + b"\0" * 9,
}


def test_pictures_of_more_pixels_than_memory(trials: Trials, data: Callable[[], Path]) -> None:
    """A picture claims, or unpacks to, more pixels than memory holds"""
    for name, make in BOMBS.items():
        with trials.trial(name):
            root = data()
            (root / "red" / name).write_bytes(make())
            # before 13 Pillow makes room for all of a WebP before it says how large it is
            late = name.endswith("webp") and int(PIL.__version__.split(".")[0]) < 13
            left_out(root, "damaged" if late else "too large", f"red/{name}")


HIDDEN: Mapping[str, Callable[[], bytes]] = {
    "text.png": lambda: png(9, 9, extra=chunk(b"zTXt", b"k\0\0" + zeros(2**29))),
    "profile.png": lambda: png(9, 9, extra=chunk(b"iCCP", b"k\0\0" + zeros(2**29))),
    "words.png": lambda: png(9, 9, extra=chunk(b"iTXt", b"k\0\1\0\0\0" + zeros(2**29))),
    "many texts.png": lambda: png(9, 9, extra=chunk(b"zTXt", b"k\0\0" + zeros(2**20)) * 200),
}


@pytest.mark.long
def test_pictures_that_unpack_to_more_than_they_show(
    trials: Trials, data: Callable[[], Path]
) -> None:
    """A small picture carries texts or a profile that unpack to hundreds of megabytes"""
    for name, make in HIDDEN.items():
        with trials.trial(name):
            root = data()
            (root / "red" / name).write_bytes(make())
            left_out(root, "damaged", f"red/{name}")


MANY: Mapping[str, Callable[[], bytes]] = {
    "frames.gif": lambda: gif(64, 100_000),
    "a long row.png": lambda: png(65_535, 1),
    "a high column.png": lambda: png(1, 65_535),
    "a million.png": lambda: png(1, 2**20),
    "large.png": lambda: png(9_000, 9_000),
    "more rows than it has.png": lambda: png(9, 9, zeros(2**29)),
}


@pytest.mark.long
def test_odd_pictures_that_are_used(trials: Trials, data: Callable[[], Path]) -> None:
    """A picture of 100,000 frames, of absurd proportions, or as large as may be, is used"""
    for name, make in MANY.items():
        with trials.trial(name):
            root = data()
            (root / "red" / name).write_bytes(make())
            task = read(root)
            assert len(task) == SOUND + 1
            assert not task.found.left_out


SUFFIXES = (
    *("avif", "bmp", "cur", "dcx", "dds", "fits", "fli", "ftu", "gbr", "gif", "heic", "icns"),
    *("ico", "im", "jp2", "jpg", "mpo", "msp", "pcx", "pgm", "png", "ppm", "psd", "pxr"),
    *("qoi", "sgi", "tga", "tif", "webp", "xbm", "xpm"),
)
CONTENTS: Mapping[str, bytes] = {
    "nothing": b"",
    "zeros": b"\0" * 1000,
    "text": b"hello " * 50,
    "pickle": pickle.dumps({"a": 1}),
    "html": b"<!doctype html><title>404</title>",
}


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.long
def test_files_that_are_no_image(trials: Trials, data: Callable[[], Path], content: str) -> None:
    """A file named as an image holds nothing, zeros, text or a pickle"""
    for suffix in SUFFIXES:
        with trials.trial(suffix):
            root = data()
            (root / "red" / f"x.{suffix}").write_bytes(CONTENTS[content])
            task = read(root)
            assert len(task) == SOUND
            assert list(task.found.left_out.values()) == [(f"red/x.{suffix}",)]


@pytest.mark.long
def test_truncated_pictures(trials: Trials, data: Callable[[], Path]) -> None:
    """A picture of each usual format ends anywhere"""
    drawn = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    for suffix in ("png", "jpg", "gif", "webp", "tif", "bmp"):
        for part in (1, 10, 30, 50, 80, 99):
            with trials.trial(f"{part} % of {suffix}"):
                root = data()
                place = root / "red" / f"x.{suffix}"
                Image.fromarray(drawn).save(place)
                place.write_bytes(place.read_bytes()[: place.stat().st_size * part // 100])
                task = read(root)
                if len(task) == SOUND:
                    assert task.found.left_out == {"damaged": (f"red/x.{suffix}",)}
                else:  # such as a BMP that lacks its last bytes, of none that are read
                    assert not task.found.left_out


# Files and folders


def unix_socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # its name may have 108 letters
    try:
        with socket.socket(socket.AF_UNIX) as own:
            own.bind(path.name)
    finally:
        os.chdir(here)


def linked_pipe(path: Path) -> None:
    os.mkfifo(path.parents[2] / f"pipe {path.name}")
    path.symlink_to(path.parents[2] / f"pipe {path.name}")


def link(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


TRAPS: Mapping[str, Callable[[Path], object]] = {
    "pipe": os.mkfifo,
    "pipe behind a link": linked_pipe,
    "socket": unix_socket,
    "zeros without end": link("/dev/zero"),
    "noise without end": link("/dev/random"),
    "a terminal": link("/dev/tty"),
    "standard input": link("/dev/stdin"),
    "own memory": link("/proc/self/mem"),
    "to nowhere": link("/nonexistent"),
    "to itself": link("x.png"),
    "a folder": Path.mkdir,
    "back to the dataset": link(".."),
    "to the root's parent": link("../.."),
}


@pytest.mark.parametrize("name", ["x.png", "x"])
def test_traps_in_place_of_an_image(trials: Trials, data: Callable[[], Path], name: str) -> None:
    """In place of an image a pipe, a socket, a device, a folder, or a link to what has no end"""
    for trap, make in TRAPS.items():
        if trap == "to itself" and name == "x":
            continue
        with trials.trial(trap):
            root = data()
            (root.parent / f"pipe {name}").unlink(missing_ok=True)
            make(root / "red" / name)
            task = read(root)
            assert len(task) == SOUND
            found, _ = find_files([root])
            assert len(found) in (SOUND, SOUND + 1)


@pytest.mark.parametrize("name", ["d", "d.csv", "d.tsv", "d.png", "d.zip"])
def test_traps_in_place_of_the_dataset(trials: Trials, tmp_path: Path, name: str) -> None:
    """The dataset itself is a pipe, a socket, a device or a link to nowhere"""
    for trap in ("pipe", "socket", "zeros without end", "noise without end", "to nowhere"):
        with trials.trial(trap):
            (tmp_path / name).unlink(missing_ok=True)
            TRAPS[trap](tmp_path / name)
            refuse(tmp_path / name)


@pytest.mark.parametrize("name", ["task.json", "images.safetensors"])
def test_traps_in_a_saved_task(
    trials: Trials, tmp_path: Path, data: Callable[[], Path], name: str
) -> None:
    """A file of a saved task is a pipe, a device, a link to nowhere or nested without end"""
    traps: dict[str, Callable[[Path], object]] = {
        **{trap: TRAPS[trap] for trap in ("pipe", "zeros without end", "to nowhere", "a folder")},
        "nested": lambda path: path.write_bytes(b"[" * 100_000),
        "classes nested": lambda path: path.write_bytes(
            b'{"schema": 2, "classes":' + b"[" * 10**5 + b"]" * 10**5 + b"}"
        ),
        "terabytes": lambda path: os.truncate(path, 2**43) if path.touch() is None else None,
    }
    saved = tmp_path / "saved"
    for trap, make in traps.items():
        with trials.trial(trap):
            shutil.rmtree(saved, ignore_errors=True)
            read(data()).save(saved, 16)
            (saved / name).unlink()
            make(saved / name)
            # without a file of that name it is a folder of something else
            is_file = (saved / "task.json").is_file()
            refuse(saved, "saved task" if is_file else "no class folder")


def test_folders_without_end(trials: Trials, data: Callable[[], Path]) -> None:
    """Folders lie in one another by the hundreds"""
    for depth in (150, 400, 800):
        with trials.trial(depth):
            root = data()
            nest(root / "red", depth)
            refuse(root, "lie in one another")
            with pytest.raises(InputError, match="lie in one another"):
                find_files([root])


def nest(folder: Path, depth: int) -> None:
    """Make so many folders in one another."""
    (folder / "/".join(["in"] * depth)).mkdir(parents=True)


def test_names_as_long_as_a_disk_holds(trials: Trials, data: Callable[[], Path]) -> None:
    """Names of 255 bytes, of files and of classes"""
    for name in ("x" * 251, "ü" * 125, "字" * 83):
        with trials.trial(name[0]):
            root = data()
            shutil.copytree(root / "red", root / (name + "-"))
            (root / "red" / "0.png").rename(root / "red" / f"{name}.png")
            assert len(read(root)) == SOUND + 8


@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root may read everything")
def test_files_without_rights(data: Callable[[], Path]) -> None:
    """Not counted, as it cannot be tried everywhere; test_places tries it without rights."""
    root = data()
    (root / "red" / "0.png").chmod(0)
    assert read(root).found.left_out == {"without the right to read it": ("red/0.png",)}
    (root / "red").chmod(0)
    refuse(root, "cannot be listed")
    (root / "red").chmod(0o700)


# Tables

ROWS = "".join(f"{name}/{k}.png,{name}\n" for name in COLOURS for k in range(8))
HEAD = "path,label\n"


@pytest.mark.parametrize(
    ("added", "why", "key"),
    [
        (f"{'../' * 30}etc/passwd,red", "not an image", f"{'../' * 30}etc/passwd"),
        ("/etc/passwd,red", "not an image", "/etc/passwd"),
        ("/dev/zero,red", "missing", "/dev/zero"),
        ("red,red", "missing", "red"),
        (".,red", "missing", "."),
        ('"red/\n.png",red', "missing", "red/\n.png"),
        (
            "red/\N{GREEK SMALL LETTER ALPHA}.png,red",
            "missing",
            "red/\N{GREEK SMALL LETTER ALPHA}.png",
        ),
        (f"red/{'x' * 4000}.png,red", "missing", f"red/{'x' * 4000}.png"),
        ("http://example.com/x.png,red", "missing", "http:/example.com/x.png"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_rows_that_name_no_image(
    trials: Trials, data: Callable[[], Path], added: str, why: str, key: str
) -> None:
    """A row of a table climbs out of the dataset, or names what is no image"""
    with trials.trial(added[:40]):
        root = data()
        (root / "t.csv").write_text(HEAD + ROWS + added + "\n")
        task = read(root / "t.csv")
        assert len(task) == SOUND
        assert task.found.left_out == {why: (key,)}


TABLES: Mapping[str, tuple[bytes, str]] = {
    "nothing": (b"", "has the columns none"),
    "no rows": (HEAD.encode(), "has no rows"),
    "no header": (ROWS.encode(), "expected path"),
    "zero bytes": ((HEAD + ROWS).encode() + b"red/\0.png,red\n", "is not text"),
    "zero bytes late": ((HEAD + ROWS * 100).encode() + b"red/\0.png,red\n", "is not text"),
    "a huge cell": ((HEAD + ROWS + "red/0.png," + "x" * 200_000).encode(), "is not CSV"),
    "a long path": ((HEAD + ROWS + "x" * 100_000 + ",red\n").encode(), "of 100,000 letters"),
    "a long label": ((HEAD + ROWS + "red/0.png," + "x" * 9_000).encode(), "of 9,000 letters"),
    "a quote without end": ((HEAD + '"' + ROWS * 1000).encode(), "line"),
    "100,000 columns": (",".join(f"c{k}" for k in range(10**5)).encode(), "more; expected path"),
    "pickle": (pickle.dumps(HEAD), "is not text"),
    "a picture": (png(9, 9), "is not text"),
    "an archive": (b"PK\3\4" + b"\0" * 100, "is not text"),
    "JSON": (b"[" * 100_000, "expected path"),
}


def test_tables_that_are_none(trials: Trials, data: Callable[[], Path]) -> None:
    """A table without rows or names, with zero bytes, or with cells without measure"""
    for name, (content, word) in TABLES.items():
        with trials.trial(name):
            root = data()
            (root / "t.csv").write_bytes(content)
            refuse(root / "t.csv", word)


def test_columns_without_measure(trials: Trials, data: Callable[[], Path]) -> None:
    """Columns that mean nothing are named up to a few, and counted"""
    with trials.trial("100,000 columns"):
        root = data()
        columns = ",".join(f"c{k}" for k in range(10**5))
        (root / "t.csv").write_text(f"path,label,{columns}\n{ROWS}")
        task = read(root / "t.csv")
        assert len(task) == SOUND
        (told,) = [told for told in warnings(task) if "mean nothing" in told]
        assert "99980 more" in told
        assert len(told) < 300


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_million_rows(trials: Trials, data: Callable[[], Path]) -> None:
    """A table of a million rows, of the same images or of missing ones"""
    root = data()
    with trials.trial("the same"):
        (root / "t.csv").write_text(HEAD + ROWS * (10**6 // SOUND))
        task = Task.from_path(root / "t.csv")
        assert len(task) == SOUND
        assert any("999,960 rows repeated" in told or "repeated" in told for told in warnings(task))
    with trials.trial("missing"):
        rows = "".join(f"no{k}.png,red\n" for k in range(2 * 10**5))
        (root / "t.csv").write_text(HEAD + ROWS + rows)
        with pytest.raises(TaskError, match="200000 of 200024 images .* cannot be read"):
            Task.from_path(root / "t.csv")


# Arrays


def test_arrays_are_no_dataset(trials: Trials, tmp_path: Path) -> None:
    """Arrays and pickles are refused and never unpickled"""

    class Trap:
        def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
            return Path.touch, (tmp_path / "sprung",)

    trap = np.array([Trap()], dtype=object)
    np.save(tmp_path / "a.npy", trap, allow_pickle=True)
    np.savez(tmp_path / "a.npz", images=trap)
    for name in ("a.pkl", "a.pt", "a.pth"):
        (tmp_path / name).write_bytes(pickle.dumps(Trap()))
    for path in sorted(tmp_path.glob("a.*")):
        with trials.trial(path.name):
            refuse(path, "expected a folder")
            folder = tmp_path / f"in {path.name}"
            (folder / "red").mkdir(parents=True)
            shutil.copy(path, folder / "red" / path.name)
            refuse(folder)
            assert not (tmp_path / "sprung").exists()


def test_samples_that_are_no_numbers(trials: Trials, data: Callable[[], Path]) -> None:
    """Pictures of floats that are no numbers, infinite, or huge, give levels from 0 to 255"""
    for value in (np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-45):
        with trials.trial(value):
            root = data()
            samples = np.full((20, 20), value, np.float32)
            samples[0, 0] = 0
            Image.fromarray(samples).save(root / "red" / "x.tif")
            task = read(root)
            assert len(task) == SOUND + 1
            assert task.pixels.at(32).float().isfinite().all()
