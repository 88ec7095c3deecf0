"""What files of the release say, and what is wrong with those that say what cannot be."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bench.tests.release.published import (
    DATASETS,
    NETWORKS,
    architectures,
    images,
    networks,
    queries,
    topology_of,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from tans.errors import InputError
from tans_bench.release.contents import (
    SPACE,
    TEST,
    TRAIN,
    Query,
    read_meta_test,
    read_networks,
    read_queries,
)

Change = Callable[[dict[str, Any]], object]


def saved(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


def test_networks_are_read_with_masked_topologies(tmp_path: Path) -> None:
    content = networks()
    found = read_networks(saved(tmp_path / "p_mod_zoo.pt", content))
    assert found.datasets == tuple(content["dataset"])
    assert found.architectures[:NETWORKS] == tuple(architectures(NETWORKS, 0))
    assert torch.equal(found.functional, torch.stack(content["f_emb"]))
    assert torch.allclose(found.accuracy * 100, torch.tensor(content["acc"]))
    assert found.params.tolist() == content["n_params"]
    assert found.notes == (
        f"p_mod_zoo.pt: accuracies from {min(content['acc']):g} to {max(content['acc']):g} are "
        "taken as per cent",
    )


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32), st.sampled_from([0, 3, 5, 7, 9]), st.data())
def test_a_network_is_the_same_whatever_stands_for_no_layer_and_however_numbers_are_kept(
    tmp_path: Path, seed: int, unused: int, data: st.DataObject
) -> None:
    architecture = SPACE.sample(random.Random(seed))
    kept = data.draw(st.sampled_from([list, torch.tensor, np.array, Tensor]))
    content = {
        "dataset": ["one"],
        "acc": data.draw(st.sampled_from([[0.5], torch.tensor([0.5]), [np.float64(0.5)]])),
        "topol": [kept(topology_of(architecture, unused))],
        "f_emb": data.draw(st.sampled_from([torch.zeros(1, 1536), [np.zeros(1536)]])),
        "n_params": data.draw(st.sampled_from([[5e6], [5_000_000], torch.tensor([[5_000_000]])])),
    }
    found = read_networks(saved(tmp_path / "zoo.pt", content))
    assert found.architectures == (architecture,)
    assert found.accuracy.tolist() == [0.5]
    assert "shares of 1" in found.notes[0]


def put(field: str, row: int, item: object) -> Change:
    return lambda content: content[field].__setitem__(row, item)


WRONG: dict[str, tuple[Change, str]] = {
    "a field is missing": (lambda c: c.pop("topol"), "topol: it is missing"),
    "a field is text": (lambda c: c.update(acc="high"), "acc: it is a str"),
    "a list is short": (lambda c: c["acc"].pop(), "lists of dataset 120, acc 119"),
    "all lists are empty": (lambda c: [each.clear() for each in c.values()], "at least one"),
    "no name": (put("dataset", 3, " "), "dataset: it is ' ' in row 3"),
    "a number for a name": (put("dataset", 3, 7), "dataset: it is '7' in row 3"),
    "a name that is taken": (put("dataset", 3, "imagenet"), "which is not 'imagenet'"),
    "accuracy is NaN": (put("acc", 5, float("nan")), "acc: it holds NaN or infinity in row 5"),
    "accuracy is above all": (put("acc", 5, 100.5), "acc: it is 100.5 in row 5; expected 0 to 100"),
    "accuracy is negative": (put("acc", 5, -1.0), "acc: it is -1 in row 5"),
    "accuracy is text": (put("acc", 5, "high"), "acc: it holds no numbers in row 5"),
    "no parameters": (put("n_params", 5, 0), "n_params: it is 0 in row 5"),
    "too few numbers": (put("topol", 2, [3] * 44), "topol: it is of shape (44,) in row 2"),
    "no such kernel": (put("topol", 2, [4] * 40 + [4] * 5), "topol: it is no network"),
    "no such depth": (put("topol", 2, [3] * 40 + [5] * 5), "topol: it is no network"),
    "half a kernel": (put("topol", 2, [3.5] * 40 + [4] * 5), "topol: it is no network"),
    "the same network twice": (
        lambda c: c["topol"].__setitem__(1, c["topol"][0]),
        "topol: it is the same network of dataset 'flowers_0_4' in rows 0 and 1",
    ),
    "other width": (put("f_emb", 4, torch.zeros(1280)), "f_emb: it is of shape (1280,) in row 4"),
    "infinite answer": (
        put("f_emb", 4, torch.full((1536,), torch.inf)),
        "f_emb: it holds NaN or infinity in row 4",
    ),
    "complex answer": (
        put("f_emb", 4, torch.zeros(1536, dtype=torch.complex64)),
        "f_emb: it holds torch.complex64 in row 4",
    ),
    "an answer that is nowhere": (
        put("f_emb", 4, torch.zeros(1536, device="meta")),
        "f_emb: it holds torch.float32 in row 4",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_cannot_be_is_told_with_its_file_field_and_row(tmp_path: Path, wrong: str) -> None:
    content = networks()
    change, expected = WRONG[wrong]
    change(content)
    with pytest.raises(InputError) as told:
        read_networks(saved(tmp_path / "p_mod_zoo.pt", content))
    assert "p_mod_zoo.pt" in str(told.value)
    assert expected in str(told.value)


JUNK = st.sampled_from(
    [
        *(None, "", "a", b"a", -1, 0, 1, 10**30, 0.5, float("nan"), float("inf"), True),
        *([], [1], {}, {"a": 1}, [[1, 2], [3]], [3] * 45, [7] * 40 + [2] * 5, {1, 2}, ("a",)),
        *(np.zeros(3), np.zeros((2, 1536)), np.float32(0.5), torch.zeros(0), torch.zeros(1536)),
        *(torch.ones(45), torch.zeros(2, 2), torch.tensor(True), torch.zeros(3).to_sparse()),
    ]
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
@pytest.mark.long
def test_any_junk_in_any_place_is_read_or_one_error_that_names_the_file(
    tmp_path: Path, data: st.DataObject
) -> None:
    content: dict[Any, Any] = networks(DATASETS[:2], 2)
    asked: dict[Any, Any] = queries(DATASETS[:2], 20)
    junk = data.draw(JUNK)
    field = data.draw(st.sampled_from(sorted(content)))
    if data.draw(st.booleans()):
        content[field] = junk
    else:
        content[field][data.draw(st.integers(0, 3))] = junk
    place = data.draw(st.sampled_from([TRAIN, TEST, "clss", "nclss", None]))
    if place is None:
        asked[data.draw(st.sampled_from(["", "a", 1, DATASETS[0]]))] = junk
    elif data.draw(st.booleans()) or place not in asked[DATASETS[0]]:
        asked[DATASETS[0]][place] = junk
    else:
        asked[DATASETS[0]][place][0] = junk
    for read, name, held in (
        (read_networks, "p_mod_zoo.pt", content),
        (read_queries, "p_m_train.pt", asked),
    ):
        path = saved(tmp_path / name, held)
        try:
            read(path)
        except InputError as error:
            assert str(error).startswith(str(path)), error  # noqa: PT017 - others are failures


def test_the_same_topology_behind_other_numbers_for_no_layer_is_the_same_network(
    tmp_path: Path,
) -> None:
    content = networks()
    content["topol"][1] = topology_of(SPACE.smallest, unused=5)
    content["topol"][0] = topology_of(SPACE.smallest, unused=7)
    with pytest.raises(InputError, match="the same network of dataset 'flowers_0_4'"):
        read_networks(saved(tmp_path / "p_mod_zoo.pt", content))


def test_numbers_of_parameters_that_no_topology_has_are_told(tmp_path: Path) -> None:
    content = networks()
    content["n_params"][7] = 5.2
    *_, told = read_networks(saved(tmp_path / "p_mod_zoo.pt", content)).notes
    assert "n_params of 1 networks" in told
    assert "in row 7" in told


def test_queries_are_read_by_image_and_by_class(tmp_path: Path) -> None:
    content = queries()
    found = read_queries(saved(tmp_path / "p_m_train.pt", content))
    assert tuple(found) == DATASETS
    by_class, by_image = found[DATASETS[0]], found[DATASETS[1]]
    assert by_class[TRAIN].labels.bincount().tolist() == [10, 10, 10]
    assert by_class[TEST].labels.bincount().tolist() == [5, 5]
    assert by_class[TRAIN].classes == ("class 1", "class 2", "class 3")
    assert by_image[TRAIN].labels.tolist() == [0] * 30
    assert torch.equal(by_image[TEST].features, torch.stack(content[DATASETS[1]][TEST]))


def rows(query: Query) -> list[list[float]]:
    return query.features.tolist()


def test_the_same_images_are_the_same_query_in_every_form(tmp_path: Path) -> None:
    features = images(0, 6, 5)
    forms: list[Any] = [
        list(features),
        features,
        [row[None] for row in features],
        features.reshape(6, 512, 1, 1),
        [features[:3], features[3:]],
        features.reshape(2, 3, 512),
        [features[:1], features[1:]],
        features.numpy(),
        [row.tolist() for row in features],
    ]
    for form in forms:
        found = read_meta_test(saved(tmp_path / "meta_test_a.pt", {"query": form, "nclss": 9}))
        assert rows(found) == features.tolist()
        assert len(found.classes) == 9


def test_names_of_classes_are_kept_where_they_stand(tmp_path: Path) -> None:
    content = {"query": list(images(0, 6, 5)), "clss": ["ant", "bee"], "nclss": 2}
    assert read_meta_test(saved(tmp_path / "meta_test_a.pt", content)).classes == ("ant", "bee")


WRONG_QUERIES: dict[str, tuple[Any, str]] = {
    "nothing": (None, "it is missing or empty"),
    "no image": ([], "it is missing or empty"),
    "one number": (torch.tensor(1.0), "it is a Tensor"),
    "other width": ([torch.zeros(2048)], "it is of shape (2048,) in row 0"),
    "an empty class": ([torch.zeros(2, 512), torch.zeros(0, 512)], "of shape (0, 512) in row 1"),
    "text": (["a"], "it holds no numbers in row 0"),
    "NaN": ([torch.full((512,), torch.nan)], "it holds NaN or infinity"),
    "more than memory": (torch.zeros(1).expand(1, 10**12, 512), "of shape (1000000000000, 512)"),
}


@pytest.mark.parametrize("wrong", WRONG_QUERIES)
def test_a_query_that_cannot_be_is_told_with_file_and_field(tmp_path: Path, wrong: str) -> None:
    item, expected = WRONG_QUERIES[wrong]
    content = {"cats": {TRAIN: list(images(0, 3, 1)), TEST: item}}
    for read, place, held in (
        (read_queries, "p_m_train.pt, dataset 'cats', x_query_test: ", content),
        (read_meta_test, "meta_test_cats.pt, query: ", {"query": item, "nclss": 2}),
    ):
        with pytest.raises(InputError) as told:
            read(saved(tmp_path / place.split(",")[0], held))
        assert place in str(told.value)
        assert expected in str(told.value)


def test_files_of_something_else_are_told(tmp_path: Path) -> None:
    for content, expected in (
        ([1, 2], "the file: it holds a list"),
        ({}, "dataset: it is missing"),
        ({"weight": torch.zeros(2)}, "dataset: it is missing"),
    ):
        with pytest.raises(InputError, match=expected):
            read_networks(saved(tmp_path / "a.pt", content))
    for content, expected in (
        ({}, "no dataset"),
        ({"weight": torch.zeros(2)}, "dataset 'weight': it holds a Tensor"),
        ({1: {}}, "dataset: it is '1'"),
    ):
        with pytest.raises(InputError, match=expected):
            read_queries(saved(tmp_path / "b.pt", content))
    for count in (0, -1, 10**9, "many", [1, 2]):
        with pytest.raises(InputError, match="c.pt, nclss: it"):
            read_meta_test(saved(tmp_path / "c.pt", {"query": [torch.ones(512)], "nclss": count}))
