"""Contact sheets and query features."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from tans.errors import ZooError
from tans.zoo import sheets


@pytest.fixture
def thumbnails() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (64, 3, 64, 64), dtype=torch.uint8, generator=generator)


def test_thumbnails_come_back_unchanged(thumbnails: Tensor) -> None:
    assert torch.equal(sheets.sheet_from_bytes(sheets.sheet_to_bytes(thumbnails)), thumbnails)


def test_sheet_is_a_picture_of_eight_by_eight(thumbnails: Tensor) -> None:
    picture = Image.open(BytesIO(sheets.sheet_to_bytes(thumbnails)))
    assert (picture.format, picture.size) == ("WEBP", (512, 512))
    tile = np.asarray(picture.convert("RGB"))[64:128, 128:192]  # second row, third column
    assert np.array_equal(tile, thumbnails[10].permute(1, 2, 0).numpy())


@pytest.mark.parametrize(
    "wrong",
    [torch.zeros(64, 3, 64, 64), torch.zeros(63, 3, 64, 64, dtype=torch.uint8), torch.zeros(0)],
)
def test_other_thumbnails_are_refused(wrong: Tensor) -> None:
    with pytest.raises(ZooError, match=r"expected torch\.uint8"):
        sheets.sheet_to_bytes(wrong)


def test_other_pictures_are_refused() -> None:
    small = BytesIO()
    Image.new("RGB", (64, 64)).save(small, "WEBP")
    for data in (b"", b"RIFF", small.getvalue()):
        with pytest.raises(ZooError, match="contact sheet"):
            sheets.sheet_from_bytes(data)


def test_resizing_keeps_the_mean(thumbnails: Tensor) -> None:
    assert sheets.resize(thumbnails, 64) is thumbnails
    small = sheets.resize(thumbnails, 32)
    assert (small.shape, small.dtype) == ((64, 3, 32, 32), torch.uint8)
    assert abs(small.float().mean() - thumbnails.float().mean()) < 1


def test_features_come_back_in_sixteen_bits() -> None:
    features, labels = torch.randn(5, 7), torch.tensor([0, 1, 2, 1, 0])
    stored, stored_labels = sheets.features_from_bytes(sheets.features_to_bytes(features, labels))
    assert torch.equal(stored, features.half().float())
    assert torch.equal(stored_labels, labels)


@pytest.mark.parametrize(
    ("features", "labels"),
    [
        (torch.zeros(5), torch.zeros(5)),
        (torch.zeros(5, 2), torch.zeros(4)),
        (torch.full((2, 2), torch.nan), torch.zeros(2)),
    ],
)
def test_other_features_are_refused(features: Tensor, labels: Tensor) -> None:
    with pytest.raises(ZooError, match="features"):
        sheets.features_to_bytes(features, labels)


def test_a_damaged_features_file_is_refused() -> None:
    with pytest.raises(ZooError, match="features file"):
        sheets.features_from_bytes(b"nothing")
