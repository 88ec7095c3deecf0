from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from tans_bench.errors import SourceError
from tans_bench.sources.pictures import Found, Pictures, grey, on_white, read

from .conftest import draw


def test_unreadable_files_are_left_out(tmp_path: Path) -> None:
    draw(tmp_path / "good.png", seed=0)
    (tmp_path / "bad.png").write_bytes(b"no picture")
    found = [Found(tmp_path / f"{name}.png", 1, name) for name in ("bad", "good")]
    pictures = read(found, size=16)
    assert pictures.groups == ("good",)
    assert pictures.images.shape == (1, 3, 16, 16)
    with pytest.raises(SourceError, match="no picture"):
        read(found[:1], size=16)


def test_transparency_becomes_white() -> None:
    square = on_white(Image.new("RGBA", (8, 8), (0, 0, 0, 0)), 4)
    assert square is not None
    assert (square == 255).all()


def test_trimming_cuts_margins_and_drops_the_empty() -> None:
    page = Image.new("RGB", (100, 100), "white")
    assert on_white(page, 16, trim=True) is None
    page.paste((200, 0, 0), (40, 10, 70, 30))
    square = on_white(page, 16, trim=True)
    assert square is not None
    assert (square == (200, 0, 0)).all()


def test_a_cap_keeps_every_class_and_is_repeatable() -> None:
    labels = torch.tensor([0] * 50 + [1] * 3)
    images = torch.arange(53, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 2, 2)
    pictures = Pictures(images, labels, tuple(map(str, range(53))))
    capped = pictures.capped(10)
    assert torch.bincount(capped.labels).tolist() == [10, 3]
    assert capped.groups == tuple(str(int(image[0, 0, 0])) for image in capped.images)
    assert torch.equal(capped.images, pictures.capped(10).images)
    assert not torch.equal(capped.images, pictures.capped(10, seed=1).images)


def test_grey_arrays_become_colour_squares() -> None:
    pictures = grey(torch.full((2, 4, 6), 90, dtype=torch.uint8), [1, 0], size=8)
    assert pictures.images.shape == (2, 3, 8, 8)
    assert (pictures.images == 90).all()
    assert pictures.groups is None
