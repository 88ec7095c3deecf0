"""A zoo at an address is read as one in a folder is, and nothing that is damaged is used."""

from __future__ import annotations

import itertools
import json
import pickle
import shutil
from copy import copy
from pathlib import Path

import fsspec
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tans.errors import InputError, MissingExtraError, TansWarning, ZooError
from tans.zoo.blobs import is_key
from tans.zoo.shared import INDEX, Index, Part, Store, is_content, is_shared
from tans.zoo.sharing import push_zoo
from tans.zoo.verify import verify_zoo
from tans.zoo.zoo import Zoo
from tests.zoo.conftest import CARD, CLASSES, Tiny, make_entry, some_entries
from tests.zoo.stores import Faulty, keys, read, write

ADDRESS = "memory://shelf/zoo"
pytestmark = pytest.mark.usefixtures("stores")


@pytest.fixture
def pushed(tiny: Tiny, stores: None) -> Tiny:  # noqa: ARG001 - which are empty before
    push_zoo(tiny.zoo, ADDRESS)
    return tiny


def fetched(tmp_path: Path) -> set[str]:
    """Content in the cache, by kind."""
    files = tmp_path / "cache" / "zoos" / "files"
    return {path.parent.name for path in files.rglob("*") if path.is_file()}


def test_it_is_read_as_in_a_folder_and_fetched_by_need(pushed: Tiny, tmp_path: Path) -> None:
    told: list[tuple[str, int]] = []
    zoo = Zoo.open(ADDRESS, lambda name, size: told.append((name, size)))
    assert (zoo.place, zoo.address) == (ADDRESS, ADDRESS)
    assert zoo.tasks() == pushed.zoo.tasks()
    assert zoo.entries() == pushed.zoo.entries()
    assert [name for name, _ in told] == ["tables and retrieval"]
    assert fetched(tmp_path) == {"objects"}
    assert torch.equal(zoo.features("cutlery")[0], pushed.zoo.features("cutlery")[0])
    assert fetched(tmp_path) == {"objects", "features"}
    own, there = (z.load(pushed.entries[0].id) for z in (pushed.zoo, zoo))
    images = torch.rand(2, 3, 32, 32)
    assert torch.equal(own(images), there(images))
    assert fetched(tmp_path) == {"objects", "features", "sheets", "weights"}
    assert told[1][0].startswith("features/")
    assert all(size > 0 for _, size in told)


def test_what_is_here_is_not_fetched_again(pushed: Tiny) -> None:
    Zoo.open(ADDRESS).thumbnails("cutlery")
    told: list[str] = []
    again = Zoo.open(ADDRESS, lambda name, _: told.append(name))
    again.thumbnails("cutlery")
    assert told == []
    pushed.zoo.add_entry(some_entries(pushed.weights, 1, seed=7)[0])
    push_zoo(pushed.zoo, ADDRESS)
    sizes: list[int] = []
    changed = Zoo.open(ADDRESS, lambda _, size: sizes.append(size))
    assert len(changed.entries()) == len(again.entries()) + 1
    index = Index.parse(read(f"{ADDRESS}/{INDEX}"), "it")
    assert 0 < sum(sizes) < sum(index.files[key].size for key in index.state)


def test_it_travels_to_other_processes_and_is_verified(pushed: Tiny) -> None:
    for zoo in (pickle.loads(pickle.dumps(Zoo.open(ADDRESS))), copy(Zoo.open(ADDRESS))):
        assert zoo.address == ADDRESS
        assert zoo.load_entry(pushed.entries[0])
    report = verify_zoo(Zoo.open(ADDRESS))
    assert (report.ok, report.networks, report.unsealed) == (True, 2, ())


def test_what_would_change_it_is_refused(pushed: Tiny) -> None:
    zoo = Zoo.open(ADDRESS)
    changes = [
        zoo.check_writable,
        zoo.compact,
        lambda: zoo.add_entry(pushed.entries[0]),
        lambda: zoo.add_weights(pushed.state, None),
        lambda: zoo.set_base(pushed.base, zoo.base_ref),
        lambda: zoo.copy_task(pushed.zoo, "cutlery"),
        lambda: zoo.add_task(
            "new",
            classes=CLASSES,
            card=CARD,
            thumbnails=None,
            features=None,
            weights=pushed.weights,
            train_images=1,
            cost_s=1,
        ),
    ]
    for change in changes:
        with pytest.raises(ZooError, match="only read here; pull it with 'tans zoo pull'"):
            change()
    assert Zoo.open(ADDRESS).entries() == pushed.zoo.entries()


# A folder that was copied as it is


def copied(tiny: Tiny) -> None:
    fsspec.filesystem("memory").put(str(tiny.zoo.path), "/shelf/zoo", recursive=True)


def test_a_folder_that_was_copied_is_read(tiny: Tiny, tmp_path: Path) -> None:
    (tiny.zoo.path / "README.md").write_text("of a repository")
    copied(tiny)
    zoo = Zoo.open(ADDRESS)
    assert zoo.entries() == tiny.zoo.entries()
    assert verify_zoo(zoo).ok
    assert not list((tmp_path / "cache").rglob("README.md"))


def test_a_file_of_a_copied_folder_that_its_seal_does_not_know_is_refused(tiny: Tiny) -> None:
    copied(tiny)
    table = next(k for k in keys(ADDRESS) if k.startswith("entries.lance/data/"))
    write(f"{ADDRESS}/{table}", read(f"{ADDRESS}/{table}")[::-1])
    with pytest.raises(ZooError, match="entries.lance/data/.* is damaged"):
        Zoo.open(ADDRESS)


def test_a_copied_folder_without_seals_is_read_as_here(tiny: Tiny) -> None:
    shutil.rmtree(tiny.zoo.path / "seals")
    copied(tiny)
    assert Zoo.open(ADDRESS).entries() == tiny.zoo.entries()


def test_a_damaged_seal_is_refused(tiny: Tiny) -> None:
    copied(tiny)
    seal = next(k for k in keys(ADDRESS) if k.startswith("seals/"))
    write(f"{ADDRESS}/{seal}", b"nonsense")
    with pytest.raises(ZooError, match="seals/.* is damaged"):
        Zoo.open(ADDRESS)


# Damage


@pytest.mark.parametrize("how", ["turned", "longer", "shorter", "lost"])
def test_content_that_is_damaged_is_refused_and_not_kept(
    pushed: Tiny, tmp_path: Path, how: str
) -> None:
    key = f"weights/{pushed.weights}.safetensors"
    data = read(f"{ADDRESS}/{key}")
    if how == "lost":
        fsspec.filesystem("memory").rm(f"/shelf/zoo/{key}")
    else:
        wrong = {"turned": data[::-1], "longer": data + data, "shorter": data[:-1]}[how]
        write(f"{ADDRESS}/{key}", wrong)
    zoo = Zoo.open(ADDRESS)
    expected = "is missing" if how == "lost" else "is damaged"
    with pytest.raises(ZooError, match=f"{ADDRESS}/{key} {expected}"):
        zoo.load_entry(pushed.entries[0])
    assert not any(pushed.weights in path.name for path in (tmp_path / "cache").rglob("*"))
    write(f"{ADDRESS}/{key}", data)
    assert zoo.load_entry(pushed.entries[0])


@pytest.mark.usefixtures("pushed")
@pytest.mark.parametrize("how", ["turned", "lost"])
def test_tables_that_are_damaged_are_refused(tmp_path: Path, how: str) -> None:
    index = Index.parse(read(f"{ADDRESS}/{INDEX}"), "it")
    table = next(k for k in index.files if k.startswith("entries.lance/data/"))
    place = f"{ADDRESS}/{index.place(table)}"
    if how == "lost":
        fsspec.filesystem("memory").rm(place)
    else:
        write(place, read(place)[::-1])
    with pytest.raises(ZooError, match="objects/.* is (damaged|missing)"):
        Zoo.open(ADDRESS)
    assert not list((tmp_path / "cache" / "zoos").glob("*/*/zoo.json"))


def test_a_cache_that_was_damaged_is_fetched_anew(pushed: Tiny, tmp_path: Path) -> None:
    zoo = Zoo.open(ADDRESS)
    zoo.thumbnails("cutlery")
    for path in (tmp_path / "cache").rglob("*"):
        if path.is_file() and path.suffix in (".webp", ".lance", ".manifest", ".json"):
            path.write_bytes(b"nonsense")
    again = Zoo.open(ADDRESS)
    assert again.entries() == pushed.zoo.entries()
    assert torch.equal(again.thumbnails("cutlery"), pushed.zoo.thumbnails("cutlery"))


@pytest.mark.parametrize("key", ["../zoo.json", "/etc/passwd", "weights/../../x", "notes.txt", ""])
def test_an_index_with_names_that_climb_out_is_refused(pushed: Tiny, key: str) -> None:
    fields = json.loads(read(f"{ADDRESS}/{INDEX}"))
    fields["files"][key] = {"sha256": pushed.weights, "size": 3}
    write(f"{ADDRESS}/{INDEX}", json.dumps(fields).encode())
    with pytest.raises(ZooError, match=r"index.json is damaged .*is no name of a file of a zoo"):
        Zoo.open(ADDRESS)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"{", "cannot read it as JSON"),
        (b"[]", "expected fields with names"),
        (b'{"schema": 99, "files": {}}', "has schema 99"),
        (b'{"schema": 1, "files": {}}', "it lacks zoo.json"),
        (b'{"schema": 1, "files": {"zoo.json": {"sha256": "x", "size": 1}}}', "sha256"),
        (b'{"schema": 1, "files": {"zoo.json": {"size": -1}}}', "sha256"),
    ],
)
def test_an_index_that_says_nothing_of_use_is_refused(text: bytes, said: str) -> None:
    write(f"{ADDRESS}/{INDEX}", text)
    with pytest.raises(ZooError, match=said):
        Zoo.open(ADDRESS)


@given(st.text(max_size=40))
def test_what_is_shared_stays_below_the_zoo(key: str) -> None:
    for name in (key, f"retrieval/{key}", f"entries.lance/{key}", f"weights/{key}.safetensors"):
        assert is_key(name) or not is_shared(name)
        assert is_shared(name) or not is_content(name)


def test_content_named_by_another_hash_is_refused() -> None:
    key = f"weights/{'a' * 64}.safetensors"
    with pytest.raises(ValueError, match="another hash"):
        Index(files={"zoo.json": Part("c" * 64, 1), key: Part("b" * 64, 1)})


# Stores that cannot be reached


def test_offline_what_was_read_before_is_used_and_told(tiny: Tiny) -> None:
    push_zoo(tiny.zoo, "faulty://zoo")
    zoo = Zoo.open("faulty://zoo")
    zoo.thumbnails("cutlery")
    Faulty.fails_at = 0
    with pytest.warns(TansWarning, match="503 Slow Down.*what was read of it on .* is used"):
        zoo = Zoo.open("faulty://zoo")
    assert zoo.entries() == tiny.zoo.entries()
    assert len(zoo.thumbnails("cutlery")) == 64
    with pytest.raises(ZooError, match="features/.* cannot be reached .*503 Slow Down"):
        zoo.features("cutlery")


def test_what_cannot_be_reached_or_read_is_refused(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    push_zoo(tiny.zoo, "faulty://zoo")
    Faulty.fails_at = 0
    with pytest.raises(ZooError, match="faulty://zoo cannot be reached"):
        Zoo.open("faulty://zoo")
    Faulty.fails_at = None
    Zoo.open("faulty://zoo")
    monkeypatch.setattr(Faulty, "error", PermissionError("Forbidden"))
    Faulty.fails_at = 0  # rights that were taken away are no missing connection
    with pytest.raises(ZooError, match="cannot be reached .Forbidden"):
        Zoo.open("faulty://zoo")


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(InputError, match="is no address"):
        Zoo.open("s3://[bucket/zoo")


@pytest.mark.usefixtures("pushed")
def test_a_cache_that_cannot_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("TANS_CACHE", str(tmp_path / "file"))
    with pytest.raises(ZooError, match="cannot keep what is read of .*TANS_CACHE"):
        Zoo.open(ADDRESS)


@pytest.mark.parametrize("address", ["memory://nothing", "nowhere://x"])
def test_where_no_zoo_is(address: str) -> None:
    with pytest.raises(ZooError, match=rf"({address} cannot be reached|no zoo at {address})"):
        Zoo.open(address)


def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.core.url_to_fs", missing)
    with pytest.raises(MissingExtraError, match=r"s3fs .*pip install 'tans\[s3\]'"):
        Zoo.open("s3://bucket/zoo")


def test_passwords_have_no_place_in_addresses() -> None:
    for address in ("sftp://me:secret@host/zoo", "https://host/zoo?token=secret"):
        with pytest.raises(InputError, match="give credentials in the environment") as error:
            Zoo.open(address)
        assert "secret" not in str(error.value)


@pytest.mark.long
def test_a_store_that_fails_anywhere_leaves_nothing_half_read(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push_zoo(tiny.zoo, "faulty://zoo")
    failed = 0
    for call in itertools.count(1):
        monkeypatch.setenv("TANS_CACHE", str(tmp_path / str(call)))
        Faulty.calls, Faulty.fails_at = 0, call
        try:
            Zoo.open("faulty://zoo").thumbnails("cutlery")
        except ZooError as error:
            failed += "cannot be reached" in str(error)
        reached, Faulty.fails_at = Faulty.calls, None
        zoo = Zoo.open("faulty://zoo")
        assert zoo.entries() == tiny.zoo.entries()
        assert torch.equal(zoo.thumbnails("cutlery"), tiny.zoo.thumbnails("cutlery"))
        if reached < call:
            break
    assert failed == call - 1 > 10


def test_one_state_is_read_while_another_is_pushed(
    pushed: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Zoo.open(ADDRESS).entries()
    save = Store.save
    late = make_entry(pushed.weights, pushed.entries[0].ref, seed=9)

    def overtaken(store: Store, key: str, path: Path, size: int) -> str:
        monkeypatch.setattr(Store, "save", save)
        pushed.zoo.add_entry(late)
        push_zoo(pushed.zoo, ADDRESS, force=True)  # which reads nothing of what is there
        return save(store, key, path, size)

    pushed.zoo.add_entry(some_entries(pushed.weights, 1, seed=3)[0])
    push_zoo(pushed.zoo, ADDRESS)
    middle = pushed.zoo.entries()
    monkeypatch.setattr(Store, "save", overtaken)
    assert Zoo.open(ADDRESS).entries() == middle  # nothing that its index names is written over
    assert Zoo.open(ADDRESS).entries() == Zoo.open(pushed.zoo.path).entries() != before
