"""One range for each sample type, and one ground, for a whole task."""

from __future__ import annotations

import json
import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tans.errors import InputError, TansError
from tans.files import Manifest
from tans.tasks.decoding import Picture
from tans.tasks.reading import (
    ANY,
    BLACK,
    BYTE,
    GREY,
    SAMPLES,
    WHITE,
    Evidence,
    Reading,
    find_reading,
    read_range,
)
from tests.tasks.drawing import grey

FINITE = st.floats(-1e9, 1e9, allow_nan=False)
RANGES = st.tuples(FINITE, FINITE).filter(lambda ends: ends[0] < ends[1])
READINGS = st.builds(
    Reading,
    st.dictionaries(st.sampled_from(["uint16", "int16", "int32", "float32"]), RANGES),
    st.tuples(*[st.integers(0, 255)] * 3),
)


def found(pictures, ranges=None):
    return find_reading((Evidence.of(picture) for picture in pictures), ranges)


def stored(high, dtype="uint16", low=0, count=6):
    """Pictures of 0..1 as samples between two ends."""
    whole = [low + grey(seed) * (high - low) for seed in range(count)]
    if not dtype.startswith("float"):
        whole = [samples.round() for samples in whole]
    return [Picture(samples.astype(dtype)) for samples in whole]


def shape(colour, alpha=255, seed=0):
    """A disc of one colour on clear, whose own colour is the same."""
    y, x = np.mgrid[:24, :24] / 24
    inside = (x - 0.5) ** 2 + (y - 0.4 - 0.05 * (seed % 3)) ** 2 < 0.1
    colours = np.full((24, 24, 3), colour, np.uint8)
    return Picture(colours, np.where(inside, alpha, 0).astype(np.uint8))


class Stored(Manifest):
    reading: Reading


@settings(max_examples=50, deadline=None)
@given(reading=READINGS)
def test_a_reading_survives_json_and_pickle(reading):
    assert Stored.parse(Stored(reading=reading).to_bytes(), "it").reading == reading
    assert pickle.loads(pickle.dumps(reading)) == reading


@pytest.mark.parametrize(
    "fields",
    [
        None,
        {"ranges": {}, "ground": [0, 0]},
        {"ranges": {}, "ground": [0, 0, 256]},
        {"ranges": {"uint16": [0]}, "ground": [0, 0, 0]},
        {"ranges": {"uint16": ["a", "b"]}, "ground": [0, 0, 0]},
        {"ranges": {"uint16": [5, 5]}, "ground": [0, 0, 0]},
        {"ranges": {"uint8": [0, 100]}, "ground": [0, 0, 0]},
    ],
)
def test_what_is_no_reading_is_refused(fields):
    with pytest.raises(TansError, match="it is damaged"):
        Stored.parse(json.dumps({"schema": 1, "reading": fields}).encode(), "it")


@pytest.mark.parametrize("ends", [(1, 1), (2, 1), (0, math.inf), (math.nan, 1)])
def test_a_range_without_width_is_refused(ends):
    with pytest.raises(InputError, match="expected two numbers, the lower first"):
        Reading({"uint16": ends})


def test_8_bits_are_always_0_to_255():
    with pytest.raises(InputError, match="8 bits are always 0:255"):
        Reading({BYTE: (0, 127)})
    dark = [Picture((grey(seed) * 40).astype(np.uint8)) for seed in range(3)]
    reading = found(dark, {ANY: (0, 4095)})
    assert reading.ranges == {BYTE: (0, 255)}
    assert np.array_equal(np.array(reading.flat(dark[0]))[..., 0], dark[0].colours)


@pytest.mark.parametrize(
    ("high", "dtype", "low", "expected"),
    [
        (255, "uint16", 0, (0, 255)),
        (1023, "uint16", 0, (0, 1023)),
        (4095, "uint16", 0, (0, 4095)),
        (16383, "uint16", 0, (0, 16383)),
        (65535, "uint16", 0, (0, 65535)),
        (3000, "uint16", 40, (0, 4095)),
        (65535, "int32", 0, (0, 65535)),
        (1, "float32", -1, (-1, 1)),
        (1, "float32", 0, (0, 1)),
        (255, "float32", 0, (0, 255)),
    ],
)
def test_a_usual_range_that_samples_fill_is_found(high, dtype, low, expected):
    assert found(stored(high, dtype, low)).ranges == {dtype: expected}


@pytest.mark.parametrize(
    ("high", "dtype", "low"),
    [(3071, "int16", -1024), (31000, "uint16", 29000), (310.5, "float32", 280.0)],
    ids=["computed tomography", "thermal", "kelvin"],
)
def test_samples_that_fill_no_usual_range_get_their_own(high, dtype, low):
    (own,) = found(stored(high, dtype, low)).ranges.values()
    assert own == pytest.approx((low, high), abs=0.03 * (high - low))


@pytest.mark.parametrize(
    ("high", "dtype", "low", "levels"),
    [
        (255, "uint16", 0, 1),
        (1023, "uint16", 0, 1),
        (4095, "uint16", 0, 1),
        (65535, "uint16", 0, 1),
        (1, "float32", -1, 1),
        (1, "float32", 0, 1),
        (3071, "int16", -1024, 4),
        (31000, "uint16", 29000, 4),
    ],
)
def test_pictures_of_any_depth_agree_with_the_same_in_8_bits(high, dtype, low, levels):
    pictures = stored(high, dtype, low)
    reading = found(pictures)
    for seed, picture in enumerate(pictures):
        read = np.array(reading.flat(picture))[..., 0].astype(int)
        assert np.abs(read - grey(seed) * 255).max() <= levels


@pytest.mark.parametrize("hot", [65535, 20000])
def test_a_hot_pixel_does_not_darken_all_others(hot):
    pictures = stored(4095)
    pictures[2].colours[5, 5] = hot
    reading = found(pictures)
    read = np.array(reading.flat(pictures[0]))[..., 0].astype(int)
    assert np.abs(read - grey(0) * 255).max() <= 4


def test_missing_values_of_a_float_picture_do_not_set_the_range():
    pictures = stored(1, "float32")
    pictures[0].colours[0, :2] = math.nan, math.inf
    pictures[1].colours[0, 0] = -3.4e38
    reading = found(pictures)
    read = np.array(reading.flat(pictures[0]))[..., 0]
    assert read[0, 0] == 0
    assert read[0, 1] == 255
    assert np.abs(read[1:].astype(int) - grey(0)[1:] * 255).max() <= 4


@pytest.mark.parametrize("value", [0, 7, 65535])
def test_pictures_of_a_single_value_have_a_range_all_the_same(value):
    reading = found([Picture(np.full((4, 4), value, np.uint16))])
    assert np.array(reading.flat(Picture(np.full((4, 4), value, np.uint16)))).shape == (4, 4, 3)


def test_pictures_without_a_number_have_a_range_all_the_same():
    empty = Picture(np.full((4, 4), math.nan, np.float32))
    assert not np.array(found([empty]).flat(empty)).any()


def test_a_dark_picture_stays_darker_than_a_bright_one():
    dark = Picture((grey(1) * 800).astype(np.uint16))
    bright = Picture((grey(1) * 3200 + 800).astype(np.uint16))
    reading = found([dark, bright])
    assert np.array(reading.flat(dark)).mean() < np.array(reading.flat(bright)).mean() - 90


def test_each_sample_type_has_a_range_of_its_own():
    pictures = [*stored(4095), *stored(1, "float32"), *stored(255, "uint8")]
    assert found(pictures).ranges == {"uint8": (0, 255), "uint16": (0, 4095), "float32": (0, 1)}


def test_a_stated_range_comes_before_what_is_found():
    pictures = [*stored(4095), *stored(1, "float32"), *stored(255, "uint8")]
    stated = {ANY: (0, 2), "uint16": (0, 65535)}
    assert found(pictures, stated).ranges == {
        "uint8": (0, 255),
        "uint16": (0, 65535),
        "float32": (0, 2),
    }


@settings(max_examples=50, deadline=None)
@given(
    samples=st.lists(st.integers(0, 65535), min_size=1, max_size=40),
    dtype=st.sampled_from(["uint8", "uint16", "int32", "float32"]),
)
def test_brighter_samples_are_never_darker_after_reading(samples, dtype):
    values = np.array(sorted(samples))
    picture = Picture((values % 256 if dtype == "uint8" else values).astype(dtype)[None])
    order = picture.colours[0].argsort(kind="stable")
    read = np.array(found([picture]).flat(picture))[0, order, 0].astype(int)
    assert (np.diff(read) >= 0).all()


def test_white_shapes_on_clear_become_visible():
    pictures = [shape((255, 255, 255), seed=seed) for seed in range(5)]
    reading = found(pictures)
    assert reading.ground == BLACK
    assert np.ptp(reading.square(pictures[0], 24)) == 255
    assert "put on black" in reading.words()[-1]


@pytest.mark.parametrize("colour", [(0, 0, 0), (200, 20, 20), (30, 60, 90)])
def test_dark_and_coloured_shapes_on_clear_stay_on_white(colour):
    reading = found([shape(colour, seed=seed) for seed in range(5)])
    assert reading.ground == WHITE
    assert reading.words() == []


def test_black_and_white_shapes_in_one_task_lie_on_grey():
    pictures = [shape((255 * (seed % 2),) * 3, seed=seed) for seed in range(6)]
    reading = found(pictures)
    assert reading.ground == GREY
    assert all(np.ptp(reading.square(picture, 24)) >= 127 for picture in pictures)


def test_a_few_shapes_that_do_not_show_leave_the_ground_white():
    pictures = [shape((0, 0, 0), seed=seed) for seed in range(60)] + [shape((255, 255, 255))]
    assert found(pictures).ground == WHITE


def test_a_shape_that_is_wholly_clear_says_nothing_of_the_ground():
    assert found([shape((0, 0, 0), alpha=0)] * 3 + [shape((255, 255, 255))]).ground == BLACK


def test_half_clear_parts_are_mixed_with_the_ground():
    half = Picture(np.zeros((4, 4, 3), np.uint8), np.full((4, 4), 51, np.uint8))
    assert np.unique(np.array(Reading().flat(half))) == [204]


@pytest.mark.parametrize(("value", "ground"), [(65535, BLACK), (0, WHITE)])
def test_shapes_of_16_bits_on_clear_become_visible_too(value, ground):
    pictures = []
    for seed in range(4):
        alpha = shape((0, 0, 0), seed=seed).alpha
        colours = np.full((24, 24, 3), value, np.uint16)
        colours[10:11] = 65535 - value  # a line in the shape, so that the range is the whole one
        pictures.append(Picture(colours, alpha))
    reading = found(pictures)
    assert reading.ranges == {"uint16": (0, 65535)}
    assert reading.ground == ground
    nothing = Picture(np.zeros((4, 4), np.uint16), np.zeros((4, 4), np.uint8))
    assert found([*pictures, nothing]).ground == ground


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0:4095", (ANY, (0, 4095))),
        (" uint16=0:4095 ", ("uint16", (0, 4095))),
        ("FLOAT32=-1:1", ("float32", (-1, 1))),
        ("-1024:3071", (ANY, (-1024, 3071))),
        ("1e-3:0.5", (ANY, (0.001, 0.5))),
        ("uint8=0:255", ("uint8", (0, 255))),
    ],
)
def test_a_range_is_read_from_text(text, expected):
    assert read_range(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "4095", "0-4095", "a:b", "5:5", "9:1", "0:inf", "nan:1", "uint12=0:4095", "uint8=0:99"],
)
def test_what_is_no_range_is_refused(text):
    with pytest.raises(InputError, match="range"):
        read_range(text)


@settings(max_examples=30, deadline=None)
@given(text=st.text(max_size=20) | st.from_regex(r"([a-z]+[0-9]*=)?[-0-9.e]+:[-0-9.e]+"))
def test_any_text_is_a_range_or_refused(text):
    try:
        sample, (low, high) = read_range(text)
    except InputError:
        return
    assert sample in (*SAMPLES, ANY)
    assert low < high


@settings(max_examples=50, deadline=None)
@given(sample=st.sampled_from([ANY, "uint16", "float32"]), ends=RANGES)
def test_a_range_that_is_written_is_read_again(sample, ends):
    prefix = "" if sample == ANY else f"{sample}="
    assert read_range(f"{prefix}{ends[0]!r}:{ends[1]!r}") == (sample, ends)


def test_a_sample_type_without_a_range_is_asked_about():
    reading = Reading({"uint16": (0, 4095)})
    (picture,) = stored(255, "uint8", count=1)
    assert not reading.knows(picture)
    assert "--range uint8=0:255" in reading.asks(picture.sample)
    assert "uint16 0:4095" in reading.asks("float32")
    assert "--range float32=LOW:HIGH" in reading.asks("float32")


def test_a_reading_is_widened_by_what_a_user_gives():
    reading = Reading({"uint16": (0, 4095)})
    assert reading.widened(["float32"], {}) == reading
    wide = reading.widened(["float32", "uint8"], {ANY: (0, 1), "int16": (-5, 5)})
    assert wide.ranges == {"uint16": (0, 4095), "float32": (0, 1), "int16": (-5, 5)}
    assert reading.widened(["uint8"], {ANY: (0, 255)}).ranges["uint8"] == (0, 255)
    assert reading.ranges == {"uint16": (0, 4095)}


def test_a_reading_cannot_be_changed():
    with pytest.raises(TypeError):
        Reading().ranges["uint16"] = (0, 1)  # type: ignore[index]
