"""The paper's retriever of a zoo: found, trained once, and told to be impossible."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tans.errors import ZooError
from tans.meta.data import MetaData
from tans.meta.published import pairs_alone, published_retriever
from tans.meta.retriever import Retriever
from tans.meta.train import Step, meta_train
from tans.zoo.copy import copy_tasks
from tans.zoo.zoo import Zoo
from tests.small_zoo import SHORT_PUBLISHED as SHORT

pytestmark = pytest.mark.usefixtures("short_published")


def test_it_is_trained_once_and_kept(small_zoo: Zoo) -> None:
    steps: list[Step] = []
    first = published_retriever(small_zoo, steps.append)
    assert len(steps) == SHORT.steps
    assert first.settings == SHORT
    assert len(first.matrix) == len(small_zoo.entries())
    again = published_retriever(small_zoo, steps.append)
    assert len(steps) == SHORT.steps
    assert again.matrix.equal(first.matrix)


def test_the_zoo_stays_as_it_is(small_zoo: Zoo) -> None:
    before = Retriever.load(small_zoo.retrieval)
    published_retriever(small_zoo)
    assert Retriever.load(small_zoo.retrieval).stored == before.stored


def test_a_zoo_that_changed_has_another(small_zoo: Zoo, tmp_path: Path) -> None:
    steps: list[Step] = []
    published_retriever(small_zoo)
    shutil.copytree(small_zoo.path, tmp_path / "zoo")
    zoo = Zoo.open(tmp_path / "zoo")
    published_retriever(zoo, steps.append)
    assert not steps  # the copy is the same
    zoo.add_entries([replace(e, accuracy=0.5) for e in zoo.entries(task="red")])
    published_retriever(zoo, steps.append)
    assert steps


def test_a_zoo_whose_own_is_the_papers_is_searched_by_it(small_zoo: Zoo, tmp_path: Path) -> None:
    shutil.copytree(small_zoo.path, tmp_path / "zoo")
    zoo = Zoo.open(tmp_path / "zoo")
    own = meta_train(MetaData.from_zoo(zoo), replace(SHORT, seed=5, evaluate_every=2))
    own.save(zoo.retrieval)
    assert published_retriever(zoo).settings == own.settings
    assert not (tmp_path / "cache" / "retrievers").exists()


def test_without_a_cache_it_is_trained_once_a_process(
    small_zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("TANS_CACHE", str(tmp_path / "file"))
    steps: list[Step] = []
    first = published_retriever(small_zoo, steps.append)
    assert published_retriever(small_zoo, steps.append) is first
    assert len(steps) == SHORT.steps


def test_a_damaged_one_is_trained_anew(small_zoo: Zoo, tmp_path: Path) -> None:
    first = published_retriever(small_zoo)
    (path,) = (tmp_path / "cache").rglob("weights-*.safetensors")
    path.write_bytes(b"damaged")
    assert published_retriever(small_zoo).matrix.equal(first.matrix)


def test_a_zoo_of_one_task_cannot_be_searched_so(small_zoo: Zoo, tmp_path: Path) -> None:
    zoo = copy_tasks(small_zoo, tmp_path / "zoo", ["red"])
    with pytest.raises(ZooError, match="cannot be searched as the paper does.*at least 2"):
        published_retriever(zoo)


def test_transfers_are_not_learnt_from(small_zoo: Zoo) -> None:
    data = MetaData.from_zoo(small_zoo)
    one = torch.zeros(1, dtype=torch.long)
    measured = replace(
        data, transfer_entries=one, transfer_tasks=one, transfer_accuracy=torch.ones(1)
    )
    alone = pairs_alone(measured)
    assert len(alone.transfer_entries) == len(alone.transfer_tasks) == 0
    assert alone.digest() == data.digest() != measured.digest()
