"""What one file holds, whatever its name says."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tans.tasks import decoding
from tans.tasks.decoding import (
    BRANDS,
    CAMERA_RAW,
    DAMAGED,
    EMPTY,
    MISSING,
    NO_AVIF,
    NO_HEIF,
    NO_IMAGE,
    TOO_LARGE,
    UnreadableError,
    allowing,
    decode,
    image_suffixes,
    is_picture,
    picture_of,
)
from tans.tasks.reading import Reading
from tests.tasks.drawing import grey, png16, scene, store, tiff

FOUND_BY_BYTES = ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "JPEG2000", "AVIF"]
DEEP = np.arange(24, dtype=np.uint16).reshape(4, 6) * 2777 + 3
COLOURS = np.dstack([DEEP, DEEP[::-1], 65535 - DEEP])
UNTURNED = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a, 3),
}
"""How an upright picture is stored under each EXIF orientation."""


def kind_of(path: Path) -> str:
    with pytest.raises(UnreadableError) as raised:
        decode(path)
    return raised.value.kind


@pytest.fixture
def without_heif(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if pillow-heif were not installed."""
    caches = (decoding.image_suffixes, decoding._decodable, decoding._signed)
    suffixes = {s: f for s, f in Image.registered_extensions().items() if f != "HEIF"}
    monkeypatch.delitem(Image.OPEN, "HEIF", raising=False)
    monkeypatch.setattr(Image, "registered_extensions", lambda: suffixes)
    for cache in caches:
        cache.cache_clear()
    yield
    monkeypatch.undo()
    for cache in caches:
        cache.cache_clear()


def test_suffixes_are_those_of_formats_that_decode() -> None:
    assert {".png", ".jpg", ".jpeg", ".gif", ".webp", ".tif", ".bmp"} <= image_suffixes()
    assert not {".pdf", ".eps", ".mpg", ".h5", ".txt"} & image_suffixes()


@pytest.mark.parametrize("format", FOUND_BY_BYTES)
@pytest.mark.parametrize("name", ["scan17", "IMG_1.heic", "a.jpg", "a.xyz", "a.b.c 2"])
def test_contents_and_not_the_name_decide_what_a_file_is(
    tmp_path: Path, format: str, name: str
) -> None:
    if format not in Image.SAVE:
        pytest.skip(f"this Pillow has no {format}")
    path = tmp_path / name
    Image.new("RGB", (16, 12), (200, 100, 50)).save(path, format=format)
    assert is_picture(path)
    picture = decode(path)
    assert picture.colours.shape == (12, 16, 3)
    assert np.abs(picture.colours.mean((0, 1)) - (200, 100, 50)).max() < 6


@pytest.mark.parametrize("content", [b"path,label\n", b"%PDF-1.7\n", b"PK\3\4", b"P5 is a grade"])
def test_a_file_that_is_no_image_in_name_or_contents_is_none(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "notes"
    path.write_bytes(content)
    assert not is_picture(path)
    assert kind_of(path) == NO_IMAGE


@pytest.mark.parametrize("suffix", [".dng", ".CR2", ".nef", ".arw"])
def test_camera_raw_is_never_taken_for_the_preview_in_it(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    Image.new("RGB", (16, 12)).save(path, format="TIFF")
    assert not is_picture(path)
    assert kind_of(path) == CAMERA_RAW


def test_each_fault_of_a_file_has_its_kind(tmp_path: Path) -> None:
    whole = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(whole, "JPEG")
    (tmp_path / "cut.jpg").write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "empty.gif").touch()
    (tmp_path / "folder.png").mkdir()
    kinds = {
        "cut.jpg": DAMAGED,
        "text.png": DAMAGED,
        "empty.gif": EMPTY,
        "folder.png": MISSING,
        "missing.png": MISSING,
        f"{'long' * 100}.png": MISSING,
    }
    assert {name: kind_of(tmp_path / name) for name in kinds} == kinds


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_a_damaged_file_gives_a_picture_or_a_reason(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    format = data.draw(st.sampled_from(FOUND_BY_BYTES[:6]))
    whole = io.BytesIO()
    Image.fromarray((scene(1) * 255).astype(np.uint8)).save(whole, format)
    content = bytearray(whole.getvalue())
    for _ in range(data.draw(st.integers(0, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "a.png"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            assert decode(path).colours.size
        except UnreadableError as error:
            assert error.kind in decoding.FAILED  # noqa: PT017


@pytest.mark.parametrize("factor", [1.5, 10])
def test_more_pixels_than_allowed_are_too_many_and_may_be_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, factor: float
) -> None:
    Image.new("L", (100, 100)).save(tmp_path / "bomb.png")
    Image.new("L", (100, 100)).save(tmp_path / "bomb", format="PNG")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", int(10_000 / factor))
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    for path in (tmp_path / "bomb.png", tmp_path / "bomb"):
        assert is_picture(path)
        assert kind_of(path) == TOO_LARGE
        with pytest.raises(UnreadableError, match="--max-pixels"):
            decode(path)
        with allowing(10_000):
            assert decode(path).colours.shape == (100, 100)
    assert int(10_000 / factor) == Image.MAX_IMAGE_PIXELS


def test_heic_is_read_with_its_extra(tmp_path: Path) -> None:
    if "HEIF" not in Image.OPEN:
        pytest.skip("pillow-heif is not installed")
    picture = Image.fromarray((scene(3) * 255).astype(np.uint8))
    for name in ("a.heic", "b", "c.jpg"):
        picture.save(tmp_path / name, format="HEIF", quality=90)
        assert is_picture(tmp_path / name)
        read = decode(tmp_path / name).colours.astype(int)
        assert np.abs(read - np.array(picture)).mean() < 6


def test_a_turned_heic_is_upright_once(tmp_path: Path) -> None:
    if "HEIF" not in Image.OPEN:
        pytest.skip("pillow-heif is not installed")
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = Image.fromarray((scene(3) * 255).astype(np.uint8))  # 64 wide, 48 high
    stored.save(tmp_path / "a.heic", format="HEIF", quality=90, exif=exif.tobytes())
    read = decode(tmp_path / "a.heic").colours.astype(int)
    assert np.abs(read - np.rot90(np.array(stored), 3)).mean() < 6


@pytest.mark.usefixtures("without_heif")
@pytest.mark.parametrize("brand", BRANDS)
@pytest.mark.parametrize("name", ["a.heic", "a.HEIF", "a", "a.jpg"])
def test_heic_without_its_extra_says_what_to_install(
    tmp_path: Path, brand: bytes, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0mif1heic" + bytes(100))
    assert is_picture(path)
    assert kind_of(path) == NO_HEIF
    with pytest.raises(UnreadableError, match=r"pip install 'tans\[heif\]'"):
        decode(path)


@pytest.mark.usefixtures("without_heif")
def test_a_png_named_heic_needs_no_extra(tmp_path: Path) -> None:
    Image.new("L", (4, 4), 9).save(tmp_path / "a.heic", format="PNG")
    assert decode(tmp_path / "a.heic").colours.tolist() == [[9] * 4] * 4


@pytest.mark.usefixtures("without_heif")
def test_text_named_heic_is_damaged_and_not_in_want_of_an_extra(tmp_path: Path) -> None:
    (tmp_path / "a.heic").write_text("no image")
    assert kind_of(tmp_path / "a.heic") == DAMAGED


def test_a_film_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "a.mov").write_bytes(b"\0\0\0\x18ftypqt  \0\0\0\0qt  " + bytes(100))
    assert not is_picture(tmp_path / "a.mov")
    assert kind_of(tmp_path / "a.mov") == NO_IMAGE


@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    "samples",
    [DEEP, COLOURS, DEEP.astype(np.int16) - 9, DEEP.astype(np.int32) * -9999],
    ids=["grey", "colours", "signed", "long"],
)
def test_samples_of_many_bits_are_kept_as_they_are(
    tmp_path: Path, samples: np.ndarray, order: str, deflate: bool
) -> None:
    picture = decode(tiff(tmp_path / "a.tif", samples, order, deflate=deflate))
    assert picture.sample == samples.dtype.name
    assert np.array_equal(picture.colours, samples)
    assert picture.alpha is None


@pytest.mark.parametrize("sample", ["float64", "float16"])
def test_a_tiff_of_a_rare_kind_says_what_to_store_instead(tmp_path: Path, sample: str) -> None:
    path = tiff(tmp_path / "a.tif", DEEP.astype(sample))
    with pytest.raises(UnreadableError, match=r"a TIFF of a rare kind; store 8 or 16 bits"):
        decode(path)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_compressed_grey_of_16_bits_is_kept(tmp_path: Path, compression: str) -> None:
    Image.fromarray(DEEP).save(tmp_path / "a.tif", compression=compression)
    picture = decode(tmp_path / "a.tif")
    assert picture.sample == "uint16"
    assert np.array_equal(picture.colours, DEEP)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png_of_16_bits_keeps_both_bytes_of_each_colour(tmp_path: Path, channels: int) -> None:
    alpha = np.full((4, 6), 65535, np.uint16)
    alpha[0, 0] = 0
    samples = {
        1: DEEP,
        2: np.dstack([DEEP, alpha]),
        3: COLOURS,
        4: np.dstack([COLOURS, alpha]),
    }[channels]
    picture = decode(png16(tmp_path / "a.png", samples))
    assert picture.sample == "uint16"
    assert np.array_equal(picture.colours, DEEP if channels < 3 else COLOURS)
    if channels in (1, 3):
        assert picture.alpha is None
    else:
        assert np.array_equal(picture.alpha, alpha >> 8)


@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_tiff_of_16_bits_keeps_its_alpha(tmp_path: Path, order: str, deflate: bool) -> None:
    alpha = np.full((4, 6), 65535, np.uint16)
    alpha[1, 2] = 0x8000
    samples = np.dstack([COLOURS, alpha])
    picture = decode(tiff(tmp_path / "a.tif", samples, order, extra=2, deflate=deflate))
    assert np.array_equal(picture.colours, COLOURS)
    assert np.array_equal(picture.alpha, alpha >> 8)


def test_the_clear_value_of_a_png_of_16_bits_is_clear(tmp_path: Path) -> None:
    one = decode(png16(tmp_path / "a.png", DEEP, (int(DEEP[0, 1]),)))
    assert np.array_equal(one.alpha == 0, np.equal(DEEP, DEEP[0, 1]))
    clear = tuple(int(value) for value in COLOURS[2, 3])
    other = decode(png16(tmp_path / "b.png", COLOURS, clear))
    assert np.array_equal(other.alpha == 0, np.equal(DEEP, DEEP[2, 3]))


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize(
    ("kind", "order"),
    [
        ("uint8", "<"),
        ("uint16", "<"),
        ("uint16", ">"),
        ("int16", ">"),
        ("float32", "<"),
        ("colours", "<"),
        ("deep colours", "<"),
        ("deep colours", ">"),
    ],
)
def test_a_turned_tiff_is_upright_once(
    tmp_path: Path, kind: str, orientation: int, order: str
) -> None:
    upright = {
        "colours": (COLOURS >> 8).astype(np.uint8),
        "deep colours": COLOURS,
    }.get(kind)
    if upright is None:
        upright = (DEEP >> 8).astype(kind)
    stored = UNTURNED[orientation](upright)
    picture = decode(tiff(tmp_path / "a.tif", stored, order, orientation))
    assert np.array_equal(picture.colours, upright)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_exif_rotation_brings_the_marked_corner_to_the_top_left(
    tmp_path: Path, orientation: int, suffix: str
) -> None:
    upright = np.zeros((16, 32, 3), np.uint8)
    upright[:8, :16] = 255
    stored = UNTURNED[orientation](upright) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / f"a.{suffix}", exif=exif)
    colours = decode(tmp_path / f"a.{suffix}").colours
    assert colours.shape == upright.shape
    assert colours[1:7, 1:15].min() > 220
    assert colours[9:].max() < 35
    assert colours[:, 17:].max() < 35


def test_damaged_exif_does_not_lose_the_image(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), (9, 9, 9)).save(tmp_path / "a.jpg", exif=b"Exif\0\0MM\0*\xff\xff\xff")
    assert np.abs(decode(tmp_path / "a.jpg").colours.astype(int) - 9).max() <= 1


def test_a_large_photo_is_reduced_to_about_twice_what_is_needed(tmp_path: Path) -> None:
    picture = scene(5, 640, 800)
    for suffix in ("png", "jpg"):
        whole = decode(store(tmp_path / f"a.{suffix}", picture), detail=1000)
        small = decode(tmp_path / f"a.{suffix}", detail=100)
        assert min(whole.colours.shape[:2]) == 640
        assert 100 <= min(small.colours.shape[:2]) < 200
        one, other = (Reading().square(each, 32).astype(int) for each in (whole, small))
        assert np.abs(one - other).mean() < 3


def test_only_files_of_several_pictures_have_pages(tmp_path: Path) -> None:
    first, second = (Image.fromarray((scene(i) * 255).astype(np.uint8)) for i in (1, 2))
    first.save(tmp_path / "one.gif")
    first.save(tmp_path / "one.tif")
    for name in ("film.gif", "film.png", "film.webp", "stack.tif"):
        first.save(tmp_path / name, save_all=True, append_images=[second], lossless=True)
    assert not decode(tmp_path / "one.gif").pages
    assert not decode(tmp_path / "one.tif").pages
    for name in ("film.gif", "film.png", "film.webp", "stack.tif"):
        picture = decode(tmp_path / name)
        assert picture.pages
        assert np.abs(picture.colours[..., :3].astype(int) - np.array(first)).mean() < 8


def test_the_second_look_of_a_phone_is_no_page(tmp_path: Path) -> None:
    first, second = (Image.fromarray((scene(i) * 255).astype(np.uint8)) for i in (1, 2))
    first.save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[second])
    picture = decode(tmp_path / "a.jpg")
    assert not picture.pages
    assert np.abs(picture.colours.astype(int) - np.array(first)).mean() < 8


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_few_bits_of_grey_reach_from_black_to_white(tmp_path: Path, bits: int) -> None:
    levels = np.linspace(0, 255, 2**bits).round().astype(np.uint8)[None].repeat(4, 0)
    if bits == 1:
        Image.fromarray(levels > 127).save(tmp_path / "a.png")
    else:
        palette = Image.fromarray(np.arange(2**bits, dtype=np.uint8)[None].repeat(4, 0), "P")
        palette.putpalette(levels[0].repeat(3).tobytes())
        palette.save(tmp_path / "a.png", bits=bits)
    read = decode(tmp_path / "a.png").colours
    assert np.array_equal(read[..., 0], levels)


@pytest.mark.parametrize("high", [100, 255, 4095, 65535])
def test_portable_grey_of_any_depth_keeps_its_contrast(tmp_path: Path, high: int) -> None:
    picture = grey(4)
    samples = (picture * high).round().astype(">u2" if high > 255 else "u1")
    head = b"P5\n%d %d\n%d\n" % (picture.shape[1], picture.shape[0], high)
    (tmp_path / "a.pgm").write_bytes(head + samples.tobytes())
    read = decode(tmp_path / "a.pgm")
    top = 255 if read.sample == "uint8" else 65535
    assert np.abs(read.colours / top - picture).max() < 0.01


@pytest.mark.parametrize("mode", ["YCbCr", "HSV", "RGBa", "La", "PA", "RGBX"])
def test_modes_that_live_only_in_memory_become_colours_or_grey(mode: str) -> None:
    step = {"RGBa": "RGBA", "La": "LA", "PA": "P"}.get(mode, "RGB")
    image = Image.new("RGB", (4, 4), (204, 204, 204)).convert(step).convert(mode)
    rgb = Reading().flat(picture_of(image))
    assert rgb.mode == "RGB"
    assert np.abs(np.asarray(rgb).astype(int) - 204).max() <= 2


@pytest.mark.parametrize("mode", ["I;16", "I", "F"])
def test_an_image_in_memory_keeps_its_depth(mode: str) -> None:
    picture = picture_of(Image.new(mode, (4, 3), 1000))
    assert picture.sample == {"I;16": "uint16", "I": "int32", "F": "float32"}[mode]
    assert (picture.colours == 1000).all()


def test_deep_pictures_are_reduced_like_others(tmp_path: Path) -> None:
    samples = (grey(3, 1000, 1500) * 4095).astype(np.uint16)
    path = png16(tmp_path / "a.png", samples)
    read = decode(path, 100).colours
    assert (read.shape, read.dtype) == ((100, 150), np.uint16)
    means = samples.reshape(100, 10, 150, 10).mean((1, 3))
    assert np.abs(read - means).max() <= 0.5
    colour = np.stack([samples, samples // 2, samples // 4], axis=2)
    assert decode(png16(tmp_path / "b.png", colour), 100).colours.shape == (100, 150, 3)


def test_avif_that_pillow_cannot_read_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "photo"
    path.write_bytes(b"\0\0\0\x18ftypavif\0\0\0\0avifmif1" + bytes(100))
    monkeypatch.setattr(decoding.features, "check", lambda _: False)
    assert is_picture(path)
    assert kind_of(path) == NO_AVIF


@pytest.mark.skipif(not decoding.features.check("avif"), reason="this Pillow has no AVIF")
def test_avif_is_read_by_its_contents(tmp_path: Path) -> None:
    Image.fromarray((scene(1) * 255).astype(np.uint8)).save(tmp_path / "a.avif", quality=95)
    path = (tmp_path / "a.avif").rename(tmp_path / "b")
    assert is_picture(path)
    assert np.abs(decode(path).colours / 255 - scene(1)).mean() < 0.05
