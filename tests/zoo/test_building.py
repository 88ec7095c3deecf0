"""A zoo that is worked on at an address: whole for its readers, whatever happens to the writer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tans.errors import InputError, ZooError
from tans.zoo import building
from tans.zoo.building import has_zoo, worked_on
from tans.zoo.shared import INDEX, TRAFFIC, Store
from tans.zoo.sharing import push_zoo
from tans.zoo.verify import verify_zoo
from tans.zoo.zoo import Zoo
from tests.zoo.conftest import LARGEST, Tiny, make_entry, nearby, random_state, some_entries
from tests.zoo.stores import Faulty, keys, read, s3_server, write

ADDRESS = "memory://zoos/mine"
pytestmark = pytest.mark.usefixtures("stores")


@pytest.fixture(params=["memory", pytest.param("s3", marks=pytest.mark.long)])
def address(request: Any) -> Iterator[str]:
    if request.param == "memory":
        yield ADDRESS
    else:
        with s3_server():
            yield "s3://shelf/zoos/mine"


def pushed(tiny: Tiny, address: str = ADDRESS) -> str:
    push_zoo(tiny.zoo, address)
    return address


def ids(zoo: Zoo) -> list[str]:
    return [entry.id for entry in zoo.entries(vectors=False)]


@pytest.mark.long
def test_a_new_zoo_is_made_and_added_to(tiny: Tiny, address: str) -> None:
    assert not has_zoo(address)
    with worked_on(address, create=True) as site:
        base = site.zoo.add_weights(random_state(0), base=None)
        site.zoo.set_base(base, LARGEST)
        assert not has_zoo(address)
        site.publish()
        assert has_zoo(address)
        site.zoo.copy_task(tiny.zoo, "cutlery")
        assert not Zoo.open(address).tasks()
        site.publish()
        assert ids(Zoo.open(address)) == ids(tiny.zoo)
    with worked_on(address) as site:
        site.zoo.add_entries(some_entries(tiny.weights, 2, seed=5))
        site.zoo.compact()
        site.publish()
        site.clean()
    zoo = Zoo.open(address)
    assert len(zoo.entries()) == 4
    assert verify_zoo(zoo).ok
    named = Zoo.open(address).entries()[0].weights
    assert f"weights/{named}.safetensors" in keys(address)


@pytest.mark.long
def test_what_was_superseded_is_gone_in_the_end(tiny: Tiny, address: str) -> None:
    pushed(tiny, address)
    before = len(keys(address))
    with worked_on(address) as site:
        for seed in range(5, 9):
            site.zoo.add_entries(some_entries(tiny.weights, 1, seed=seed))
            site.publish()
        most = len(keys(address))
        site.zoo.compact()
        site.publish()
        site.clean()
    assert len(keys(address)) < most
    assert len(keys(address)) < before + 12
    assert verify_zoo(Zoo.open(address)).ok


def test_of_two_writers_one_goes_on_and_the_other_is_told(tiny: Tiny, address: str) -> None:
    pushed(tiny, address)
    one, two = (some_entries(tiny.weights, 1, seed=seed)[0] for seed in (5, 6))
    with worked_on(address) as first, worked_on(address) as second:
        first.zoo.add_entry(one)
        first.publish()
        second.zoo.add_entry(two)
        with pytest.raises(ZooError, match="another build or push changed .*run the command again"):
            second.publish()
    assert ids(Zoo.open(address)) == sorted([*ids(tiny.zoo), one.id])


@pytest.mark.parametrize("fails_at", range(1, 16))
@pytest.mark.long
def test_readers_see_the_old_or_the_new_wherever_the_writer_dies(tiny: Tiny, fails_at: int) -> None:
    address = pushed(tiny, "faulty://zoos/mine")
    one = some_entries(tiny.weights, 1, seed=5)[0]
    with worked_on(address) as site:
        site.zoo.add_entry(one)
        Faulty.calls, Faulty.fails_at = 0, fails_at
        with suppress(ZooError):
            site.publish()
        Faulty.fails_at = None
    found = ids(Zoo.open(address))
    assert found in (ids(tiny.zoo), sorted([*ids(tiny.zoo), one.id]))
    with worked_on(address) as site:  # as one that goes on
        site.zoo.add_entry(one)
        site.publish()
    assert ids(Zoo.open(address)) == sorted([*ids(tiny.zoo), one.id])
    assert verify_zoo(Zoo.open(address)).ok


def test_many_files_are_compacted(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    pushed(tiny)
    monkeypatch.setattr(building, "MOST_FILES", 40)
    with worked_on(ADDRESS) as site:
        for seed in range(5, 15):
            site.zoo.add_entries(some_entries(tiny.weights, 1, seed=seed))
            site.publish()
        assert len(Zoo.open(ADDRESS).entries()) == 12
        assert len(site.zoo.blobs.list()) < 60


def test_nothing_new_sends_nothing(tiny: Tiny) -> None:
    pushed(tiny)
    with worked_on(ADDRESS) as site:
        before = TRAFFIC.writes
        site.publish()
        assert TRAFFIC.writes == before


def test_a_worker_reads_and_stores_content_and_sees_no_tables(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed(tiny)
    with worked_on(ADDRESS) as site:
        there = site.zoo.portable("cutlery")
        monkeypatch.setenv("TANS_CACHE", str(tmp_path / "elsewhere"))
        assert not there.path.exists()
        assert there.task("cutlery") == tiny.zoo.task("cutlery")
        assert there.thumbnails("cutlery").equal(tiny.thumbnails)
        assert there.load_entry(tiny.entries[0])
        with pytest.raises(ZooError, match="no task 'flags'"):
            there.task("flags")
        digest = there.add_weights(nearby(random_state(0), seed=3), base=tiny.base)
        assert f"weights/{digest}.safetensors" in keys(ADDRESS)
        site.zoo.add_entries([make_entry(digest, LARGEST, seed=7)])
        site.publish()
    assert digest in {entry.weights for entry in Zoo.open(ADDRESS).entries()}


def test_damaged_content_is_refused_and_not_kept(tiny: Tiny) -> None:
    pushed(tiny)
    key = f"{ADDRESS}/weights/{tiny.weights}.safetensors"
    content = read(key)
    write(key, content[::-1])
    with worked_on(ADDRESS) as site:
        with pytest.raises(ZooError, match="weights/.* is damaged"):
            site.zoo.base_state(tiny.weights)
        write(key, content)
        assert site.zoo.base_state(tiny.weights)


def test_what_is_no_zoo_is_refused(tiny: Tiny, tmp_path: Path) -> None:
    with (
        pytest.raises(ZooError, match="no zoo at memory://zoos/nothing"),
        worked_on("memory://zoos/nothing"),
    ):
        pass
    write("memory://zoos/other/letter.txt", b"dear")
    with (
        pytest.raises(ZooError, match="holds files of others"),
        worked_on("memory://zoos/other", create=True),
    ):
        pass
    with pytest.raises(InputError, match="password"), worked_on("s3://me:secret@shelf/zoo"):
        pass
    write("memory://zoos/broken/index.json", b"{")
    with pytest.raises(ZooError, match="broken"), worked_on("memory://zoos/broken", create=True):
        pass
    with worked_on(tiny.zoo.path) as site:
        site.publish()
        site.clean()
    with worked_on(tmp_path / "made", create=True) as site:
        assert site.zoo.path == tmp_path / "made"


def test_a_file_is_swapped_only_where_it_is_as_it_was(address: str) -> None:
    store = Store.at(address)
    assert store.swap(INDEX, None, b"one")
    assert not store.swap(INDEX, None, b"two")
    assert not store.swap(INDEX, b"zero", b"two")
    assert store.swap(INDEX, b"one", b"two")
    assert store.read(INDEX) == b"two"
