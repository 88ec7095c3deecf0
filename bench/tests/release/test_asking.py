"""A zoo of the release is asked with its own features, by the settings of the paper."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from bench.tests.release.published import DATASETS, images, write_release

from tans.errors import InputError, LimitError, ZooError
from tans.meta.presets import PRESETS
from tans.workflow import train
from tans.zoo.zoo import Zoo
from tans_bench.release.asking import ask, judge
from tans_bench.release.contents import TEST, Query, read_meta_test, read_queries
from tans_bench.release.importing import import_release

SHORT = replace(PRESETS["paper"], steps=150, evaluate_every=0)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_release(tmp_path_factory.mktemp("release"))


@pytest.fixture(scope="module")
def zoo(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    made = import_release(release, tmp_path_factory.mktemp("made") / "zoo").zoo
    train(made, SHORT)
    return made


@pytest.fixture
def query(release: Path) -> Query:
    """Of no dataset of the zoo, but of the kind of ``bees``."""
    return read_meta_test(release / "meta_test_honey.pt")


@pytest.mark.long
def test_unseen_images_of_each_dataset_find_its_own_networks(zoo: Zoo, release: Path) -> None:
    queries = read_queries(release / "p_m_train.pt")
    found = judge(zoo, {name: parts[TEST] for name, parts in queries.items()})
    assert found.queries == len(DATASETS)
    assert found.tasks.r1 == 1.0
    assert found.tasks_chance.r1 == pytest.approx(1 / 6)


def test_the_nearest_networks_are_put_in_the_order_of_the_predictor(zoo: Zoo, query: Query) -> None:
    found = ask(zoo, query)
    assert {match.task for match in found} == {"bees"}
    predicted = [match.predicted_accuracy for match in found]
    assert predicted == sorted(predicted, reverse=True)
    everyone = ask(zoo, query, top=1000)
    nearest = sorted(everyone, key=lambda match: -match.similarity)[:10]
    assert {match.id for match in found} == {match.id for match in nearest}
    (best,) = ask(zoo, query, top=1)
    assert best == found[0]


def test_limits_count_the_head_for_the_querys_classes(zoo: Zoo, query: Query) -> None:
    everyone = ask(zoo, query, top=1000)
    limit = sorted(match.params for match in everyone)[20]
    found = ask(zoo, query, max_params=limit, top=1000)
    assert {m.id for m in found} == {m.id for m in everyone if m.params <= limit}
    with pytest.raises(LimitError, match="the nearest limit"):
        ask(zoo, query, max_flops=1)


def test_what_cannot_be_asked_is_told(zoo: Zoo, query: Query) -> None:
    with pytest.raises(InputError, match="top is 0"):
        ask(zoo, query, top=0)
    with pytest.raises(InputError, match="has no networks of these 1 datasets"):
        judge(zoo, {"honey": query})
    other = replace(query, features=torch.zeros(3, 1280), labels=torch.zeros(3).long())
    with pytest.raises(InputError, match=r"expected \(images, 512\)"):
        ask(zoo, other)


def test_a_zoo_that_was_not_trained_is_told(release: Path, tmp_path: Path) -> None:
    made = import_release(release, tmp_path / "zoo").zoo
    query = Query(images(0, 3, 1), torch.zeros(3).long(), ("a",))
    with pytest.raises(ZooError, match="no retriever.*tans train"):
        ask(made, query)
