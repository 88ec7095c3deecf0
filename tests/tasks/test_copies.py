"""Images that show the same, exactly or nearly."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tans.tasks import copies as module
from tans.tasks.copies import find_copies
from tests.tasks.drawing import photo, scene, store

SIDE = 64


def image(picture):
    """A picture (h, w, 3) in 0..1 as tasks hold it, uint8 (3, 64, 64)."""
    whole = Image.fromarray((picture * 255).round().astype(np.uint8))
    return torch.from_numpy(
        np.array(whole.resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    ).permute(2, 0, 1)


def reread(path):
    with Image.open(path) as opened:
        return image(np.array(opened.convert("RGB")) / 255)


def changed(path, picture, how):
    """A picture as it comes back after something was done to it."""
    height, width = picture.shape[:2]
    whole = Image.fromarray((picture * 255).round().astype(np.uint8))
    if how.startswith("jpeg"):
        return reread(store(path / "a.jpg", picture, quality=int(how[5:])))
    if how == "gif":
        return reread(store(path / "a.gif", picture))
    if how == "webp":
        return reread(store(path / "a.webp", picture, quality=75))
    if how.startswith("resized"):
        share = int(how[8:]) / 100
        return image(np.array(whole.resize((int(width * share), int(height * share)))) / 255)
    levels = {"brighter": picture * 1.1, "darker": picture * 0.9, "lighter": picture + 0.05}[how]
    return image(levels.clip(0, 1))


CHANGES = [
    *("jpeg 95", "jpeg 75", "gif", "webp"),
    *("resized 50", "resized 80", "resized 200", "brighter", "darker", "lighter"),
]


@pytest.mark.parametrize("how", CHANGES)
def test_a_picture_that_was_changed_a_little_is_a_copy(tmp_path, how):
    scenes = [photo(seed) for seed in range(8)]
    plain = [image(picture) for picture in scenes]
    others = [changed(tmp_path, picture, how) for picture in scenes]
    sets = find_copies(torch.stack([*plain, *others]))
    assert sets[:8].tolist() == sets[8:].tolist()
    assert len(set(sets[:8])) == 8


def test_different_pictures_are_no_copies():
    for draw in (scene, photo):
        sets = find_copies(torch.stack([image(draw(seed)) for seed in range(60)]))
        assert len(set(sets)) == 60


def test_noise_is_a_copy_of_itself_alone():
    noise = np.random.default_rng(0).random((20, 48, 48, 3))
    images = torch.stack([image(noise[index % 20]) for index in range(80)])
    assert find_copies(images).tolist() == find_copies(images)[:20].tolist() * 4
    assert len(set(find_copies(images))) == 20


def test_plain_colours_are_copies_only_where_they_are_equal():
    levels = [10, 10, 11, 200, 200]
    images = torch.stack(
        [torch.full((3, SIDE, SIDE), level, dtype=torch.uint8) for level in levels]
    )
    sets = find_copies(images)
    assert sets[0] == sets[1]
    assert sets[3] == sets[4]
    assert len(set(sets)) == 3


def test_the_same_shades_in_another_colour_are_no_copy():
    shades = photo(0).mean(2, keepdims=True)
    red, green = shades * (1.0, 0.6, 0.6), shades * (0.6, 0.8, 0.6)
    assert len(set(find_copies(torch.stack([image(red), image(green)])))) == 2
    assert len(set(find_copies(torch.stack([image(red), image(red * 0.95)])))) == 1


@pytest.mark.parametrize("count", [0, 1])
def test_few_images_are_copies_of_none(count):
    images = torch.zeros(count, 3, SIDE, SIDE, dtype=torch.uint8)
    assert find_copies(images).tolist() == list(range(count))


@settings(max_examples=25, deadline=None)
@given(seeds=st.lists(st.integers(0, 5), min_size=1, max_size=14))
def test_equal_images_and_no_others_are_in_one_set(seeds):
    sets = find_copies(torch.stack([image(scene(seed)) for seed in seeds]))
    same = {
        (one == other, s == t)
        for one, s in zip(seeds, sets, strict=True)
        for other, t in zip(seeds, sets, strict=True)
    }
    assert same <= {(True, True), (False, False)}


@settings(max_examples=15, deadline=None)
@given(
    seeds=st.lists(st.integers(0, 5), min_size=2, max_size=40),
    rows=st.integers(1, 9),
    across=st.integers(1, 9),
    pairs=st.integers(1, 5),
)
def test_sets_do_not_depend_on_how_many_images_are_compared_at_a_time(seeds, rows, across, pairs):
    drawn = np.random.default_rng(len(seeds))
    images = torch.stack([image(photo(seed)) for seed in seeds]).int()
    images += torch.from_numpy(drawn.integers(-2, 3, images.shape))
    images = images.clamp(0, 255).byte()
    expected = find_copies(images)
    with pytest.MonkeyPatch.context() as patch:
        sizes = {"ROWS": rows, "ACROSS": max(rows, across), "PAIRS": pairs, "EDGES": pairs}
        for name, value in sizes.items():
            patch.setattr(module, name, value)
        sets = find_copies(images)
    assert len(set(zip(sets, expected, strict=True))) == len(set(sets)) == len(set(expected))
