"""Ids of entries, and of the same networks for images of other sizes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tans.errors import ZooError
from tans.networks.family import describe, resized
from tans.types import LARGEST_INPUT
from tans.zoo.ids import asked_size, at_size, entry_id, size_of
from tests.zoo.conftest import LARGEST, SMALLEST, make_entry

STORED = make_entry("0" * 64, SMALLEST)


def test_ids_name_task_weights_and_network() -> None:
    id = entry_id("cutlery", "0" * 64, LARGEST)
    assert id.startswith("cutlery-")
    assert len(id.removeprefix("cutlery-")) == 8
    assert id == entry_id("cutlery", "0" * 64, LARGEST)
    others = [entry_id("cutlery", "1" * 64, LARGEST)]
    others += [entry_id("cutlery", "0" * 64, SMALLEST)]
    others += [entry_id("cutlery", "0" * 64, resized(LARGEST, 64))]
    assert id not in others


@given(st.sampled_from([24, 48, 64, 96, 224]))
def test_a_size_is_read_back_from_the_id(size: int) -> None:
    larger = at_size(STORED, size)
    assert asked_size(larger.id) == size_of(larger.id, STORED) == larger.resolution == size
    assert larger.body_costs == describe(larger.ref).costs(0)
    assert (larger.weights, larger.topology) == (STORED.weights, STORED.topology)
    assert larger.accuracy is larger.similarities is larger.functional is None


def test_in_its_own_size_an_entry_is_itself() -> None:
    assert at_size(STORED, STORED.resolution) is STORED
    assert asked_size(STORED.id) is None


@pytest.mark.parametrize("asked", ["", "0", "048", "4.5", str(LARGEST_INPUT + 1)])
def test_what_is_no_size_is_told_with_what_is_one(asked: str) -> None:
    with pytest.raises(ZooError, match=f"{STORED.id}@{STORED.resolution}"):
        size_of(f"{STORED.id}@{asked}", STORED)
