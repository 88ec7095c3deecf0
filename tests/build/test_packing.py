"""Images of tasks on their way to workers."""

from __future__ import annotations

import pytest
import torch

from tans.build.packing import pack, unpack
from tans.build.supernets import Lesson
from tans.errors import ZooError
from tans.tasks.task import Task
from tans.zoo.building import worked_on
from tans.zoo.shared import TRAFFIC, Store
from tans.zoo.stored import StoreBlobs, build_key
from tests.small_zoo import SMALL
from tests.zoo.conftest import stores  # noqa: F401 - a fixture
from tests.zoo.stores import keys, write

ADDRESS = "memory://zoos/mine"
pytestmark = pytest.mark.usefixtures("stores")


def test_tensors_come_back_and_are_sent_once() -> None:
    blobs = StoreBlobs(Store.at(ADDRESS))
    sent = {"images": torch.arange(24, dtype=torch.uint8).view(2, 3, 2, 2), "labels": torch.ones(2)}
    key = pack(blobs, sent)
    before = TRAFFIC.writes
    assert pack(blobs, sent) == key
    assert TRAFFIC.writes == before
    assert keys(ADDRESS) == [key]
    back = unpack(blobs, key)
    assert {name: tensor.tolist() for name, tensor in back.items()} == {
        name: tensor.tolist() for name, tensor in sent.items()
    }


def test_what_is_damaged_or_missing_is_told() -> None:
    blobs = StoreBlobs(Store.at(ADDRESS))
    key = pack(blobs, {"labels": torch.ones(2)})
    write(f"{ADDRESS}/{key}", b"something else")
    with pytest.raises(ZooError, match="is damaged"):
        unpack(blobs, key)
    with pytest.raises(ZooError, match="is missing; build again"):
        unpack(blobs, build_key(b"never sent"))
    blobs.put(build_key(b"no tensors"), b"no tensors")
    with pytest.raises(ZooError, match="is damaged"):
        unpack(blobs, build_key(b"no tensors"))


def test_a_lesson_leaves_its_images_at_the_address(small_tasks: list[Task]) -> None:
    lesson = Lesson.of(small_tasks[0], SMALL)
    with worked_on(ADDRESS, create=True) as site:
        sent = lesson.sent_by(site.zoo)
        assert isinstance(sent.images, str)
        found, made = sent.tensors(site.zoo), lesson.tensors(site.zoo)
        assert all(found[name].equal(made[name]) for name in made)
        assert sent.sent_by(site.zoo) is sent
