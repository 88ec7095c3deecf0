"""Folders of class folders in other stores, such as ``s3://bucket/photos``, through fsspec.

Names are listed once, and an image is fetched when it is decoded. Only names tell what is an image.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from tans.errors import TaskError
from tans.plugins import filesystem
from tans.tasks.content import Content
from tans.tasks.decoding import CAMERA_RAW, HEIF_SUFFIXES, NO_IMAGE, RAW, image_suffixes
from tans.tasks.findings import Overrides
from tans.tasks.folder import DEEPEST, LEFTOVER, Found, found_in, is_leftover
from tans.tasks.layout import Folder

Status = Mapping[str, Any]


def find_distant(address: str, overrides: Overrides | None = None) -> Found:
    """The images of a folder of class folders in another store.

    Raises:
        TaskError: it cannot be reached, or as ``tans.tasks.folder.find_images``.
        MissingExtraError: an extra of tans brings what reaches such a store.
    """
    try:
        files, top = filesystem(address)
        listed: dict[str, Status] = files.find(top, detail=True)
    except (ImportError, OSError, ValueError) as error:
        raise TaskError(f"{address} cannot be reached: {error}; correct the address") from error
    root = Path(top)
    paths = {Path(name): status for name, status in listed.items()}
    if not paths:
        raise TaskError(
            f"there is nothing at {address}; expected a folder with one folder of images for each "
            "class; correct the address"
        )
    if deep := [path for path in paths if len(path.relative_to(root).parts) > DEEPEST]:
        raise TaskError(f"{deep[0]} lies more than {DEEPEST} folders deep; leave it out")
    left_out: dict[str, list[Path]] = {}
    pictures = [path for path in sorted(paths) if _takes(path.relative_to(root), path, left_out)]

    def read(path: Path) -> Content:
        name, status = str(path), paths[path]
        changed = status.get("mtime", status.get("LastModified"))
        identity, inside = (address, name, repr(changed)), path.relative_to(root).as_posix()
        return Content(inside, identity, partial(files.cat_file, name), changed is not None)

    return found_in(_tree(root, pictures), left_out, overrides or Overrides(), read)


def _takes(inside: Path, path: Path, left_out: dict[str, list[Path]]) -> bool:
    """Whether a file seems to be an image; else it is noted why not."""
    suffix = path.suffix.lower()
    why = None
    if any(map(is_leftover, inside.parts)):
        why = LEFTOVER
    elif suffix in RAW:
        why = CAMERA_RAW
    elif suffix not in image_suffixes() | HEIF_SUFFIXES:
        why = NO_IMAGE
    if why is not None:
        left_out.setdefault(why, []).append(path)
    return why is None


def _tree(folder: Path, pictures: list[Path]) -> Folder:
    """Folders of images, from their paths, which are sorted."""
    own = tuple(path for path in pictures if path.parent == folder)
    inner: dict[str, list[Path]] = {}
    for path in pictures:
        if path.parent != folder:
            inner.setdefault(path.relative_to(folder).parts[0], []).append(path)
    return Folder(folder, own, tuple(_tree(folder / name, inner[name]) for name in sorted(inner)))
