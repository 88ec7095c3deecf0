"""Zoos of the second schema are read as they are, and take the third when written to."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import lancedb
import numpy as np
import pyarrow as pa
import pytest
import torch

from tans.errors import ZooError
from tans.networks.families.elastic.specification import ref_of
from tans.networks.features import REFERENCES
from tans.types import InputSpec, Transfer, ZooEntry
from tans.zoo.copy import copy_tasks
from tans.zoo.ids import entry_id
from tans.zoo.rows import VECTORS
from tans.zoo.verify import verify_zoo
from tans.zoo.zoo import Zoo
from tests.zoo.conftest import (
    CARD,
    CLASSES,
    LARGEST,
    SMALLEST,
    SPACE,
    Tiny,
    make_entry,
    some_entries,
)

TEXT, NUMBER, REAL = pa.string(), pa.int64(), pa.float64()
SIZES = (SPACE.topology_size, SPACE.features, REFERENCES * (REFERENCES - 1) // 2)
TASKS = {"name": TEXT, "classes": pa.list_(TEXT), "card": TEXT}
TASKS |= dict.fromkeys(("sheet", "features", "weights"), TEXT)
COLUMNS = {
    "entries": dict.fromkeys(("id", "task", "architecture", "weights", "licence"), TEXT)
    | dict.fromkeys(("resolution", "params", "flops"), NUMBER)
    | dict.fromkeys(("val_accuracy", "accuracy"), REAL)
    | {n: pa.list_(pa.float16(), size) for n, size in zip(VECTORS, SIZES, strict=True)},
    "tasks": TASKS | {"train_images": NUMBER, "cost_s": REAL},
    "transfers": {"source": TEXT, "target": TEXT, "epochs": NUMBER, "images": NUMBER}
    | {"accuracy": REAL, "seed": NUMBER, "seconds": REAL},
}
"""Of the second schema."""
TRANSFER = Transfer("chairs-0badcafe", "cutlery", 3, 300, 0.5, 0, 7.5, 2, 0)


def old_row(entry: ZooEntry) -> dict[str, object]:
    vectors = {name: np.array(getattr(entry, name), np.float16) for name in VECTORS}
    row = {"architecture": entry.ref.name, "resolution": entry.resolution, "task": entry.task}
    row |= {"params": entry.body_params, "flops": entry.body_flops}
    return {**vars(entry), **row, **vectors}


@pytest.fixture
def old(tiny: Tiny) -> Path:
    """The tiny zoo as it was stored by the second schema, with a transfer."""
    folder = tiny.zoo.path.parent / "old"
    for kind in ("weights", "sheets", "features"):
        shutil.copytree(tiny.zoo.path / kind, folder / kind)
    manifest = {"schema": 2, "space": "lite0", "resolution": 32, "base": tiny.base}
    (folder / "zoo.json").write_text(json.dumps(manifest, indent=1))
    (task,) = tiny.zoo.tasks()
    rows = {
        "entries": [old_row(entry) for entry in tiny.entries],
        "tasks": [{**vars(task), "card": json.dumps(CARD)}],
        "transfers": [vars(TRANSFER)],
    }
    for name, columns in COLUMNS.items():
        table = pa.Table.from_pylist(rows[name], pa.schema(list(columns.items())))
        lancedb.connect(folder).create_table(name, table)
    return folder


def content(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Bytes and modification time of every file."""
    return {
        str(path): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def columns(folder: Path) -> list[str]:
    return list(lancedb.connect(folder).open_table("entries").schema.names)


def schema(folder: Path) -> int:
    return int(json.loads((folder / "zoo.json").read_text())["schema"])


# Reading


def test_an_old_zoo_reads_the_same(old: Path, tiny: Tiny) -> None:
    zoo = Zoo.open(old)
    assert zoo.entries() == tiny.entries
    assert zoo.entries(vectors=False) == tiny.zoo.entries(vectors=False)
    assert zoo.entries(task="cutlery") == tiny.entries
    assert zoo.entries(task="none") == []
    assert zoo.entry(tiny.entries[1].id) == tiny.entries[1]
    assert zoo.tasks() == tiny.zoo.tasks()
    assert zoo.transfers() == [TRANSFER]
    assert (zoo.base, zoo.base_ref, zoo.resolution) == (tiny.base, LARGEST, 32)
    for name in VECTORS:
        found = zoo.matrix(name)
        assert found.dtype == np.float32
        assert np.array_equal(found, tiny.zoo.matrix(name))


def test_old_entries_get_what_all_of_them_shared(old: Path) -> None:
    entry = Zoo.open(old).entry(entry_id("cutlery", Zoo.open(old).tasks()[0].weights, SMALLEST))
    assert entry.ref == ref_of(SPACE.smallest, 32)
    assert (entry.ref.family, entry.ref.input) == ("elastic", InputSpec(32))
    assert (entry.origins, entry.task, entry.place) == (("cutlery",), "cutlery", None)
    assert entry.width == SPACE.features == 1280


def test_unknown_names_are_answered_with_near_ones(old: Path, tiny: Tiny) -> None:
    with pytest.raises(ZooError, match=tiny.entries[0].id):
        Zoo.open(old).entry(tiny.entries[0].id[:-1] + "x")


def test_old_networks_load_the_same(old: Path, tiny: Tiny) -> None:
    for entry in tiny.entries:
        found, expected = (zoo.load(entry.id).weights() for zoo in (Zoo.open(old), tiny.zoo))
        assert all(torch.equal(tensor, expected[name]) for name, tensor in found.items())


def test_reading_changes_no_byte(old: Path) -> None:
    before = content(old)
    zoo = Zoo.open(old)
    zoo.load(zoo.entries()[0].id)
    zoo.transfers()
    zoo.features("cutlery")
    for name in VECTORS:
        zoo.matrix(name)
    assert verify_zoo(zoo).ok
    with pytest.raises(ZooError):
        zoo.entry("unknown")
    assert Zoo.create(old).entries() == zoo.entries()
    zoo.add_entries([])
    assert content(old) == before


# Writing


def test_an_entry_that_is_added_brings_the_schema(old: Path, tiny: Tiny) -> None:
    added = replace(make_entry(tiny.weights, SMALLEST, seed=3), id="cutlery-more", topology=None)
    added = replace(added, origins=("cutlery", "imagenet"), place="package:net/weights")
    zoo = Zoo.open(old)
    zoo.add_entry(added)
    expected = sorted([*tiny.entries, added], key=lambda entry: entry.id)
    for found in (zoo, Zoo.open(old)):
        assert found.entries() == expected
        assert (found.base, found.base_ref) == (tiny.base, LARGEST)
        assert found.tasks() == tiny.zoo.tasks()
        assert found.transfers() == [TRANSFER]
    assert schema(old) == 4
    assert columns(old) == columns(tiny.zoo.path)
    zoo.compact()
    assert Zoo.open(old).entries() == expected


def test_an_entry_of_the_same_id_is_replaced(old: Path, tiny: Tiny) -> None:
    again = replace(tiny.entries[0], accuracy=0.75)
    Zoo.open(old).add_entry(again)
    assert Zoo.open(old).entries() == [again, tiny.entries[1]]


def test_a_base_that_is_set_brings_the_schema(old: Path, tiny: Tiny) -> None:
    Zoo.open(old).set_base(tiny.base, LARGEST)
    assert schema(old) == 4
    assert columns(old) == columns(tiny.zoo.path)
    assert Zoo.open(old).entries() == tiny.entries


def test_tasks_and_transfers_are_added_to_an_old_zoo(old: Path, tiny: Tiny) -> None:
    zoo = Zoo.open(old)
    zoo.add_transfers([replace(TRANSFER, seed=1)])
    zoo.add_task(
        "chairs",
        classes=CLASSES,
        card=CARD,
        thumbnails=None,
        features=None,
        weights=tiny.weights,
        train_images=3,
        cost_s=0.5,
    )
    zoo.compact()
    found = Zoo.open(old)
    assert found.transfers() == [TRANSFER, replace(TRANSFER, seed=1)]
    assert [task.name for task in found.tasks()] == ["chairs", "cutlery"]
    assert found.entries() == tiny.entries


def test_an_old_zoo_is_copied_to_one_of_the_new_schema(old: Path, tiny: Tiny) -> None:
    zoo = Zoo.open(old)
    zoo.add_task(
        "imagenet",
        classes=CLASSES,
        card=CARD,
        thumbnails=None,
        features=None,
        weights=tiny.base,
        train_images=0,
        cost_s=0.0,
    )
    before = content(old)
    copy = copy_tasks(Zoo.open(old), old.parent / "copy", ["cutlery"])
    assert (copy.entries(), schema(copy.path)) == (tiny.entries, 4)
    assert content(old) == before


# Writers that die, and several at once


def test_a_writer_that_died_between_the_two_steps_loses_nothing(old: Path, tiny: Tiny) -> None:
    """The manifest takes its newer form first; rows of the older one are read all the same."""
    (old / "zoo.json").write_bytes(Zoo.open(old).manifest.to_bytes())
    zoo = Zoo.open(old)
    assert (zoo.entries(), zoo.base) == (tiny.entries, tiny.base)
    zoo.add_entries(some_entries(tiny.weights, 2, seed=4))
    assert len(Zoo.open(old).entries()) == 4
    assert columns(old) == columns(tiny.zoo.path)


def test_writers_that_both_found_the_old_form_lose_nothing(old: Path, tiny: Tiny) -> None:
    first, second = some_entries(tiny.weights, 2, seed=4)
    zoos = [Zoo.open(old), Zoo.open(old)]
    assert [zoo.entries() for zoo in zoos] == [tiny.entries] * 2
    for zoo, entry in zip(zoos, (first, second), strict=True):
        zoo.add_entry(entry)
    expected = sorted([*tiny.entries, first, second], key=lambda entry: entry.id)
    assert Zoo.open(old).entries() == expected


def test_a_reader_goes_on_while_another_writes(old: Path, tiny: Tiny) -> None:
    reader, writer = Zoo.open(old), Zoo.open(old)
    assert reader.entries() == tiny.entries
    writer.add_entries(some_entries(tiny.weights, 2, seed=4))
    assert {entry.id for entry in reader.entries()} >= {entry.id for entry in tiny.entries}
    writer.compact()
    assert {entry.id for entry in reader.entries()} >= {entry.id for entry in tiny.entries}
    assert np.isfinite(reader.matrix("topology")).all()


def test_an_old_zoo_whose_table_is_lost_is_one_clear_error(old: Path, tiny: Tiny) -> None:
    shutil.rmtree(old / "entries.lance")
    with pytest.raises(ZooError, match=r"entries\.lance"):
        Zoo.open(old).add_entries(tiny.entries)


# The third schema, whose transfers name no recipe


@pytest.fixture
def third(tiny: Tiny) -> Path:
    """The tiny zoo with a transfer, as it was stored by the third schema."""
    folder = tiny.zoo.path.parent / "third"
    shutil.copytree(tiny.zoo.path, folder)
    shutil.rmtree(folder / "seals")
    manifest = json.loads((folder / "zoo.json").read_text())
    (folder / "zoo.json").write_text(json.dumps({**manifest, "schema": 3}))
    stored = pa.Table.from_pylist([vars(TRANSFER)], pa.schema(list(COLUMNS["transfers"].items())))
    lancedb.connect(folder).create_table("transfers", stored, mode="overwrite")
    return folder


def test_transfers_of_the_third_schema_are_of_the_second_recipe(third: Path) -> None:
    before = content(third)
    assert Zoo.open(third).transfers() == [TRANSFER]
    assert Zoo.open(third).transfers(newest=True) == [TRANSFER]
    assert content(third) == before


def test_a_transfer_that_is_added_brings_the_fourth_schema(third: Path, tiny: Tiny) -> None:
    new = replace(TRANSFER, recipe=3, groups=40)
    Zoo.open(third).add_transfers([new])
    assert schema(third) == 4
    again = Zoo.open(third)
    assert again.transfers() == [TRANSFER, new]  # the same but for what measured it
    assert again.transfers(newest=True) == [new]
    assert again.entries() == tiny.entries
    assert verify_zoo(again).ok
