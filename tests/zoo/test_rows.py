"""Nouns of a zoo as rows of its tables, and back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tans.errors import ZooError
from tans.networks.families.elastic.specification import ref_of
from tans.types import InputSpec, NetworkRef, Transfer
from tans.zoo.rows import (
    VECTORS,
    from_entries,
    from_transfers,
    schemas,
    to_entries,
    to_matrix,
    to_transfers,
)
from tests.zoo.conftest import SPACE, make_entry

ENTRY = make_entry("0" * 64, ref_of(SPACE.smallest, 32))


@settings(max_examples=30, deadline=None)
@given(
    name=st.text(min_size=1, max_size=20),
    size=st.integers(1, 1000),
    mean=st.tuples(*[st.floats(0, 255)] * 3),
    origins=st.lists(st.text(min_size=1), min_size=1, max_size=3).map(tuple),
    accuracy=st.none() | st.floats(0, 1),
    place=st.none() | st.text(min_size=1).map("package:weights/{}".format),
)
def test_entries_come_back(
    name: str,
    size: int,
    mean: tuple[float, float, float],
    origins: tuple[str, ...],
    accuracy: float | None,
    place: str | None,
) -> None:
    ref = NetworkRef("timm", name, InputSpec(size, mean))
    entry = replace(ENTRY, ref=ref, origins=origins, accuracy=accuracy, place=place)
    lacking = replace(entry, topology=None, functional=None, similarities=None)
    rows = from_entries([entry, lacking])
    assert rows.schema == schemas()["entries"]
    assert to_entries(rows) == [entry, lacking]
    assert rows["task"].to_pylist() == [origins[0]] * 2


def test_transfers_come_back() -> None:
    transfer = Transfer("plums-0badcafe", "pears", 5, 200, 0.75, 3, 12.5, 3, 40)
    assert to_transfers(from_transfers([transfer])) == [transfer]


@pytest.mark.parametrize("name", VECTORS)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), 70_000.0])
def test_numbers_that_float16_cannot_hold_are_refused(name: str, value: float) -> None:
    vector = [0.0] * len(getattr(ENTRY, name))
    wrong = replace(ENTRY, **{name: (value, *vector[1:])})
    with pytest.raises(ZooError, match=f"{name} holds values"):
        from_entries([wrong])


def test_similarities_are_as_many_as_pairs_of_reference_images() -> None:
    with pytest.raises(ZooError, match="similarities: 3 numbers; expected 496"):
        from_entries([replace(ENTRY, similarities=(0.1, 0.2, 0.3))])


def column(*vectors: list[float] | None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(vectors, pa.list_(pa.float16()))])


def test_a_matrix_has_a_row_of_nan_for_each_missing_vector() -> None:
    found = to_matrix(column([1.0, 2.0], None, [3.0, 4.0]))
    assert found.dtype == np.float32
    assert found[[0, 2]].tolist() == [[1, 2], [3, 4]]
    assert np.isnan(found[1]).all()
    assert to_matrix(column(None, None)).shape == (2, 0)
    assert to_matrix(column()).shape == (0, 0)


def test_vectors_of_different_lengths_are_refused() -> None:
    with pytest.raises(ZooError, match=r"vectors of \[1, 2\] numbers"):
        to_matrix(column([1.0], [1.0, 2.0]))
