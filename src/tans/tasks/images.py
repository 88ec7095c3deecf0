"""Image files of any mode and size as one uint8 tensor of squares."""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageCms
from torch import Tensor
from torch.nn import functional

from tans.errors import TaskError

READER = 2
"""Version of how files and arrays become pixels, groups and splits; results made by another are
kept apart."""
UNDECODABLE = frozenset({"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"})
"""Formats that Pillow names but cannot decode by itself (EPS would start Ghostscript)."""
MAX_UNREADABLE = 0.1
"""Fraction of unreadable files above which a dataset is refused."""
ORIENTATION = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns an image of each EXIF orientation upright."""


class ArrayPixels:
    """Images in memory, uint8 (n, 3, h, w), resized when asked for."""

    def __init__(self, images: Tensor) -> None:
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
            raise TaskError(
                f"the images are {images.dtype} {tuple(images.shape)}; expected uint8 "
                "(n, 3, height, width); scale them to 0..255 and repeat a single channel"
            )
        self.images = images
        self._last: tuple[int, Tensor] | None = None

    def at(self, resolution: int) -> Tensor:
        """All images as squares, antialiased, uint8 (n, 3, r, r)."""
        check_resolution(resolution)
        if self.images.shape[2:] == (resolution, resolution):
            return self.images
        if self._last is None or self._last[0] != resolution:
            self._last = resolution, resize(self.images, resolution)
        return self._last[1]

    def take(self, rows: Tensor) -> ArrayPixels:
        """The images of some rows, int64 (m,)."""
        return ArrayPixels(self.images[rows])


class FilePixels:
    """Images in files, decoded when asked for."""

    def __init__(self, paths: Sequence[Path], resolution: int, images: Tensor) -> None:
        self.paths = tuple(paths)
        self._last = resolution, images

    def at(self, resolution: int) -> Tensor:
        """All images as squares, antialiased, uint8 (n, 3, r, r).

        Raises:
            TaskError: a file that could be read earlier no longer can.
        """
        check_resolution(resolution)
        if self._last[0] != resolution:
            images, failures = read_images(self.paths, resolution)
            for index, reason in failures.items():
                raise TaskError(
                    f"{self.paths[index]} could be read earlier and no longer can ({reason}); "
                    "restore it, or make the task again"
                )
            self._last = resolution, images
        return self._last[1]

    def take(self, rows: Tensor) -> FilePixels:
        """The images of some rows, int64 (m,)."""
        resolution, images = self._last
        return FilePixels([self.paths[row] for row in rows.tolist()], resolution, images[rows])


def open_files(paths: Sequence[Path], resolution: int) -> tuple[FilePixels, dict[int, str]]:
    """Decode all files once; the readable ones, and why each of the others is not, by index.

    Raises:
        TaskError: a file is a decompression bomb.
    """
    images, failures = read_images(paths, resolution)
    kept = [index for index in range(len(paths)) if index not in failures]
    return FilePixels([paths[index] for index in kept], resolution, images[kept]), failures


def read_images(paths: Sequence[Path], resolution: int) -> tuple[Tensor, dict[int, str]]:
    """Images of files, uint8 (n, 3, r, r), black where unreadable, and reasons by index.

    Raises:
        TaskError: a file is a decompression bomb.
    """
    check_resolution(resolution)
    images = torch.zeros(len(paths), 3, resolution, resolution, dtype=torch.uint8)

    def read(index: int) -> str | None:
        try:
            pixels = decode(paths[index], resolution)  # (r, r, 3)
        except TaskError:
            raise
        except Exception as error:  # Pillow's decoders raise almost anything on damaged files
            return str(error) or type(error).__name__
        images[index] = torch.from_numpy(pixels).permute(2, 0, 1)
        return None

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            reasons = list(pool.map(read, range(len(paths))))
    return images, {index: why for index, why in enumerate(reasons) if why is not None}


def check_readable(name: str, skipped: Sequence[str], reasons: Sequence[str], total: int) -> None:
    """Refuse a dataset with more unreadable files than an accident explains.

    Raises:
        TaskError: more than ``MAX_UNREADABLE`` of ``total`` are in ``skipped``.
    """
    if len(skipped) <= MAX_UNREADABLE * total:
        return
    listed = "; ".join(f"{k} ({why})" for k, why in list(zip(skipped, reasons, strict=True))[:5])
    raise TaskError(
        f"{len(skipped)} of {total} images of task {name!r} cannot be read: {listed}"
        f"{'; ...' if len(skipped) > 5 else ''}; expected at most {MAX_UNREADABLE:.0%}; "
        "replace or remove these files"
    )


def decode(path: Path, resolution: int) -> np.ndarray:
    """One file as an upright RGB square, uint8 (r, r, 3).

    Raises:
        TaskError: the file is a decompression bomb.
        Exception: the file cannot be decoded.
    """
    if not path.is_file():
        raise OSError("no such file" if not path.exists() else "not a regular file")
    try:
        with Image.open(path, formats=_formats()) as image:
            # Twice the size wanted leaves the antialiasing to the resize below.
            image.draft(None, (2 * resolution, 2 * resolution))
            image.load()
            upright = _turn_upright(image)
        square = (resolution, resolution)
        resized = to_rgb(upright).resize(square, Image.Resampling.BILINEAR, reducing_gap=3.0)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise TaskError(
            f"{path} is refused as a possible decompression bomb: {error}; expected images of at "
            f"most {Image.MAX_IMAGE_PIXELS} pixels; remove the file or store it smaller"
        ) from error
    return np.array(resized)


def to_rgb(image: Image.Image) -> Image.Image:
    """An image of any mode in RGB: transparent parts on white, more than 8 bits scaled to 8."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return Image.fromarray(_to_bytes(image)).convert("RGB")
    if image.mode == "LAB":
        lab, rgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, lab, rgb, outputMode="RGB") or image
    if image.has_transparency_data:
        # RGBa and La, with premultiplied colours, only convert to their own straight form.
        straight = {"RGBa": "RGBA", "La": "LA"}.get(image.mode)
        coloured = (image.convert(straight) if straight else image).convert("RGBA")
        white = Image.new("RGBA", coloured.size, "white")
        return Image.alpha_composite(white, coloured).convert("RGB")
    return image.convert("RGB")


def resize(images: Tensor, resolution: int) -> Tensor:
    """Images uint8 (n, 3, h, w) as squares, antialiased, uint8 (n, 3, r, r)."""
    return functional.interpolate(
        images, size=(resolution, resolution), mode="bilinear", antialias=True
    )


def check_resolution(resolution: int) -> None:
    """Refuse a resolution that no image can have.

    Raises:
        TaskError: it is below 1.
    """
    if resolution < 1:
        raise TaskError(f"resolution is {resolution}; expected at least 1 pixel a side")


@functools.cache
def image_suffixes() -> frozenset[str]:
    """Lower-case suffixes, dot included, of the formats that can be decoded."""
    by_suffix = Image.registered_extensions()
    return frozenset(suffix for suffix, name in by_suffix.items() if name in _formats())


@functools.cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in Image.OPEN if name not in UNDECODABLE)


def _turn_upright(image: Image.Image) -> Image.Image:
    try:
        turn = UPRIGHT.get(image.getexif().get(ORIENTATION, 1))
    except Exception:  # damaged EXIF does not make the picture unreadable
        turn = None
    return image.copy() if turn is None else image.transpose(turn)


def _to_bytes(image: Image.Image) -> np.ndarray:
    """Grey of more than 8 bits, uint8 (h, w).

    16-bit values are scaled by their range. The modes I and F state no range: I is taken for 16
    bits, F for 0..1, or for the next wider usual range where a value lies above.
    """
    grey = np.nan_to_num(np.asarray(image).astype(np.float64))  # (h, w)
    ranges = {"I": (2**16 - 1, 2**31 - 1), "F": (1, 2**8 - 1, 2**16 - 1)}
    tops = ranges.get(image.mode, (2**16 - 1,))
    top = next((top for top in tops if grey.max() <= top), tops[-1])
    clear = image.info.get("transparency")
    if isinstance(clear, int):
        grey[grey == clear] = top
    return (grey.clip(0, top) / top * 255).round().astype(np.uint8)
