"""Images in memory, of any sizes and sample types: arrays and those of Pillow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from tans.errors import InputError
from tans.tasks.decoding import Picture, picture_of
from tans.tasks.images import check_resolution
from tans.tasks.reading import Reading


class PicturePixels:
    """Pictures in memory, resized when asked for.

    Args:
        pictures: of any sizes.
        reading: what their samples mean; it has a range for each of their types.
    """

    def __init__(self, pictures: Sequence[Picture], reading: Reading) -> None:
        self.pictures, self.reading = tuple(pictures), reading
        self._last: tuple[int, Tensor] | None = None

    def at(self, resolution: int, rows: Tensor | None = None) -> Tensor:
        """Images of some rows (m,), or all, as squares, antialiased, uint8 (m, 3, r, r)."""
        check_resolution(resolution)
        if self._last is None or self._last[0] != resolution:
            images = torch.empty(len(self.pictures), 3, resolution, resolution, dtype=torch.uint8)
            for index, picture in enumerate(self.pictures):
                square = self.reading.square(picture, resolution)  # (r, r, 3)
                images[index] = torch.from_numpy(square).permute(2, 0, 1)
            self._last = resolution, images
        return self._last[1] if rows is None else self._last[1][rows]

    def stored(self, resolution: int, rows: Tensor) -> Tensor:
        """As ``at``: what is in memory stays there."""
        return self.at(resolution, rows)

    def take(self, rows: Tensor) -> PicturePixels:
        """The images of some rows, int64 (m,)."""
        return PicturePixels([self.pictures[row] for row in rows.tolist()], self.reading)


def picture_in_memory(item: Image.Image | NDArray[Any]) -> Picture:
    """The samples of an image or an array (h, w), (h, w, 3) or, of 8 bits, (h, w, 4).

    Raises:
        InputError: it is neither, or of another shape.
    """
    if isinstance(item, Image.Image):
        return picture_of(ImageOps.exif_transpose(item))
    array = np.asarray(item)
    grey = array.ndim == 2
    if array.dtype.kind not in "biuf" or not (
        grey or (array.ndim == 3 and array.shape[2] in (3, 4))
    ):
        raise InputError(
            f"an image is {array.dtype} {array.shape}; expected numbers (height, width), "
            "(height, width, 3) or (height, width, 4)"
        )
    if array.dtype.kind == "b":
        array = array.astype(np.uint8) * 255
    if array.dtype.kind == "f":
        array = array.astype(np.float32)
    if grey or array.shape[2] == 3:
        return Picture(array)
    if array.dtype != np.uint8:
        raise InputError(
            f"an image is {array.dtype} {array.shape}; transparency is read of uint8 alone; give "
            "three channels"
        )
    return Picture(array[..., :3], array[..., 3])
