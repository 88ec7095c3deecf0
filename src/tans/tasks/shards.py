"""Images in shards of tar, as WebDataset writes them: read in place, one by one.

Files of a shard whose names agree up to the first dot of the last part are one sample: an image and
what is said of it, a class in ``.cls`` or ``.json``, or the folder that it lies in. Shards may lie
on this machine or wherever fsspec reaches.
"""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import PurePosixPath
from typing import Any

import fsspec

from tans.errors import TaskError
from tans.tasks.content import Content
from tans.tasks.decoding import HEIF_SUFFIXES, NO_IMAGE, image_suffixes
from tans.tasks.findings import counted
from tans.tasks.folder import Found, Record, is_leftover, legible
from tans.tasks.layout import as_splits
from tans.tasks.listing import COLUMNS

SUFFIX = ".tar"
RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
"""Numbers of shards, as in ``train-{000..009}.tar``."""
CLASS, FIELDS = "cls", "json"
"""Endings of what is said of an image."""
CHANGED = {"mtime", "LastModified", "ETag"}
"""What stores say of a file from which it can be seen that it changed."""
Said = dict[str, bytes]


def is_shards(place: str) -> bool:
    """Whether a place names shards."""
    return place.endswith(SUFFIX)


def read_shards(place: str, classes: Sequence[str] = ()) -> Found:
    """The images of shards, which are listed now and read when asked for.

    The word that a shard's name begins with tells its split, where all shards have one.

    Args:
        place: of one shard, or of several with ``*`` or ``{000..009}``; a path, or an address that
            fsspec reaches.
        classes: names that numbers of classes stand for.

    Raises:
        TaskError: there is no shard, one is damaged, or an image has no class.
    """
    shards = _shards(place)
    begins = {shard: re.split(r"[^a-z]", PurePosixPath(shard).name.lower())[0] for shard in shards}
    splits = as_splits(set(begins.values()))
    known = splits if set(begins.values()) <= splits.keys() else {}
    records: list[Record] = []
    left_out: list[str] = []
    for shard in shards:
        split = known.get(begins[shard])
        for key, image, said in _samples(shard, left_out):
            records.append(Record(key, image, _label(key, said, classes), split))
    if not records:
        raise TaskError(f"{place} holds no image; expected samples as WebDataset writes them")
    words = f"{counted(len(records), 'image')} in {counted(len(shards), 'shard')}"
    return Found(tuple(records), words, {NO_IMAGE: tuple(left_out)} if left_out else {})


def _shards(place: str) -> list[str]:
    """Addresses of all shards that a place names, in order."""
    first = RANGE.search(place)
    if first:
        low, high = first.groups()
        numbers = [str(number).zfill(len(low)) for number in range(int(low), int(high) + 1)]
        named = [place[: first.start()] + number + place[first.end() :] for number in numbers]
        return [shard for each in named for shard in _shards(each)]
    try:
        files, _, paths = fsspec.get_fs_token_paths(place)
        found = [files.unstrip_protocol(path) for path in sorted(paths) if files.isfile(path)]
    except (ImportError, OSError, ValueError) as error:
        raise TaskError(f"{place} cannot be reached: {error}; correct the address") from error
    if not found:
        raise TaskError(f"there is no shard at {place}; expected tar files; correct the path")
    return found


def _samples(shard: str, left_out: list[str]) -> Iterator[tuple[str, Content, Said]]:
    """Each sample's key, its image, and what else is said, by ending."""
    name = PurePosixPath(shard).name
    samples: dict[str, dict[str, Content]] = {}
    try:
        files, path = fsspec.core.url_to_fs(shard)
        version, lasts = files.ukey(path), bool(CHANGED & files.info(path).keys())
        with files.open(path, "rb") as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
            for member in tar:
                inside = PurePosixPath(member.name)
                if not member.isfile() or any(map(is_leftover, inside.parts)):
                    continue
                stem, _, ending = inside.name.partition(".")
                place = member.offset_data, member.size
                read = partial(_part, files, path, *place)
                content = Content(f"{name}/{member.name}", (shard, version, *place), read, lasts)
                key = str(inside.with_name(stem))
                samples.setdefault(key, {})[ending.lower()] = content
                tar.members = []  # type: ignore[attr-defined]  # it holds all, a kilobyte each
    except (OSError, tarfile.TarError, EOFError) as error:
        raise TaskError(
            f"the shard {shard} cannot be read: {error}; expected a tar file, not compressed"
        ) from error
    for key, parts in samples.items():
        images = [ending for ending in parts if _is_image(ending)]
        if not images:
            left_out.append(f"{name}/{key}")
            continue
        said = {e: parts[e].read() for e in (CLASS, FIELDS) if e in parts}
        yield f"{name}/{legible(key)}", parts[images[0]], said


def _part(files: Any, path: str, start: int, size: int) -> bytes:
    """The bytes of a file in a shard."""
    return files.cat_file(path, start=start, end=start + size) if size else b""


def _is_image(ending: str) -> bool:
    return f".{ending.rpartition('.')[2]}" in image_suffixes() | HEIF_SUFFIXES


def _label(key: str, said: Said, classes: Sequence[str]) -> str:
    """The class of a sample.

    Raises:
        TaskError: nothing tells it.
    """
    found = _told(key, said)
    if found is None:
        raise TaskError(
            f"{key} has no class; expected {CLASS}, a label in {FIELDS}, or a folder in the shard"
        )
    if classes and found.isdecimal():
        if int(found) >= len(classes):
            raise TaskError(
                f"{key} is of class {found}, and {len(classes)} names are given; expected one for "
                "each class"
            )
        return classes[int(found)]
    return legible(found)


def _told(key: str, said: Said) -> str | None:
    if CLASS in said:
        return said[CLASS].decode("utf-8", "replace").strip() or None
    if FIELDS in said and (label := _field(key, said[FIELDS])) is not None:
        return label
    folder = PurePosixPath(key).parts[1:-1]
    return folder[-1] if folder else None


def _field(key: str, content: bytes) -> str | None:
    try:
        fields = json.loads(content)
    except ValueError as error:
        raise TaskError(f"{key}.{FIELDS} is damaged: {error}; correct or remove it") from error
    if not isinstance(fields, Mapping):
        return None
    values = (fields.get(name) for name in COLUMNS["label"])
    return next((str(v) for v in values if isinstance(v, str | int) and str(v).strip()), None)
