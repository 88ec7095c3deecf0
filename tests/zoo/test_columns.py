"""Entries by column are those that a zoo lists."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tans.zoo import columns
from tans.zoo.columns import Columns
from tans.zoo.zoo import Zoo


def test_rows_are_the_entries_in_their_order(small_zoo: Zoo) -> None:
    found, entries = small_zoo.columns(), small_zoo.entries(vectors=False)
    assert len(found) == len(entries)
    assert found.ids() == tuple(entry.id for entry in entries)
    assert found.entries(range(len(entries))) == entries
    assert found.entries([3, 1]) == [entries[3], entries[1]]
    assert found.row(entries[2].id) == 2
    assert found.numbers("body_params").tolist() == [entry.body_params for entry in entries]
    of_red = [entry.task == "red" for entry in entries]
    assert found.equals("task", "red").tolist() == of_red


def test_a_network_stands_for_all_that_cost_the_same(small_zoo: Zoo) -> None:
    networks, kind = small_zoo.columns().networks
    for entry, own in zip(small_zoo.entries(vectors=False), kind, strict=True):
        assert networks[own].ref == entry.ref
        assert networks[own].body_costs == entry.body_costs
    assert len({entry.ref for entry in networks}) == len(networks)


def test_a_source_is_stood_for_by_its_largest_network(small_zoo: Zoo) -> None:
    found = small_zoo.columns()
    rows, kind = found.sources
    largest = found.entries(rows)
    for entry, own in zip(small_zoo.entries(vectors=False), kind, strict=True):
        assert (largest[own].task, largest[own].weights) == (entry.task, entry.weights)
        assert (largest[own].body_params, -largest[own].resolution) >= (
            entry.body_params,
            -entry.resolution,
        )


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b", "ab", None]), st.lists(st.sampled_from("xy"))),
        min_size=1,
        max_size=30,
    )
)
def test_kinds_are_told_apart_by_all_that_is_named(
    values: list[tuple[str | None, list[str]]],
) -> None:
    """Also by what is not there, and by lists."""
    text, lists = zip(*values, strict=True)
    table = pa.table({"text": pa.array(text), "lists": pa.array(lists, pa.list_(pa.string()))})
    first, kind = Columns(table, lambda _: []).kinds("text", "lists")
    keys = [(a, tuple(b)) for a, b in values]
    assert len(first) == len(set(keys))
    for row, own in enumerate(kind):
        assert keys[first[own]] == keys[row]


def test_there_is_no_row_of_an_unknown_value(small_zoo: Zoo) -> None:
    assert not np.any(small_zoo.columns().equals("task", "no such task"))
    with pytest.raises(KeyError):
        small_zoo.columns().numbers("no such column")


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where columns of small zoos are kept too."""
    monkeypatch.setenv("TANS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(columns, "MANY", 1)
    return tmp_path / "cache" / "columns"


def test_columns_of_many_are_kept_until_the_zoo_changes(
    small_zoo: Zoo, tmp_path: Path, kept: Path
) -> None:
    shutil.copytree(small_zoo.path, tmp_path / "zoo")
    first = Zoo.open(tmp_path / "zoo").columns()
    (place,) = kept.iterdir()
    written = place.stat().st_mtime_ns
    again = Zoo.open(tmp_path / "zoo").columns()
    assert place.stat().st_mtime_ns == written
    assert again.ids() == first.ids()
    assert again.networks[0] == first.networks[0]
    for theirs, ours in zip(again.sources, first.sources, strict=True):
        assert theirs.tolist() == ours.tolist()
    zoo = Zoo.open(tmp_path / "zoo")
    entry = zoo.entries()[0]
    zoo.add_entry(replace(entry, id="red-00000000"))
    assert "red-00000000" in zoo.columns().ids()
    assert "red-00000000" in Zoo.open(tmp_path / "zoo").columns().ids()
    assert len(list(kept.iterdir())) == 1  # older states are gone


def test_a_damaged_cache_counts_for_nothing(small_zoo: Zoo, kept: Path) -> None:
    ids = Zoo.open(small_zoo.path).columns().ids()
    (place,) = kept.iterdir()
    place.write_bytes(place.read_bytes()[:100])
    assert Zoo.open(small_zoo.path).columns().ids() == ids
    place.write_bytes(b"")
    assert Zoo.open(small_zoo.path).columns().ids() == ids


@pytest.mark.usefixtures("kept")
def test_rows_that_were_read_before_a_change_are_not_kept_as_those_after_it(
    small_zoo: Zoo, tmp_path: Path
) -> None:
    shutil.copytree(small_zoo.path, tmp_path / "zoo")
    early, late = Zoo.open(tmp_path / "zoo"), Zoo.open(tmp_path / "zoo")
    entry = early.entries()[0]
    late.add_entry(replace(entry, id="red-00000000"))
    assert "red-00000000" not in early.columns().ids()
    assert "red-00000000" in Zoo.open(tmp_path / "zoo").columns().ids()


def test_columns_are_read_once_until_the_zoo_changes(small_zoo: Zoo, tmp_path: Path) -> None:
    shutil.copytree(small_zoo.path, tmp_path / "zoo")
    zoo = Zoo.open(tmp_path / "zoo")
    first = zoo.columns()
    assert zoo.columns() is first
    zoo.add_entry(replace(zoo.entries()[0], id="red-00000000"))
    assert len(zoo.columns()) == len(first) + 1


def test_without_a_cache_columns_are_read(small_zoo: Zoo, kept: Path) -> None:
    kept.parent.write_bytes(b"")
    assert len(small_zoo.columns()) == len(small_zoo.entries())
