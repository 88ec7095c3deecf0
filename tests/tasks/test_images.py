import io
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from tans.errors import TaskError
from tans.tasks.images import (
    ArrayPixels,
    FilePixels,
    image_suffixes,
    open_files,
    read_images,
    resize,
    to_rgb,
)


def one(path, resolution=8):
    images, failures = read_images([path], resolution)
    assert failures == {}
    return images[0]


def is_colour(image, colour, tolerance=1):
    expected = torch.tensor(colour).view(3, 1, 1)
    return bool(((image.int() - expected).abs() <= tolerance).all())


def png16(path, value, size=8, clear=None):
    """A 16-bit grey PNG, written by hand so that the file is what its name says."""

    def chunk(kind, data):
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", size, size, 16, 0, 0, 0, 0))
    if clear is not None:
        header += chunk(b"tRNS", struct.pack(">H", clear))
    rows = (b"\0" + struct.pack(">H", value) * size) * size
    body = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + body)


@pytest.mark.parametrize(
    ("mode", "value", "suffix", "expected"),
    [
        ("1", 1, "png", (255, 255, 255)),
        ("L", 100, "png", (100, 100, 100)),
        ("LA", (100, 255), "png", (100, 100, 100)),
        ("LA", (100, 0), "png", (255, 255, 255)),
        ("RGB", (10, 20, 30), "png", (10, 20, 30)),
        ("RGBA", (10, 20, 30, 255), "png", (10, 20, 30)),
        ("RGBA", (10, 20, 30, 0), "png", (255, 255, 255)),
        ("RGBA", (0, 0, 0, 51), "png", (204, 204, 204)),
        ("RGBA", (10, 20, 30, 0), "webp", (255, 255, 255)),
        ("CMYK", (255, 0, 0, 0), "tif", (0, 255, 255)),
        ("I;16", 100 * 257, "tif", (100, 100, 100)),
        ("I;16B", 100 * 257, "tif", (100, 100, 100)),
        ("I", 100 * 257, "tif", (100, 100, 100)),
        ("F", 0.2, "tif", (51, 51, 51)),
        ("F", 51.0, "tif", (51, 51, 51)),
        ("LAB", (255, 128, 128), "tif", (255, 255, 255)),
    ],
)
def test_every_mode_becomes_rgb(tmp_path, mode, value, suffix, expected):
    path = tmp_path / f"image.{suffix}"
    lossless = {"lossless": True, "exact": True} if suffix == "webp" else {}
    if mode == "I;16B":
        raw = np.full((6, 9), value, dtype=">u2").tobytes()
        Image.frombytes("I;16B", (9, 6), raw).save(path)
    else:
        Image.new(mode, (9, 6), value).save(path, **lossless)
    with Image.open(path) as image:
        assert image.mode == mode
    assert is_colour(one(path), expected, tolerance=3 if mode == "LAB" else 1)


@pytest.mark.parametrize("mode", ["YCbCr", "HSV", "RGBa", "La", "PA", "RGBX"])
def test_modes_that_live_only_in_memory_become_rgb(mode):
    step = {"RGBa": "RGBA", "La": "LA", "PA": "P"}.get(mode, "RGB")
    image = Image.new("RGB", (4, 4), (204, 204, 204)).convert(step).convert(mode)
    rgb = to_rgb(image)
    assert rgb.mode == "RGB"
    assert np.abs(np.asarray(rgb).astype(int) - 204).max() <= 2


def test_a_palette_image_keeps_its_colours_and_its_clear_entry_is_white(tmp_path):
    image = Image.new("P", (8, 8), 0)
    image.putpalette([10, 20, 30, 200, 0, 0])
    image.save(tmp_path / "opaque.png")
    image.save(tmp_path / "clear.png", transparency=0)
    image.save(tmp_path / "clear.gif", transparency=0)
    assert is_colour(one(tmp_path / "opaque.png"), (10, 20, 30))
    assert is_colour(one(tmp_path / "clear.png"), (255, 255, 255))
    assert is_colour(one(tmp_path / "clear.gif"), (255, 255, 255))


def test_a_clear_colour_of_an_rgb_image_is_white(tmp_path):
    Image.new("RGB", (8, 8), (1, 2, 3)).save(tmp_path / "a.png", transparency=(1, 2, 3))
    assert is_colour(one(tmp_path / "a.png"), (255, 255, 255))


@pytest.mark.parametrize(("value", "expected"), [(0, 0), (257, 1), (128 * 257, 128), (65535, 255)])
def test_16_bit_png_is_scaled_not_clipped(tmp_path, value, expected):
    png16(tmp_path / "a.png", value)
    assert is_colour(one(tmp_path / "a.png"), (expected,) * 3, tolerance=0)


def test_the_clear_value_of_a_16_bit_png_is_white(tmp_path):
    png16(tmp_path / "a.png", 300, clear=300)
    png16(tmp_path / "b.png", 100 * 257, clear=300)
    assert is_colour(one(tmp_path / "a.png"), (255, 255, 255))
    assert is_colour(one(tmp_path / "b.png"), (100, 100, 100))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_exif_rotation_brings_the_marked_corner_to_the_top_left(tmp_path, orientation, suffix):
    turn = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    upright = Image.new("RGB", (32, 16), "black")
    upright.paste("white", (0, 0, 16, 8))
    stored = upright.transpose(turn[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / f"a.{suffix}", exif=exif)
    image = one(tmp_path / f"a.{suffix}", 16)
    quarters = image.float().mean(0).unflatten(0, (2, 8)).unflatten(2, (2, 8)).mean((1, 3))
    assert quarters[0, 0] > 220
    assert quarters.flatten()[1:].max() < 35


def test_damaged_exif_does_not_lose_the_image(tmp_path):
    Image.new("RGB", (8, 8), (9, 9, 9)).save(tmp_path / "a.jpg", exif=b"Exif\0\0MM\0*\xff\xff\xff")
    assert is_colour(one(tmp_path / "a.jpg"), (9, 9, 9))


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (700, 3), (1200, 900)])
def test_any_size_fills_the_square(tmp_path, size):
    Image.new("RGB", size, (40, 80, 120)).save(tmp_path / "a.jpg", quality=95)
    assert is_colour(one(tmp_path / "a.jpg", 17), (40, 80, 120), tolerance=3)


def test_shrinking_is_antialiased(tmp_path):
    board = (np.indices((256, 256)).sum(0) % 2 * 255).astype(np.uint8)
    Image.fromarray(board).save(tmp_path / "a.png")
    assert is_colour(one(tmp_path / "a.png", 16), (128, 128, 128), tolerance=3)
    images = torch.from_numpy(board).expand(1, 3, -1, -1)
    assert is_colour(ArrayPixels(images).at(16)[0], (128, 128, 128), tolerance=3)


def test_files_and_arrays_are_resized_alike(tmp_path):
    smooth = torch.nn.functional.interpolate(
        torch.randint(0, 256, (1, 3, 5, 5), generator=torch.Generator().manual_seed(0)).float(),
        size=(40, 60),
        mode="bilinear",
    ).byte()
    Image.fromarray(smooth[0].permute(1, 2, 0).numpy()).save(tmp_path / "a.png")
    difference = one(tmp_path / "a.png", 24).int() - resize(smooth, 24)[0].int()
    assert difference.abs().max() <= 3


def test_unreadable_files_are_named_by_index_and_the_rest_kept(tmp_path):
    Image.new("RGB", (8, 8), "red").save(tmp_path / "good.png")
    whole = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(whole, "JPEG")
    (tmp_path / "cut.jpg").write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "empty.gif").touch()
    (tmp_path / "folder.png").mkdir()
    names = ["cut.jpg", "good.png", "text.png", "empty.gif", "folder.png", "missing.png"]
    pixels, failures = open_files([tmp_path / name for name in names], 8)
    assert sorted(failures) == [0, 2, 3, 4, 5]
    assert all(failures.values())
    assert [path.name for path in pixels.paths] == ["good.png"]
    assert is_colour(pixels.at(8)[0], (255, 0, 0))


@pytest.mark.parametrize("factor", [1.5, 10])
def test_a_decompression_bomb_is_refused(tmp_path, monkeypatch, factor):
    Image.new("L", (100, 100)).save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", int(10_000 / factor))
    with pytest.raises(TaskError, match=r"bomb\.png is refused as a possible decompression bomb"):
        read_images([tmp_path / "bomb.png"], 8)


def test_file_pixels_decode_again_at_another_resolution(tmp_path):
    board = (np.indices((32, 32)).sum(0) % 2 * 255).astype(np.uint8)
    Image.fromarray(board).save(tmp_path / "a.png")
    pixels, _ = open_files([tmp_path / "a.png"], 8)
    assert pixels.at(8).shape == (1, 3, 8, 8)
    fine = pixels.at(32)
    assert torch.equal(fine[0, 0], torch.from_numpy(board))
    assert pixels.at(32) is fine


def test_a_file_that_went_missing_is_named(tmp_path):
    pixels = FilePixels([tmp_path / "gone.png"], 8, torch.zeros(1, 3, 8, 8, dtype=torch.uint8))
    with pytest.raises(TaskError, match=r"gone\.png could be read earlier"):
        pixels.at(16)


def test_array_pixels_keep_their_own_size_and_the_last_other():
    images = torch.arange(2 * 3 * 6 * 6).view(2, 3, 6, 6).byte()
    pixels = ArrayPixels(images)
    assert pixels.at(6) is images
    assert pixels.at(4) is pixels.at(4)
    assert pixels.at(4).shape == (2, 3, 4, 4)
    assert pixels.at(4).dtype == torch.uint8


@pytest.mark.parametrize(
    "images", [torch.zeros(2, 3, 4, 4), torch.zeros(2, 1, 4, 4, dtype=torch.uint8)]
)
def test_arrays_of_another_form_are_refused(images):
    with pytest.raises(TaskError, match="expected uint8"):
        ArrayPixels(images)


def test_a_resolution_below_one_is_refused():
    with pytest.raises(TaskError, match="resolution is 0"):
        ArrayPixels(torch.zeros(1, 3, 4, 4, dtype=torch.uint8)).at(0)


def test_suffixes_are_those_of_formats_that_decode():
    assert {".png", ".jpg", ".jpeg", ".gif", ".webp", ".tif", ".bmp"} <= image_suffixes()
    assert not {".pdf", ".eps", ".mpg", ".h5", ".txt"} & image_suffixes()
