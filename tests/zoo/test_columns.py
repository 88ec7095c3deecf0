"""Entries by column are those that a zoo lists."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tans.zoo.columns import Columns
from tans.zoo.zoo import Zoo


def test_rows_are_the_entries_in_their_order(small_zoo: Zoo) -> None:
    columns, entries = small_zoo.columns(), small_zoo.entries(vectors=False)
    assert len(columns) == len(entries)
    assert columns.ids() == tuple(entry.id for entry in entries)
    assert columns.entries(range(len(entries))) == entries
    assert columns.entries([3, 1]) == [entries[3], entries[1]]
    assert columns.row(entries[2].id) == 2
    assert columns.numbers("body_params").tolist() == [entry.body_params for entry in entries]
    of_red = [entry.task == "red" for entry in entries]
    assert columns.equals("task", "red").tolist() == of_red


def test_a_network_stands_for_all_that_cost_the_same(small_zoo: Zoo) -> None:
    networks, kind = small_zoo.columns().networks
    for entry, own in zip(small_zoo.entries(vectors=False), kind, strict=True):
        assert networks[own].ref == entry.ref
        assert networks[own].body_costs == entry.body_costs
    assert len({entry.ref for entry in networks}) == len(networks)


def test_a_source_is_stood_for_by_its_largest_network(small_zoo: Zoo) -> None:
    columns = small_zoo.columns()
    rows, kind = columns.sources
    largest = columns.entries(rows)
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
