"""Images of a task at any resolution, each file decoded once."""

from __future__ import annotations

import pickle
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tans.errors import TaskError
from tans.tasks import images as module
from tans.tasks.decoding import (
    DAMAGED,
    EMPTY,
    MISSING,
    NO_IMAGE,
    TOO_LARGE,
    Picture,
    UnreadableError,
)
from tans.tasks.images import (
    THUMBNAIL,
    ArrayPixels,
    FilePixels,
    Held,
    check_readable,
    open_files,
    resize,
)
from tans.tasks.reading import Reading
from tests.tasks.drawing import grey, is_colour, png16, scene, store, tiff

CHECKS = (np.indices((256, 256)).sum(0) % 2 * 255).astype(np.uint8)


def one(path, resolution=8):
    opened = open_files([path])
    assert opened.failures == {}
    return opened.pixels.at(resolution)[0]


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
        ("CMYK", (255, 0, 0, 0), "jpg", (0, 255, 255)),
        ("LAB", (255, 128, 128), "tif", (255, 255, 255)),
    ],
)
def test_every_mode_becomes_rgb(tmp_path, mode, value, suffix, expected):
    path = tmp_path / f"image.{suffix}"
    lossless = {"lossless": True, "exact": True} if suffix == "webp" else {}
    Image.new(mode, (9, 6), value).save(path, **lossless)
    with Image.open(path) as image:
        assert image.mode == mode
    assert is_colour(one(path), expected, tolerance=3 if mode in ("LAB", "CMYK") else 1)


def test_a_palette_image_keeps_its_colours_and_its_clear_entry_shows_the_ground(tmp_path):
    image = Image.new("P", (8, 8), 0)
    image.putpalette([10, 20, 30, 200, 0, 0])
    image.save(tmp_path / "opaque.png")
    image.save(tmp_path / "clear.png", transparency=0)
    image.save(tmp_path / "clear.gif", transparency=0)
    assert is_colour(one(tmp_path / "opaque.png"), (10, 20, 30))
    assert is_colour(one(tmp_path / "clear.png"), (255, 255, 255))
    assert is_colour(one(tmp_path / "clear.gif"), (255, 255, 255))


def test_a_clear_colour_of_an_rgb_image_shows_the_ground(tmp_path):
    Image.new("RGB", (8, 8), (1, 2, 3)).save(tmp_path / "a.png", transparency=(1, 2, 3))
    assert is_colour(one(tmp_path / "a.png"), (255, 255, 255))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_white_shapes_on_clear_become_visible_whatever_the_mode(tmp_path, mode):
    paths = []
    for index in range(3):
        image = Image.new("RGBA", (32, 32), (255, 255, 255, 0))
        image.paste((255, 255, 255, 255), (4 + 3 * index, 8, 20 + 3 * index, 24))
        path = tmp_path / f"{index}.png"
        if mode == "P":
            flat = Image.new("P", (32, 32), 0)
            flat.putpalette([255] * 6)
            flat.paste(1, (4 + 3 * index, 8, 20 + 3 * index, 24))
            flat.save(path, transparency=0)
        else:
            image.convert(mode).save(path)
        paths.append(path)
    read = open_files(paths).pixels.at(32)
    assert all(int(image.max()) - int(image.min()) == 255 for image in read)


@pytest.mark.parametrize("kind", ["png", "tiff <", "tiff >"])
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_colours_stored_in_16_bits_agree_with_the_same_in_8(tmp_path, bits, kind):
    deep, plain = [], []
    for seed in range(4):
        picture = scene(seed, 40, 40)
        picture[:2, :2], picture[:2, 2:4] = 0, 1
        samples = (picture * (2**bits - 1)).round().astype(np.uint16)
        if kind == "png":
            deep.append(png16(tmp_path / f"deep{seed}.png", samples))
        else:
            deep.append(tiff(tmp_path / f"deep{seed}.tif", samples, kind[-1]))
        plain.append(store(tmp_path / f"plain{seed}.png", picture))
    one, other = open_files(deep), open_files(plain)
    assert one.pixels.reading.ranges == {"uint16": (0, 2**bits - 1)}
    for resolution in (64, 40):
        difference = one.pixels.at(resolution).int() - other.pixels.at(resolution).int()
        assert difference.abs().max() <= 2


def test_the_range_is_one_for_all_files_and_can_be_stated(tmp_path):
    paths = [
        png16(tmp_path / f"{index}.png", (grey(index) * high).astype(np.uint16))
        for index, high in enumerate((300, 4000, 1000))
    ]
    found = open_files(paths)
    assert found.pixels.reading.ranges == {"uint16": (0, 4095)}
    assert 10 < int(found.pixels.at(40)[0].max()) < 20
    stated = open_files(paths, {"any": (0, 300)})
    assert stated.pixels.reading.ranges == {"uint16": (0, 300)}
    assert int(stated.pixels.at(40)[0].max()) > 240


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (700, 3), (1200, 900)])
def test_any_size_fills_the_square(tmp_path, size):
    Image.new("RGB", size, (40, 80, 120)).save(tmp_path / "a.jpg", quality=95)
    assert is_colour(one(tmp_path / "a.jpg", 17), (40, 80, 120), tolerance=3)


def test_shrinking_is_antialiased(tmp_path):
    Image.fromarray(CHECKS).save(tmp_path / "a.png")
    assert is_colour(one(tmp_path / "a.png", 16), (128, 128, 128), tolerance=3)
    images = torch.from_numpy(CHECKS).expand(1, 3, -1, -1)
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
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "empty.gif").touch()
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "notes").write_text("no image")
    names = ["text.png", "good.png", "empty.gif", "folder.png", "missing.png", "notes"]
    opened = open_files([tmp_path / name for name in names])
    kinds = {index: error.kind for index, error in opened.failures.items()}
    assert kinds == {0: DAMAGED, 2: EMPTY, 3: MISSING, 4: MISSING, 5: NO_IMAGE}
    assert [path.name for path in opened.pixels.paths] == ["good.png"]
    assert len(opened.evidence) == 1
    assert is_colour(opened.pixels.at(8)[0], (255, 0, 0))


def test_a_decompression_bomb_is_left_out_unless_it_is_allowed(tmp_path, monkeypatch):
    paths = [store(tmp_path / "small.png", grey(0)), tmp_path / "bomb.png"]
    Image.new("L", (100, 100)).save(paths[1])
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 9_000)
    opened = open_files(paths)
    assert {index: error.kind for index, error in opened.failures.items()} == {1: TOO_LARGE}
    allowed = open_files(paths, max_pixels=10_000)
    assert allowed.failures == {}
    assert len(allowed.pixels.at(16)) == 2
    assert len(allowed.pixels.take(torch.tensor([1])).at(17)) == 1


def test_files_with_further_pictures_are_noted(tmp_path):
    pages = [Image.new("L", (8, 8), level) for level in (10, 200)]
    pages[0].save(tmp_path / "stack.tif", save_all=True, append_images=pages[1:])
    opened = open_files([store(tmp_path / "a.png", grey(0)), tmp_path / "stack.tif"])
    assert opened.pages == (1,)
    assert is_colour(opened.pixels.at(8)[1], (10, 10, 10))


@pytest.mark.parametrize("kind", ["plain", "deep", "clear"])
def test_each_file_is_decoded_once_for_all_resolutions(tmp_path, decoded, kind):
    paths = []
    for index in range(70):
        path = tmp_path / f"{index}.png"
        if kind == "deep":
            png16(path, (grey(index) * 4095).astype(np.uint16))
        else:
            store(path, np.dstack([scene(index), scene(index)[..., :1]][: 1 + (kind == "clear")]))
        paths.append(path)
    opened = open_files(paths)
    for resolution in (THUMBNAIL, 16, 24, 32, 96, 128, 224):
        assert len(opened.pixels.at(resolution, torch.tensor([3, 69]))) == 2
    opened.pixels.take(torch.tensor([1, 2])).at(40)
    assert decoded == Counter({path.name: 1 for path in paths})


def test_only_the_rows_asked_for_are_decoded_at_other_resolutions(tmp_path, decoded, monkeypatch):
    monkeypatch.setattr(module, "HELD", Held(0))
    paths = [store(tmp_path / f"{index}.png", scene(index)) for index in range(5)]
    thumbnails = torch.zeros(5, 3, THUMBNAIL, THUMBNAIL, dtype=torch.uint8)
    pixels = FilePixels(paths, Reading(), thumbnails)
    assert pixels.at(THUMBNAIL).shape == (5, 3, THUMBNAIL, THUMBNAIL)
    assert not decoded
    read = pixels.at(32, torch.tensor([4, 1]))
    assert decoded == {"1.png": 1, "4.png": 1}
    whole = open_files(paths).pixels.at(32)
    assert torch.equal(read, whole[[4, 1]])
    assert torch.equal(pixels.take(torch.tensor([2, 0])).at(32), whole[[2, 0]])
    assert torch.equal(pixels.at(32, torch.tensor([], dtype=torch.int64)), whole[:0])


def test_resolutions_above_what_is_held_are_decoded_in_full(tmp_path, decoded):
    path = store(tmp_path / "a.png", grey(0, 1000, 1000))
    pixels = open_files([path]).pixels
    fine = pixels.at(1000)[0, 0].int()
    assert decoded["a.png"] == 2
    assert (fine - torch.from_numpy(grey(0, 1000, 1000) * 255)).abs().max() <= 1


def test_as_many_pictures_are_held_as_there_is_room(tmp_path):
    held = Held(100)
    paths = [store(tmp_path / f"{name}.png", scene(0)) for name in ("0", "1", "2", "large")]
    pictures = [Picture(np.zeros((6, 7), np.uint8)) for _ in range(3)]
    for path, picture in zip(paths, pictures, strict=False):
        held.put(path, picture)
        held.put(path, picture)
    held.put(paths[3], Picture(np.zeros((11, 11), np.uint8)))
    assert held.get(paths[3]) is None
    assert held.get(paths[0]) is None
    assert held.get(paths[1]) is pictures[1]
    assert held.get(paths[2]) is pictures[2]


def test_a_file_that_changed_is_not_held(tmp_path):
    held, path = Held(), store(tmp_path / "a.png", scene(0))
    held.put(path, Picture(np.zeros((6, 7), np.uint8)))
    assert held.get(path) is not None
    store(path, scene(1, 96, 96))
    assert held.get(path) is None
    path.unlink()
    assert held.get(path) is None


def test_pictures_that_are_held_do_not_travel_to_other_processes(tmp_path):
    paths = [store(tmp_path / f"{index}.png", scene(index, 400, 400)) for index in range(4)]
    pixels = open_files(paths).pixels
    sent = pickle.dumps(pixels)
    assert len(sent) < 100_000
    assert torch.equal(pickle.loads(sent).at(32), pixels.at(32))


@settings(max_examples=20, deadline=None)
@given(limit=st.integers(0, 60_000), rows=st.lists(st.integers(0, 5), max_size=9))
def test_what_is_held_never_changes_what_is_read(limit, rows, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp() / "held"
    paths = [folder / f"{index}.png" for index in range(6)]
    if not folder.exists():
        for index, path in enumerate(paths):
            store(path, scene(index))
    thumbnails = torch.zeros(6, 3, THUMBNAIL, THUMBNAIL, dtype=torch.uint8)
    pixels = FilePixels(paths, Reading(), thumbnails)
    chosen = torch.tensor(rows, dtype=torch.int64)
    expected = torch.stack([one(path, 16) for path in paths])[chosen]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "HELD", Held(limit))
        for _ in range(2):
            assert torch.equal(pixels.at(16, chosen), expected)


def test_a_file_that_went_missing_is_named(tmp_path):
    thumbnails = torch.zeros(1, 3, THUMBNAIL, THUMBNAIL, dtype=torch.uint8)
    pixels = FilePixels([tmp_path / "gone.png"], Reading(), thumbnails)
    with pytest.raises(TaskError, match=r"gone\.png could be read earlier"):
        pixels.at(16)


def test_more_unreadable_files_than_an_accident_explains_are_refused():
    damaged = {f"{index}.png": UnreadableError(DAMAGED, "cut") for index in range(7)}
    check_readable("pets", damaged, 70)
    with pytest.raises(TaskError, match=r"7 of 69 images .*0\.png: damaged \(cut\).*; \.\.\.; exp"):
        check_readable("pets", damaged, 69)


@pytest.mark.parametrize("count", [0, 1, 2, 64, 65, 130])
def test_one_thread_and_many_read_alike(tmp_path, monkeypatch, count):
    paths = [store(tmp_path / f"{index}.png", scene(index)) for index in range(count)]
    for index in range(0, count, 7):
        paths[index].write_bytes(b"no image")
    read = []
    for light in (0.0, 60.0):  # never in this thread alone but for the first, and always
        monkeypatch.setattr(module, "LIGHT", light)
        monkeypatch.setattr(module, "SLACK", light)
        seen = {}
        failed = module.each_picture(paths, lambda i, p, seen=seen: seen.update({i: p.colours}))
        read.append((seen, failed))
    (some, failed), (others, failed_too) = read
    assert failed.keys() == failed_too.keys() == set(range(0, count, 7))
    assert some.keys() == others.keys() == set(range(count)) - failed.keys()
    assert all(np.array_equal(some[index], others[index]) for index in some)


def test_files_that_are_no_images_are_no_accident():
    check_readable("pets", {f"{i}.txt": UnreadableError(NO_IMAGE) for i in range(7)}, 10)


def test_array_pixels_keep_their_own_size_and_the_last_other():
    images = torch.arange(2 * 3 * 6 * 6).view(2, 3, 6, 6).byte()
    pixels = ArrayPixels(images)
    assert pixels.at(6) is images
    assert pixels.at(4) is pixels.at(4)
    assert pixels.at(4).shape == (2, 3, 4, 4)
    assert pixels.at(4).dtype == torch.uint8
    assert torch.equal(pixels.at(4, torch.tensor([1])), pixels.at(4)[[1]])
    assert torch.equal(pixels.take(torch.tensor([1])).at(6), images[[1]])


@pytest.mark.parametrize(
    "images", [torch.zeros(2, 3, 4, 4), torch.zeros(2, 1, 4, 4, dtype=torch.uint8)]
)
def test_arrays_of_another_form_are_refused(images):
    with pytest.raises(TaskError, match="expected uint8"):
        ArrayPixels(images)


def test_a_resolution_below_one_is_refused(tmp_path):
    opened = open_files([store(tmp_path / "a.png", grey(0))])
    for pixels in (ArrayPixels(torch.zeros(1, 3, 4, 4, dtype=torch.uint8)), opened.pixels):
        with pytest.raises(TaskError, match="resolution is 0"):
            pixels.at(0)
