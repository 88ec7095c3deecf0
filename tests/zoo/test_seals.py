"""Seals: sound, damaged, lost and unsealed files, and several processes at once."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from tans.errors import ZooError
from tans.zoo.blobs import LocalBlobs
from tans.zoo.rows import KEYS
from tans.zoo.seals import FOLDER, HINT, Seals, check_hint, version
from tans.zoo.verify import verify_zoo
from tans.zoo.zoo import Zoo
from tests.zoo.conftest import Tiny, some_entries


@pytest.fixture
def seals(tmp_path: Path) -> Seals:
    return Seals(LocalBlobs(tmp_path))


def test_what_is_put_is_sealed(seals: Seals, tmp_path: Path) -> None:
    for data in (b"one", b"two", b"one"):
        seals.put("zoo.json", data)
        assert seals.get("zoo.json") == data
    (tmp_path / "zoo.json").write_bytes(b"One")
    with pytest.raises(ZooError, match="zoo.json is damaged .*not as it was written"):
        seals.get("zoo.json")


def test_what_is_lost_is_told_and_what_never_was_is_not(seals: Seals, tmp_path: Path) -> None:
    assert not seals.exists("zoo.json")
    seals.put("zoo.json", b"one")
    (tmp_path / "zoo.json").unlink()
    with pytest.raises(ZooError, match="zoo.json is missing"):
        seals.exists("zoo.json")
    seals.delete("zoo.json")
    assert not seals.exists("zoo.json")


def test_what_is_not_sealed_is_read(seals: Seals, tmp_path: Path) -> None:
    (tmp_path / "zoo.json").write_bytes(b"by hand")
    assert seals.get("zoo.json") == b"by hand"
    seals.seal(["zoo.json", "missing.json"])
    assert list(seals.all()) == ["zoo.json"]


def test_a_file_is_sealed_once(seals: Seals, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"sound")
    seals.seal(["a"])
    (tmp_path / "a").write_bytes(b"damaged")
    seals.seal(["a"])
    assert seals.all() == {"a": {hashlib.sha256(b"sound").hexdigest()}}
    assert not seals.is_sound("a", seals.all())


def test_sha256sum_reads_them(seals: Seals, tmp_path: Path) -> None:
    seals.put("a.json", b"sound")
    (file,) = (tmp_path / "seals").iterdir()
    assert file.read_text() == f"{hashlib.sha256(b'sound').hexdigest()}  a.json\n"
    assert file.stem == hashlib.sha256(file.read_bytes()).hexdigest()


def test_many_files_of_seals_become_one(seals: Seals, tmp_path: Path) -> None:
    for name in "abc":
        seals.put(name, name.encode())
    before = seals.all()
    seals.rewrite(lambda key: key != "b")
    assert len(list((tmp_path / "seals").iterdir())) == 1
    assert seals.all() == {key: digests for key, digests in before.items() if key != "b"}


@pytest.mark.parametrize("text", ["", "nonsense\n", f"{'0' * 64}  b\n"])
def test_a_damaged_seal_is_told(seals: Seals, tmp_path: Path, text: str) -> None:
    seals.put("a", b"sound")
    (file,) = (tmp_path / "seals").iterdir()
    file.write_text(text)
    with pytest.raises(ZooError, match="is damaged .*delete it"):
        Seals(LocalBlobs(tmp_path)).get("a")


def test_every_commit_is_sealed(tiny: Tiny) -> None:
    for entry in some_entries(tiny.weights, 3):
        tiny.zoo.add_entry(entry)
    sealed = tiny.zoo.seals.all()
    for name in ("entries", "tasks", "transfers"):
        files = tiny.zoo.seals.files(name)
        assert files
        assert set(files) <= sealed.keys()


def test_compaction_leaves_the_seals_of_what_is_there(tiny: Tiny) -> None:
    for entry in some_entries(tiny.weights, 3):
        tiny.zoo.add_entry(entry)
    tiny.zoo.compact()
    assert len(list((tiny.zoo.path / "seals").iterdir())) == 1
    assert all(tiny.zoo.blobs.exists(key) for key in tiny.zoo.seals.all())


def test_an_older_zoo_is_read_and_sealed_when_compacted(tiny: Tiny) -> None:
    shutil.rmtree(tiny.zoo.path / "seals")
    zoo = Zoo.open(tiny.zoo.path)
    assert zoo.entries() == tiny.entries
    report = verify_zoo(zoo)
    assert report.ok
    assert "zoo.json" in report.unsealed
    assert any(key.startswith("entries.lance/data/") for key in report.unsealed)
    zoo.compact()
    assert verify_zoo(Zoo.open(tiny.zoo.path)).unsealed == ()


def test_a_lost_manifest_is_told(tiny: Tiny) -> None:
    tiny.zoo.add_entries(some_entries(tiny.weights, 2))
    manifests = sorted((tiny.zoo.path / "entries.lance/_versions").glob("*.manifest"), key=str)
    newest = max(manifests, key=lambda path: version(path.name))
    newest.unlink()
    assert len(manifests) > 1
    with pytest.raises(ZooError, match=f"manifest of version {version(newest.name)} is missing"):
        Zoo.open(tiny.zoo.path).entries()


def test_a_lost_table_is_told(tiny: Tiny) -> None:
    for name in ("entries", "transfers"):
        shutil.rmtree(tiny.zoo.path / f"{name}.lance")
        with pytest.raises(ZooError, match=f"{name}.lance is damaged"):
            getattr(Zoo.open(tiny.zoo.path), name)()
    with pytest.raises(ZooError, match="is damaged"):
        Zoo.open(tiny.zoo.path).compact()


def test_a_note_of_a_version_that_is_not_there_is_told(tiny: Tiny) -> None:
    for name in KEYS:
        check_hint(tiny.zoo.blobs, name)
    hint = tiny.zoo.path / "entries.lance" / HINT
    for text in ("", "{", "[]", '{"version": 99}', '{"version": "1"}', '{"version": -1}'):
        hint.write_text(text)
        with pytest.raises(ZooError, match="does not name a version"):
            check_hint(tiny.zoo.blobs, "entries")
        assert Zoo.open(tiny.zoo.path).entries() == tiny.entries
    assert not any(key.endswith(".json") for key in tiny.zoo.seals.files("entries"))


def test_versions_of_manifests() -> None:
    assert version("t.lance/_versions/18446744073709551613.manifest") == 2
    assert version("t.lance/_versions/7.manifest") == 7
    assert version("t.lance/_versions/latest_version_hint.json") == 0
    assert version(f"{FOLDER}{'0' * 64}.sha256") == 0


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("mine")
    blobs = LocalBlobs(tmp_path / "zoo")
    blobs.put("sheets/a", b"")
    (tmp_path / "zoo" / "out").symlink_to(tmp_path / "secret")
    (tmp_path / "zoo" / "in").symlink_to(tmp_path / "zoo" / "sheets" / "a")
    assert blobs.get("in") == b""
    for use in (blobs.get, blobs.local, blobs.exists, blobs.delete, lambda k: blobs.put(k, b"")):
        with pytest.raises(ZooError, match="leads out of"):
            use("out")
    assert (tmp_path / "secret").read_text() == "mine"
