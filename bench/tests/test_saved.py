"""Files of others are read, and nothing that they hold is run."""

from __future__ import annotations

import os
import pickle
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from tans.errors import InputError
from tans_bench.saved import read_saved, read_state

NUMBERS = st.integers(-(2**40), 2**40) | st.floats(allow_nan=False) | st.booleans()
ARRAYS = st.sampled_from([np.float64, np.float32, np.int64, np.int32, np.uint8, np.bool_]).flatmap(
    lambda kind: st.lists(st.integers(0, 1), min_size=1, max_size=4).map(
        lambda row: np.array(row, kind)
    )
)
CONTENT = st.recursive(
    st.none() | NUMBERS | st.text() | ARRAYS | ARRAYS.map(lambda a: a[0]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


class Trap:
    """Leaves a file where it is unpickled."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.place),)


class Stage(nn.Module):
    """A module of a class that no other process knows."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(2)
        self.register_parameter("3to1_matrix", nn.Parameter(torch.eye(3)))


def same(ours: Any, theirs: Any) -> bool:
    if isinstance(theirs, np.ndarray):
        return ours.dtype == theirs.dtype and np.array_equal(ours, theirs)
    if isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(same(ours[k], theirs[k]) for k in theirs)
    if isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    return type(ours) is type(theirs) and bool(ours == theirs)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CONTENT)
def test_containers_numbers_and_arrays_are_read_as_they_were(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "file.pt")
    assert same(read_saved(tmp_path / "file.pt"), content)


def test_nothing_that_a_file_holds_is_run(tmp_path: Path) -> None:
    place, trap = tmp_path / "file.pt", tmp_path / "trap"
    for content in (Trap(trap), {"acc": [Trap(trap)]}, {"x": np.array([Trap(trap)], dtype=object)}):
        torch.save(content, place)
        with pytest.raises(InputError, match="what is pickled is never run"):
            read_saved(place)
        with pytest.raises(InputError):
            read_state(place)
    place.write_bytes(pickle.dumps(Trap(trap)))
    for read in (read_saved, read_state):
        with pytest.raises(InputError, match="file.pt is damaged"):
            read(place)
    assert not trap.exists()


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_pickled_network_gives_its_state_and_its_classes_are_never_made(
    tmp_path: Path, wrapped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = nn.Sequential(nn.Conv2d(3, 2, 1), Stage(), nn.ModuleList([nn.Linear(2, 2)]))
    saved = nn.DataParallel(network) if wrapped else network
    torch.save({"model": saved} if wrapped else saved, tmp_path / "net.pt")
    monkeypatch.setattr(Stage, "__setstate__", lambda *_: pytest.fail("it was made"))
    found, expected = read_state(tmp_path / "net.pt"), network.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_state_dict_is_read_alone_or_inside_and_in_the_older_form(tmp_path: Path) -> None:
    state = OrderedDict(weight=torch.ones(2), count=torch.tensor(3))
    for content in (state, {"state_dict": state, "epoch": 3}):
        for newer in (True, False):
            torch.save(content, tmp_path / "s.pt", _use_new_zipfile_serialization=newer)
            assert read_state(tmp_path / "s.pt").keys() == state.keys()


def test_what_is_no_network_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "s.pt"
    for content, expected in (([1, 2], "holds a list"), ({"a": 1}, "holds no tensors by name")):
        torch.save(content, place)
        with pytest.raises(InputError, match=expected):
            read_state(place)
    with pytest.raises(InputError, match="cannot be read"):
        read_state(tmp_path / "none.pt")
    with pytest.raises(InputError, match="cannot be read"):
        read_saved(tmp_path)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_file_that_is_cut_or_changed_is_refused_or_read_and_nothing_else(
    tmp_path: Path, data: st.DataObject
) -> None:
    torch.save({"acc": [1.0, 2.0], "f_emb": torch.ones(3)}, tmp_path / "file.pt")
    whole = (tmp_path / "file.pt").read_bytes()
    cut = data.draw(st.integers(0, len(whole) - 1))
    (tmp_path / "cut.pt").write_bytes(whole[:cut])
    with pytest.raises(InputError, match="cut.pt is damaged"):
        read_saved(tmp_path / "cut.pt")
    changed = bytearray(whole)
    changed[cut] ^= data.draw(st.integers(1, 255))
    (tmp_path / "changed.pt").write_bytes(changed)
    for read in (read_saved, read_state):
        with suppress(InputError):
            read(tmp_path / "changed.pt")
