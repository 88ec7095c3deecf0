"""Contact sheets and query features."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from tans.errors import ZooError
from tans.zoo import previews


@pytest.fixture
def thumbnails() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (64, 3, 64, 64), dtype=torch.uint8, generator=generator)


def test_thumbnails_come_back_unchanged(thumbnails: Tensor) -> None:
    assert torch.equal(previews.sheet_from_bytes(previews.sheet_to_bytes(thumbnails)), thumbnails)


def test_sheet_is_a_picture_of_eight_by_eight(thumbnails: Tensor) -> None:
    picture = Image.open(BytesIO(previews.sheet_to_bytes(thumbnails)))
    assert (picture.format, picture.size) == ("WEBP", (512, 512))
    tile = np.asarray(picture.convert("RGB"))[64:128, 128:192]  # second row, third column
    assert np.array_equal(tile, thumbnails[10].permute(1, 2, 0).numpy())


@pytest.mark.parametrize(
    "wrong",
    [torch.zeros(64, 3, 64, 64), torch.zeros(63, 3, 64, 64, dtype=torch.uint8), torch.zeros(0)],
)
def test_other_thumbnails_are_refused(wrong: Tensor) -> None:
    with pytest.raises(ZooError, match=r"expected torch\.uint8"):
        previews.sheet_to_bytes(wrong)


def test_other_pictures_are_refused() -> None:
    small = BytesIO()
    Image.new("RGB", (64, 64)).save(small, "WEBP")
    for data in (b"", b"RIFF", small.getvalue()):
        with pytest.raises(ZooError, match="contact sheet"):
            previews.sheet_from_bytes(data)


def test_resizing_keeps_the_mean(thumbnails: Tensor) -> None:
    assert previews.resize(thumbnails, 64) is thumbnails
    small = previews.resize(thumbnails, 32)
    assert (small.shape, small.dtype) == ((64, 3, 32, 32), torch.uint8)
    assert abs(small.float().mean() - thumbnails.float().mean()) < 1


@settings(max_examples=30, deadline=None)
@given(
    n=st.integers(1, 9),
    d=st.integers(1, 5),
    size=st.sampled_from([1e-30, 1e-6, 1.0, 1e4, 1e38]),
    shift=st.sampled_from([0.0, -3.0, 1e3]),
    seed=st.integers(0, 999),
)
def test_no_feature_is_off_by_more_than_half_a_step(
    n: int, d: int, size: float, shift: float, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    features = size * (2 * torch.rand(n, d, generator=generator) - 1) + shift
    features = features * torch.tensor([1.0, 1e-2, 1.0, 1.0, 0.0])[:d]  # scales of their own
    data = previews.features_to_bytes(features, torch.zeros(n, dtype=torch.int64))
    stored, _ = previews.features_from_bytes(data)
    assert stored.dtype == torch.float32
    values = features.double()
    half_step = (values.amax(0) - values.amin(0)) / 255 / 2  # (d,)
    rounding = 2e-7 * values.abs() + 2e-5 * half_step  # of values and of the scale, to float32
    assert ((stored - values).abs() <= half_step + rounding).all()


@pytest.mark.parametrize("most", [2, 255, 256, 32767])
def test_labels_come_back(most: int) -> None:
    labels = torch.tensor([0, most, 1])
    data = previews.features_to_bytes(torch.randn(3, 2), labels)
    _, stored = previews.features_from_bytes(data)
    assert stored.dtype == torch.int64
    assert torch.equal(stored, labels)


def test_a_feature_takes_a_byte() -> None:
    d = 64
    sizes = [
        len(previews.features_to_bytes(torch.randn(n, d), torch.arange(n) % 3)) for n in (100, 200)
    ]
    assert sizes[1] - sizes[0] <= 100 * (d + 1) + 8  # a label is a byte, a header is aligned to 8


@pytest.mark.parametrize(
    ("features", "labels"),
    [
        (torch.zeros(5), torch.zeros(5)),
        (torch.zeros(5, 2), torch.zeros(4)),
        (torch.zeros(0, 2), torch.zeros(0)),
        (torch.full((2, 2), torch.nan), torch.zeros(2)),
        (torch.tensor([[0.0], [torch.inf]]), torch.zeros(2)),
    ],
)
def test_other_features_are_refused(features: Tensor, labels: Tensor) -> None:
    with pytest.raises(ZooError, match="features"):
        previews.features_to_bytes(features, labels)


@pytest.mark.parametrize("label", [-1, 32768])
def test_labels_beyond_their_type_are_refused(label: int) -> None:
    with pytest.raises(ZooError, match=f"{label}"):
        previews.features_to_bytes(torch.zeros(2, 2), torch.tensor([0, label]))


def test_a_damaged_features_file_is_refused() -> None:
    with pytest.raises(ZooError, match="features file"):
        previews.features_from_bytes(b"nothing")
