"""A query says of a task what a search needs, and nothing else; strange ones are refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import tans
from tans.errors import InputError, LimitError
from tans.meta.retriever import Retriever
from tans.search import Query, SearchResult, embed, search
from tans.search.query import SUFFIXES, is_query
from tans.tasks.check import counts
from tans.zoo.zoo import Zoo
from tests.small_zoo import drawn_task

TASK = drawn_task("green", "three", seed=3)


@pytest.fixture(scope="module")
def query(small_zoo: Zoo) -> Query:
    return embed(TASK, small_zoo)


def ranked(found: SearchResult) -> list[tuple[str, float, float]]:
    return [(m.id, m.predicted_accuracy, m.similarity) for m in found]


def test_it_ranks_as_the_images_do_without_a_look(small_zoo: Zoo, query: Query) -> None:
    for limits in ({}, {"max_params": 2.5e6}):
        own = search(query, small_zoo, **limits)
        assert ranked(own) == ranked(search(TASK, small_zoo, look=0, **limits))
        assert (own.looks, own.related, own.look_s) == ((), None, 0.0)
        assert [m.params for m in own] == [m.params for m in search(TASK, small_zoo, **limits)]
    with pytest.raises(LimitError):
        search(query, small_zoo, max_params=10)


def test_no_network_is_read_where_a_query_is_given(
    small_zoo: Zoo, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Zoo, "base_state", None)
    assert search(query, small_zoo).epochs > 0


def test_it_holds_counts_and_no_names_or_images(query: Query) -> None:
    assert query.classes == tuple(map(tuple, counts(TASK).tolist()))
    assert query.split_sizes == TASK.split_sizes
    assert query.groups == TASK.groups_learnt()
    assert set(query.model_dump()) == {"retriever", "embedding", "classes", "groups"}
    assert not any(name.encode() in query.to_bytes() for name in TASK.classes)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_it_is_the_same_after_a_file(query: Query, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"query{suffix}"
    query.save(path)
    assert is_query(path)
    assert Query.load(path) == query
    assert path.stat().st_size < 4000
    before = path.read_bytes()
    query.save(path)
    assert path.read_bytes() == before


@given(
    st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=300).filter(lambda v: any(v)),
    st.lists(st.tuples(*[st.integers(0, 10**6)] * 3), min_size=2, max_size=30),
)
def test_every_query_is_read_as_it_was_written(
    numbers: list[float], classes: list[tuple[int, int, int]]
) -> None:
    classes[0] = (1 + classes[0][0], *classes[0][1:])
    vector = torch.nn.functional.normalize(torch.tensor(numbers, dtype=torch.float64), dim=0)
    if abs(float(vector.norm()) - 1) > 1e-6:
        return  # too small to have a direction
    query = Query(
        retriever="a" * 64, embedding=tuple(vector.tolist()), classes=tuple(classes), groups=1
    )
    assert Query.parse(query.to_bytes(), "it") == query


def test_a_query_of_another_retriever_is_refused(
    small_zoo: Zoo, query: Query, tmp_path: Path
) -> None:
    shutil.copytree(small_zoo.path, tmp_path / "zoo")
    zoo = Zoo.open(tmp_path / "zoo")
    search(query, zoo)  # a copy has the same
    retriever = Retriever.load(zoo.retrieval)
    retriever.save(zoo.retrieval)
    search(query, zoo)  # and one that was stored anew
    with torch.no_grad():
        next(retriever.members[0].query.parameters()).add_(0.1)
    retriever.save(zoo.retrieval)
    with pytest.raises(InputError, match=r"embedded by retriever .*again with 'tans embed --zoo'"):
        search(query, zoo)
    with pytest.raises(InputError, match="embedded by retriever"):
        search(query.model_copy(update={"embedding": (1.0,)}), small_zoo)


def change(**fields: Any) -> Callable[[dict[str, Any]], None]:
    return lambda query: query.update(fields)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (change(schema=7), "has schema 7"),
        (change(retriever="short"), "retriever"),
        (change(embedding=[]), "embedding"),
        (change(embedding=[0.5, 0.5]), "has length 0.707107; expected 1"),
        (change(embedding=[1.0, "0"]), "embedding.1"),
        (change(embedding=[float("nan"), 1.0]), "embedding"),
        (change(embedding=[3.0]), "embedding"),
        (change(embedding=[0.0] * 2**14 + [1.0]), "embedding"),
        (change(classes=[[1, 0, 0]]), "classes"),
        (change(classes=[[1, 0], [1, 0]]), "classes"),
        (change(classes=[[1, 0, -1], [1, 0, 0]]), "classes"),
        (change(classes=[[1.5, 0, 1], [1, 0, 0]]), "classes"),
        (change(groups=0), "0 groups of"),
        (change(groups=10**6), "groups of"),
        (change(pixels=[1, 2]), "pixels"),
        (lambda query: query.pop("groups"), "groups"),
    ],
)
def test_what_is_no_query_is_refused(
    query: Query, tmp_path: Path, spoil: Callable[[dict[str, Any]], None], said: str
) -> None:
    fields = json.loads(query.to_bytes())
    spoil(fields)
    path = tmp_path / "query.json"
    path.write_text(json.dumps(fields))
    with pytest.raises(InputError, match=said) as error:
        Query.load(path)
    assert "make it again with 'tans embed'" in str(error.value)


def test_files_that_hold_none(query: Query, tmp_path: Path) -> None:
    path = tmp_path / "query.safetensors"
    for data in (b"", b"nonsense" * 100, json.dumps({"a": 1}).encode()):
        path.write_bytes(data)
        with pytest.raises(InputError, match="is damaged"):
            Query.load(path)
    with pytest.raises(InputError, match="cannot read .*none.json"):
        Query.load(tmp_path / "none.json")
    with pytest.raises(InputError, match="ends in '.txt'; expected .json or .safetensors"):
        query.save(tmp_path / "query.txt")
    assert not is_query(tmp_path / "none.json")
    assert not is_query(tmp_path)
    (tmp_path / "croissant.json").write_text('{"@context": {}}')
    assert not is_query(tmp_path / "croissant.json")


def test_in_python_too(small_zoo: Zoo, query: Query) -> None:
    assert tans.embed(TASK, small_zoo) == query
    assert tans.Query is Query
    assert ranked(tans.search(query, small_zoo)) == ranked(search(query, small_zoo))
    with pytest.raises(ValidationError):
        Query(**{**query.model_dump(), "embedding": (2.0,)})
