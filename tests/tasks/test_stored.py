"""Tasks larger than memory: their decoded images lie on the disk, and all else is as before."""

from __future__ import annotations

import errno
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tans.errors import TaskError
from tans.files import is_unfinished
from tans.tasks import copies
from tans.tasks import images as reading_images
from tans.tasks import stored as module
from tans.tasks.content import Content
from tans.tasks.copies import find_copies
from tans.tasks.decoding import decode
from tans.tasks.images import THUMBNAIL, open_files
from tans.tasks.stored import IMAGES, Store, StoredImages
from tans.tasks.task import Task
from tests.tasks.drawing import grey, png16, scene, store

EACH = 3 * THUMBNAIL**2


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    """Of this test alone; everything is stored, in blocks of four thumbnails."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("TANS_CACHE", str(folder))
    monkeypatch.setattr(module, "IN_MEMORY", 0)
    monkeypatch.setattr(module, "BLOCK_BYTES", 4 * EACH)
    return folder / "pixels"


@pytest.fixture
def paths(tmp_path):
    return [store(tmp_path / f"{index:02}.png", scene(index)) for index in range(10)]


def write_image(path, seed, kind):
    """A picture of 8 bits, of 16, partly transparent, or a damaged one."""
    if kind == "deep":
        png16(path, (grey(seed) * 4000).astype(np.uint16))
    elif kind == "clear":
        store(path, np.dstack([scene(seed), scene(seed)[..., :1]]))
    elif kind == "damaged":
        path.write_text("no image")
    else:
        store(path, scene(seed))


def parts(task):
    """All that a task holds, to be compared."""
    return (
        *(task.classes, task.keys, task.groups, task.labels.tolist(), task.splits.tolist()),
        *(task.found.words(), task.found.copies, task.found.left_out, task.found.reading),
    )


PICTURES = st.lists(
    st.tuples(st.integers(0, 9), st.sampled_from(["plain"] * 6 + ["deep", "clear"])),
    min_size=14,
    max_size=30,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pictures=PICTURES, damaged=st.booleans(), size=st.integers(1, 9), seed=st.integers(0, 3))
@pytest.mark.long
def test_a_stored_task_is_the_one_in_memory(pictures, damaged, size, seed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("task")
    for index, (drawn, kind) in enumerate(pictures):
        path = folder / "ab"[index % 2] / f"{index}.png"
        path.parent.mkdir(exist_ok=True)
        write_image(path, drawn, "damaged" if damaged and index == 5 else kind)
    tasks = []
    for most in (2**40, 0, 0):  # in memory, stored, and found stored
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "IN_MEMORY", most)
            patch.setattr(module, "BLOCK_BYTES", size * EACH)
            try:
                task = Task.from_folder(folder, name="task", seed=seed)
            except TaskError as error:
                tasks.append(str(error))
                continue
            shown = [task.stored(split, side) for split in ("train", "val") for side in (64, 40)]
            pixels = [images[torch.arange(len(images))].tolist() for images, _ in shown]
            kinds = {type(images) for images, _ in shown if len(images)}
            assert kinds == {StoredImages if most == 0 else torch.Tensor}
            tasks.append((parts(task), pixels, [labels.tolist() for _, labels in shown]))
    assert tasks[0] == tasks[1] == tasks[2]


def test_stored_images_are_indexed_and_split_as_tensors_are(paths):
    images = open_files(paths).pixels.thumbnails
    whole = images[:]
    assert isinstance(images, StoredImages)
    assert whole.shape == (len(images), 3, THUMBNAIL, THUMBNAIL)
    assert whole.dtype == torch.uint8
    assert images.nbytes == whole.nbytes
    for rows in ([], [3], [9, 0, 4, 4, 5, 6, 1], list(range(10))):
        chosen = torch.tensor(rows, dtype=torch.int64)
        assert torch.equal(images[chosen], whole[chosen])
        assert torch.equal(images.take(chosen)[:], whole[chosen])
    assert torch.equal(images[7], whole[7])
    assert torch.equal(images[2:9], whole[2:9])
    assert torch.equal(images[whole[:, 0, 0, 0] > 99], whole[whole[:, 0, 0, 0] > 99])
    for size in (1, 3, 10, 11):
        assert all(map(torch.equal, images.split(size), whole.split(size)))
    assert list(images.take(torch.tensor([], dtype=torch.int64)).split(3)) == []
    assert torch.equal(pickle.loads(pickle.dumps(images))[:], whole)


def test_the_next_run_decodes_nothing(paths, decoded):
    first = open_files(paths).pixels
    rows = torch.tensor([8, 1, 2])
    fine = first.stored(96, rows)[:]
    assert set(decoded.values()) == {1, 2}
    decoded.clear()
    again = open_files(paths).pixels
    assert torch.equal(again.thumbnails[:], first.thumbnails[:])
    assert torch.equal(again.stored(96, rows)[:], fine)
    assert not decoded


def test_a_file_that_changed_is_decoded_again_with_its_block_alone(paths, decoded):
    open_files(paths)
    decoded.clear()
    store(paths[5], scene(77, 50, 60))
    changed = open_files(paths).pixels
    assert set(decoded) == {path.name for path in paths[4:8]}
    whole = open_files([paths[5]]).pixels.thumbnails[0]
    assert torch.equal(changed.thumbnails[5], whole)


def test_a_run_that_was_stopped_goes_on_where_it_was(paths, decoded, cache, monkeypatch):
    def dies(path, *arguments):
        if path.name == "06.png":
            raise KeyboardInterrupt
        return decode(path, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(reading_images, "decode", dies)
        with pytest.raises(KeyboardInterrupt):
            open_files(paths)
    assert len(list(cache.glob("*.safetensors"))) == 1
    assert not any(map(is_unfinished, cache.iterdir()))
    opened = open_files(paths)
    assert set(decoded) == {path.name for path in paths[4:]}
    assert len(opened.pixels.thumbnails) == 10


KILLED = """
import os, signal, sys
from pathlib import Path
from tans import files
from tans.tasks import stored
from tans.tasks.images import open_files
stored.IN_MEMORY, stored.BLOCK_BYTES = 0, 4 * 3 * 64 * 64
sync, written = files._sync, []
def dies(path):
    written.append(path)
    if len(written) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    sync(path)
open_files([Path(sys.argv[1])])
files._sync = dies
open_files([Path(path) for path in sys.argv[1:]])
"""


@pytest.mark.long
def test_what_a_killed_run_left_unfinished_is_not_used(paths, decoded, cache):
    killed = subprocess.run([sys.executable, "-c", KILLED, *map(str, paths)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert any(map(is_unfinished, cache.iterdir()))
    opened = open_files(paths)
    assert set(decoded) == {path.name for path in paths[4:]}
    assert not any(map(is_unfinished, cache.iterdir()))
    whole = torch.stack([open_files([path]).pixels.thumbnails[0] for path in paths])
    assert torch.equal(opened.pixels.thumbnails[:], whole)


@pytest.mark.parametrize("damage", [b"", b"x", "cut", "extras"])
def test_a_block_that_is_damaged_is_made_again(paths, cache, damage):
    whole = open_files(paths).pixels.thumbnails[:]
    for block in cache.glob("*.safetensors"):
        data = block.read_bytes()
        if damage == "extras":
            block.write_bytes(data.replace(b'"plain"', b'"plane"'))
        else:
            block.write_bytes(data[:-100] if damage == "cut" else damage)
    assert torch.equal(open_files(paths).pixels.thumbnails[:], whole)


def test_what_could_not_be_read_is_tried_again(paths):
    data = paths[2].read_bytes()
    status = paths[2].stat()
    paths[2].write_bytes(bytes(len(data)))
    os.utime(paths[2], ns=(status.st_atime_ns, status.st_mtime_ns))
    assert set(open_files(paths).failures) == {2}
    assert set(open_files(paths).failures) == {2}
    paths[2].write_bytes(data)
    os.utime(paths[2], ns=(status.st_atime_ns, status.st_mtime_ns))
    opened = open_files(paths)
    assert opened.failures == {}
    assert len(opened.pixels.thumbnails) == 10


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES])
def test_a_disk_that_cannot_be_written_gives_one_error_and_leaves_nothing(
    paths, cache, code, monkeypatch
):
    def fails(path, _):
        raise OSError(code, os.strerror(code), str(path))

    monkeypatch.setattr(module, "write_file", fails)
    with pytest.raises(TaskError, match=rf"10 decoded .*{os.strerror(code)}.*TANS_CACHE"):
        open_files(paths)
    assert list(cache.iterdir()) == []


def test_too_little_room_is_told_before_anything_is_decoded(paths, decoded, monkeypatch):
    usage = shutil.disk_usage(".")._replace(free=10 * EACH - 1)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(TaskError, match=r"0\.00 GB free, and 0\.00 are needed; let TANS_CACHE"):
        open_files(paths)
    assert not decoded


def test_blocks_not_used_for_longest_are_deleted_and_those_in_use_are_not(
    paths, cache, monkeypatch
):
    monkeypatch.setattr(module, "MOST_KEPT", 11 * EACH)
    first = open_files(paths[:4]).pixels
    (old,) = cache.iterdir()
    second = open_files(paths[4:8]).pixels
    open_files(paths[8:])
    assert len(list(cache.iterdir())) == 3  # all are in use
    hours_ago = time.time() - 7 * 3600
    os.utime(old, (hours_ago, hours_ago))
    open_files(paths[1:3])
    assert old not in cache.iterdir()
    assert len(second.thumbnails[:]) == 4
    with pytest.raises(TaskError, match="can no longer be read"):
        first.thumbnails[:]
    one = torch.tensor([2])
    assert torch.equal(first.at(THUMBNAIL, one), open_files([paths[2]]).pixels.thumbnails[:])


def test_blocks_stay_in_use_as_long_as_their_process_reads_any(paths, cache, monkeypatch):
    one, other = open_files(paths[:4]).pixels, open_files(paths[4:8]).pixels
    hours_ago = time.time() - 7 * 3600
    for file in cache.iterdir():
        os.utime(file, (hours_ago, hours_ago))
    one.thumbnails[:]
    assert all(file.stat().st_mtime < hours_ago + 1 for file in cache.iterdir())
    monkeypatch.setattr(module, "_touched", time.monotonic() - 2 * 3600)
    one.thumbnails[:]
    assert all(file.stat().st_mtime > hours_ago + 1 for file in other.thumbnails.files)


def test_what_only_this_process_can_tell_is_found_by_no_other(monkeypatch):
    data = np.zeros((1, 3, 8, 8), np.uint8)
    filled = []
    one = Content("a.png", (1, 2), lambda: b"", lasting=False)
    images = Store(8, "", lambda part: filled.append(part) or {IMAGES: data})
    images.images([one])
    images.images([one])
    assert len(filled) == 1
    monkeypatch.setattr(module, "_PROCESS", "another")
    images.images([one])
    assert len(filled) == 2


def test_copies_are_looked_for_once(paths, monkeypatch):
    images = open_files([*paths, paths[3]]).pixels.thumbnails
    first = find_copies(images)
    assert first[3] == first[10]
    assert len(set(first)) == 10
    with monkeypatch.context() as patch:
        patch.setattr(copies, "_sets", None)
        assert np.array_equal(find_copies(images), first)
    rows = torch.tensor([3, 4, 5, 10])
    assert len(set(find_copies(images.take(rows)))) == 3
    assert np.array_equal(find_copies(images[:]), first)


def test_no_images_are_stored_as_none():
    images, files = Store(8, "", lambda _: {}).images([])
    assert (len(images), files) == (0, [])
    assert images[:].shape == (0, 3, 8, 8)


def test_shards_are_stored_too(paths, tmp_path, decoded):
    webdataset = pytest.importorskip("webdataset")
    with webdataset.TarWriter(str(tmp_path / "a.tar")) as shard:
        for index, path in enumerate(paths):
            sample = {"__key__": path.stem, "png": path.read_bytes(), "cls": "ab"[index % 2]}
            shard.write({**sample, "cls": sample["cls"].encode()})
    first = Task.from_shards(str(tmp_path / "a.tar"))
    assert isinstance(first.pixels.thumbnails, StoredImages)
    decoded.clear()
    again = Task.from_shards(str(tmp_path / "a.tar"))
    assert not decoded
    assert torch.equal(again.pixels.thumbnails[:], first.pixels.thumbnails[:])
    whole = torch.stack([open_files([path]).pixels.thumbnails[0] for path in paths])
    assert torch.equal(again.pixels.thumbnails[:], whole)


def test_a_blocks_name_depends_on_how_its_files_are_read(paths, cache):
    open_files(paths)
    count = len(list(cache.iterdir()))
    open_files(paths, max_pixels=10**6)
    assert len(list(cache.iterdir())) == 2 * count
    assert all(isinstance(each, Path) for each in cache.iterdir())
