"""Decode an image file into the samples it holds, upright, whatever its name says.

Nothing is scaled here: what the samples mean is decided for a whole task (``tans.tasks.reading``).
"""

from __future__ import annotations

import contextlib
import functools
import math
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageFile, UnidentifiedImageError, features

from tans.tasks.content import Readable

with contextlib.suppress(ImportError):  # the extra tans[heif]
    import pillow_heif

    pillow_heif.register_heif_opener()

Samples = NDArray[Any]

DETAIL = 448
"""Pixels of the shorter side that decoding keeps at least, where a picture has them: twice the
largest resolution of a shipped network, which leaves the antialiasing to the resize."""
LONGEST = 2**20
"""Pixels of the longer side, at most: Pillow keeps every line by itself."""
UNDECODABLE = frozenset({"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"})
"""Formats that Pillow names but cannot decode by itself (EPS would start Ghostscript)."""
SIGNED = ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "JPEG2000", "AVIF", "HEIF", "MPO")
"""Formats whose first bytes tell them: files of other names are looked at for these alone."""
RAW = frozenset({".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".raf", ".raw", ".rw2", ".srw"})
"""Suffixes of camera raw files; many of them would open as the small preview they carry."""
HEIF_SUFFIXES = frozenset({".heic", ".heif", ".hif"})
BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
"""What the first bytes of such a file say."""
AVIF_BRANDS = (b"avif", b"avis")
TIFF = (b"II*\0", b"MM\0*")
"""First bytes of such a file; Pillow does not know all kinds, such as floats of 64 bits."""

DAMAGED, MISSING, EMPTY = "damaged", "missing", "empty"
FORBIDDEN = "without the right to read it"
TOO_LARGE = "too large"
NO_HEIF = "HEIC, which needs: pip install 'tans[heif]'"
NO_AVIF = "AVIF, which needs: pip install --upgrade pillow"
CAMERA_RAW = "camera raw"
NO_IMAGE = "not an image"
FAILED = frozenset({DAMAGED, MISSING, EMPTY, FORBIDDEN, TOO_LARGE, NO_HEIF, NO_AVIF})
"""Why a file that should be an image is left out; what is no image at all is not among them."""

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


class UnreadableError(Exception):
    """A file that gives no picture.

    Args:
        kind: one of the reasons above; files are counted by it.
        detail: what is wrong with this file in particular.
    """

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(f"{kind} ({detail})" if detail else kind)
        self.kind, self.detail = kind, detail


@dataclass(frozen=True, eq=False)
class Picture:
    """What one file holds, upright and in its own sample type."""

    source: Image.Image | Samples
    """Grey (h, w) or RGB (h, w, 3); of 8 bits without transparency an image in L or RGB, which
    need not be copied to be resized."""
    alpha: NDArray[np.uint8] | None = None
    """(h, w), 255 where opaque; None where everything is."""
    pages: bool = False
    """Whether the file holds further pictures, such as frames, after this one."""

    @property
    def colours(self) -> Samples:
        """Grey (h, w) or RGB (h, w, 3)."""
        return np.asarray(self.source)

    @property
    def sample(self) -> str:
        """Type of a sample, such as ``uint8`` or ``float32``."""
        return "uint8" if isinstance(self.source, Image.Image) else self.source.dtype.name

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        if isinstance(self.source, Image.Image):  # Pillow keeps four for a colour
            return self.source.width * self.source.height * (1 if self.source.mode == "L" else 4)
        return self.source.nbytes + (0 if self.alpha is None else self.alpha.nbytes)


def is_picture(path: Readable) -> bool:
    """Whether a file's name or first bytes tell of an image; it may still be damaged."""
    suffix = path.suffix.lower()
    if suffix in RAW or not _is_file(path):
        return False
    return suffix in image_suffixes() or suffix in HEIF_SUFFIXES or _is_signed(path)


def decode(path: Readable, detail: int = DETAIL) -> Picture:
    """Decode one file; ``allowing`` says how many pixels it may have.

    Args:
        detail: pixels of the shorter side that must be left; larger pictures are reduced by a
            whole factor.

    Raises:
        UnreadableError: the file gives no picture.
    """
    if not _is_file(path):
        raise UnreadableError(MISSING, "no such file, or a folder")
    if path.suffix.lower() in RAW:
        raise UnreadableError(CAMERA_RAW, "store it as TIFF or JPEG")
    try:
        with _opened(path, _formats(path)) as image:
            _check_size(image)
            return _read(path, image, detail)
    except UnreadableError:
        raise
    except UnidentifiedImageError as error:
        raise _unidentified(path) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        limit = f"{(Image.MAX_IMAGE_PIXELS or 0) / 1e6:.0f} million pixels"
        raise UnreadableError(
            TOO_LARGE, f"more than {limit}; allow it with --max-pixels, or store it smaller"
        ) from error
    except PermissionError as error:
        raise UnreadableError(FORBIDDEN, "make it readable") from error
    except Exception as error:  # Pillow's decoders raise almost anything on damaged files
        raise UnreadableError(DAMAGED, str(error) or type(error).__name__) from error


def _check_size(image: Image.Image) -> None:
    """Refuse what would take more memory than it is worth.

    Raises:
        DecompressionBombError: it has more pixels than are allowed.
        UnreadableError: a side of it is too long.
    """
    if image.width * image.height > (Image.MAX_IMAGE_PIXELS or math.inf):
        # Pillow itself only warns below twice the limit
        raise Image.DecompressionBombError(f"{image.width} x {image.height} pixels")
    if max(image.size) > LONGEST:
        shape = f"{image.width} x {image.height} pixels"
        raise UnreadableError(TOO_LARGE, f"{shape}, and at most {LONGEST:,} a side; cut it")


@contextlib.contextmanager
def allowing(max_pixels: int | None) -> Iterator[None]:
    """Let pictures of so many pixels be decoded, in all threads; None keeps Pillow's limit.

    The limit is a global of Pillow, and guards against files that unpack to more than memory.
    """
    before = Image.MAX_IMAGE_PIXELS
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if max_pixels is not None:
                Image.MAX_IMAGE_PIXELS = max_pixels
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def picture_of(image: Image.Image) -> Picture:
    """The samples of an image in memory, as they are."""
    if _is_deep(image):
        return _grey(np.array(image), image.info.get("transparency"))
    return _coloured(_plain(image))


@functools.cache
def image_suffixes() -> frozenset[str]:
    """Lower-case suffixes, dot included, of the formats that can be decoded."""
    by_suffix = Image.registered_extensions()
    return frozenset(suffix for suffix, name in by_suffix.items() if name in _decodable())


def decoders() -> str:
    """Tells what decodes here from what decodes elsewhere, or later."""
    return f"Pillow {PIL.__version__}: {', '.join(sorted(_decodable()))}"


@functools.cache
def _decodable() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in Image.OPEN if name not in UNDECODABLE)


@functools.cache
def _signed() -> tuple[str, ...]:
    return tuple(name for name in SIGNED if name in _decodable())


def _formats(path: Readable) -> tuple[str, ...]:
    """What a file may be: formats without a signature only where the name says so."""
    return _decodable() if path.suffix.lower() in image_suffixes() else _signed()


@contextlib.contextmanager
def _opened(
    path: Readable, formats: tuple[str, ...] | None = None
) -> Iterator[ImageFile.ImageFile]:
    """An image file, not yet decoded.

    Pillow is given no name: it would map the samples of an uncompressed TIFF into memory, and then
    takes height for width where the picture is to be turned by a quarter.
    """
    with path.open("rb") as file, Image.open(file, formats=formats) as image:
        yield image


def _is_file(path: Readable) -> bool:
    try:
        return path.is_file()
    except OSError:  # the name is too long
        return False


def _is_signed(path: Readable) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with _opened(path, _signed()):
                return True
    except Image.DecompressionBombError:
        return True
    except Exception:  # whatever it is, Pillow does not take it for an image
        return _brand(path) in BRANDS + AVIF_BRANDS


def _head(path: Readable) -> bytes:
    """The first bytes of a file; none where it cannot be opened."""
    try:
        with path.open("rb") as file:
            return file.read(12)
    except OSError:
        return b""


def _brand(path: Readable) -> bytes:
    """The four letters that tell what a file of the family of MPEG-4 holds; empty for others."""
    head = _head(path)
    return head[8:12] if head[4:8] == b"ftyp" else b""


def _unidentified(path: Readable) -> UnreadableError:
    if not _head(path):
        return UnreadableError(EMPTY)
    if _brand(path) in BRANDS and "HEIF" not in Image.OPEN:
        return UnreadableError(NO_HEIF)
    if _brand(path) in AVIF_BRANDS and not features.check("avif"):
        return UnreadableError(NO_AVIF)
    if _head(path)[:4] in TIFF:
        return UnreadableError(DAMAGED, "or a TIFF of a rare kind; store 8 or 16 bits, or float32")
    named = path.suffix.lower() in image_suffixes() | HEIF_SUFFIXES
    return UnreadableError(DAMAGED, "no image format") if named else UnreadableError(NO_IMAGE)


def _read(path: Readable, image: ImageFile.ImageFile, detail: int) -> Picture:
    """An open file, reduced to about ``detail`` and turned upright."""
    # a second look of some cameras' pictures is a preview, and no page
    pages = image.format != "MPO" and bool(getattr(image, "is_animated", False))
    deep = _deep_colours(path, image)
    sample, swapped = _grey_sample(image), _is_swapped(image)  # before loading, which forgets it
    if deep is None:
        image.draft(None, (detail, detail))
        image.load()
        if sample is not None:
            samples = np.array(image).astype(sample)  # (h, w)
            deep = _grey(samples.byteswap() if swapped else samples, image.info.get("transparency"))
    turn = _turn(image)
    if deep is None:
        plain = _plain(image)
        factor = min(plain.size) // detail
        reduced = plain.reduce(factor) if factor > 1 else plain
        upright = _coloured(reduced if turn is None else reduced.transpose(turn))
        return Picture(upright.source, upright.alpha, pages)
    factor = min(deep.colours.shape[:2]) // detail
    colours = _turned(_reduced(deep.colours, factor), turn)
    alpha = None if deep.alpha is None else _turned(_reduced(deep.alpha, factor), turn)
    return Picture(colours, alpha, pages)


def _is_deep(image: Image.Image) -> bool:
    return image.mode in ("I", "F") or image.mode.startswith("I;16")


def _plain(image: Image.Image) -> Image.Image:
    """An image of 8 bits in L, RGB or RGBA."""
    if image.mode == "LAB":
        lab, rgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, lab, rgb, outputMode="RGB") or image
    if image.has_transparency_data:
        # RGBa and La, with premultiplied colours, only convert to their own straight form.
        straight = {"RGBa": "RGBA", "La": "LA"}.get(image.mode)
        return (image.convert(straight) if straight else image).convert("RGBA")
    # copied even where it is the same, as a file that is closed may take its picture along
    return image.convert(image.mode if image.mode in ("L", "RGB") else "RGB")


def _coloured(plain: Image.Image) -> Picture:
    if plain.mode != "RGBA" or plain.getchannel("A").getextrema() == (255, 255):
        return Picture(plain if plain.mode == "L" else plain.convert("RGB"))
    samples = np.array(plain)  # (h, w, 4)
    return Picture(samples[..., :3], samples[..., 3])


def _grey(samples: Samples, clear: object) -> Picture:
    """Grey of more than 8 bits (h, w), with the value that stands for transparent, if any."""
    alpha = np.where(samples == clear, 0, 255).astype(np.uint8) if isinstance(clear, int) else None
    return Picture(samples, alpha)


def _rawmode(image: ImageFile.ImageFile) -> str:
    """How the samples lie in the file, such as ``RGB;16B``."""
    arguments = image.tile[0].args if image.tile else None
    raw = arguments if isinstance(arguments, str) else (arguments or ("",))[0]
    return raw if isinstance(raw, str) else ""


def _grey_sample(image: ImageFile.ImageFile) -> str | None:
    """Sample type of grey that has more than 8 bits; Pillow widens what has 16 and a sign."""
    if not _is_deep(image):
        return None
    if image.mode == "F":
        return "float32"
    raw = _rawmode(image)
    if image.mode == "I" and "16" not in raw:
        return "int32"
    return "int16" if "S" in raw else "uint16"


def _is_swapped(image: ImageFile.ImageFile) -> bool:
    """Whether Pillow swaps bytes that libtiff has swapped, as it does for samples with a sign."""
    compressed = bool(image.tile) and image.tile[0].codec_name == "libtiff"
    return compressed and sys.byteorder == "little" and _rawmode(image).endswith("BS")


def _deep_colours(path: Readable, image: ImageFile.ImageFile) -> Picture | None:
    """Colours of 16 bits, of which Pillow keeps 8; None for other pictures.

    It is asked twice: for the upper byte of each sample, and, as if the order of the bytes in the
    file were the other one, for the lower.
    """
    mode, _, order = _rawmode(image).partition(";")
    if mode not in ("RGB", "RGBA", "RGBX", "LA") or order not in ("16B", "16L", "16N"):
        return None
    if order == "16N":
        order = "16L" if sys.byteorder == "little" else "16B"
    if mode == "LA":  # for this there is one order only; its four bytes are taken as they are
        high_low = _as_raw(path, "RGBA").astype(np.uint16)  # (h, w, 4)
        first, second = (0, 1) if order == "16B" else (1, 0)
        grey = high_low[..., first] << 8 | high_low[..., second]
        return Picture(grey, high_low[..., 2 + first].astype(np.uint8))
    high = _as_raw(path, f"{mode};{order}")
    low = _as_raw(path, f"{mode};{'16L' if order == '16B' else '16B'}")
    samples = high.astype(np.uint16) << 8 | low  # (h, w, 3 or 4)
    if mode == "RGBA":
        return Picture(samples[..., :3], high[..., 3])
    clear = image.info.get("transparency")
    if isinstance(clear, tuple):
        shown = (samples[..., :3] != clear).any(2)  # (h, w)
        return Picture(samples[..., :3], np.where(shown, 255, 0).astype(np.uint8))
    return Picture(samples[..., :3])


def _as_raw(path: Readable, rawmode: str) -> NDArray[np.uint8]:
    """The samples of a file, unpacked as another raw mode of the same size says."""
    with _opened(path) as image:
        image.tile = [
            tile._replace(
                args=rawmode if isinstance(tile.args, str) else (rawmode, *(tile.args or ())[1:])
            )
            for tile in image.tile
        ]
        image.load()
        return np.array(image)


def _reduced(samples: Samples, factor: int) -> Samples:
    """Means of squares of samples (h, w, ...); what is left over at the edges is cut off."""
    if factor < 2:
        return samples
    height, width = (side // factor for side in samples.shape[:2])
    cut = samples[: height * factor, : width * factor]
    squares = cut.reshape(height, factor, width, factor, *samples.shape[2:])
    means = squares.mean((1, 3), dtype=np.float64)
    return (means if samples.dtype.kind == "f" else means.round()).astype(samples.dtype)


def _turn(image: Image.Image) -> Image.Transpose | None:
    if image.format == "TIFF":  # Pillow has turned it
        return None
    try:
        return UPRIGHT.get(image.getexif().get(ORIENTATION, 1))
    except Exception:  # damaged EXIF does not make the picture unreadable
        return None


def _turned(samples: Samples, turn: Image.Transpose | None) -> Samples:
    """Samples (h, w, ...) after a turn."""
    if turn is None:
        return samples
    flipped = {
        Image.Transpose.FLIP_LEFT_RIGHT: lambda a: a[:, ::-1],
        Image.Transpose.FLIP_TOP_BOTTOM: lambda a: a[::-1],
        Image.Transpose.ROTATE_90: lambda a: np.rot90(a),
        Image.Transpose.ROTATE_180: lambda a: np.rot90(a, 2),
        Image.Transpose.ROTATE_270: lambda a: np.rot90(a, 3),
        Image.Transpose.TRANSPOSE: lambda a: np.swapaxes(a, 0, 1),
        Image.Transpose.TRANSVERSE: lambda a: np.swapaxes(np.rot90(a, 2), 0, 1),
    }
    return np.ascontiguousarray(flipped[turn](samples))
