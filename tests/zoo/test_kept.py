"""Tables that the cache keeps are those of the zoo as it is."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from tans.errors import ZooError
from tans.zoo import kept
from tans.zoo.zoo import Zoo


@pytest.fixture
def zoo(small_zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of a zoo that the cache knows nothing of."""
    monkeypatch.setenv("TANS_CACHE", str(tmp_path / "cache"))
    shutil.copytree(small_zoo.path, tmp_path / "zoo")
    return tmp_path / "zoo"


def read(zoo: Path) -> tuple[tuple[str, ...], list[str]]:
    opened = Zoo.open(zoo)
    return opened.columns().ids(), [task.name for task in opened.tasks()]


@pytest.mark.long
def test_what_is_kept_is_read_without_lancedb(zoo: Path) -> None:
    ids, tasks = read(zoo)
    code = (
        "import sys; from tans.zoo.zoo import Zoo; zoo = Zoo.open(sys.argv[1]); "
        "print(*zoo.columns().ids()); print(*(task.name for task in zoo.tasks())); "
        "print('lancedb' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(zoo)], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [" ".join(ids), " ".join(tasks), "False"]


def test_a_changed_table_is_seen(zoo: Path, tmp_path: Path) -> None:
    ids, tasks = read(zoo)
    changing = Zoo.open(zoo)
    changing.add_entry(replace(changing.entries()[0], id="red-00000000"))
    assert read(zoo) == (tuple(sorted([*ids, "red-00000000"])), tasks)
    changing.compact()
    assert read(zoo) == (tuple(sorted([*ids, "red-00000000"])), tasks)
    assert len(list((tmp_path / "cache" / "tables").iterdir())) == 2  # older states are gone


@pytest.mark.parametrize("table", ["entries", "tasks"])
def test_damage_is_told_although_rows_are_kept(zoo: Path, table: str) -> None:
    read(zoo)
    place = max((zoo / f"{table}.lance" / "data").iterdir(), key=lambda path: path.stat().st_size)
    data = bytearray(place.read_bytes())
    data[len(data) // 2] ^= 1
    place.write_bytes(data)
    with pytest.raises(ZooError, match="is not as it was written"):
        read(zoo)


def test_what_is_damaged_in_the_cache_is_read_again(zoo: Path, tmp_path: Path) -> None:
    before = read(zoo)
    for place in (tmp_path / "cache" / "tables").iterdir():
        data = bytearray(place.read_bytes())
        data[-len(data) // 3] ^= 1
        place.write_bytes(data)
    assert read(zoo) == before


def test_no_table_of_very_many_rows_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = pa.table({"id": ["a", "b"]})
    kept.keep(tmp_path / "few", rows)
    found = kept.load(tmp_path / "few")
    assert found is not None
    assert found.equals(rows)
    monkeypatch.setattr(kept, "MANY", 2)
    kept.keep(tmp_path / "many", rows)
    assert kept.load(tmp_path / "many") is None
