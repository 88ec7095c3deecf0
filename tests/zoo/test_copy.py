"""Choosing the tasks of a smaller zoo, and copying them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tans.errors import InputError, ZooError
from tans.networks.features import functional_embedding
from tans.types import Transfer
from tans.zoo.copy import copy_tasks, diverse_tasks
from tans.zoo.verify import verify_zoo
from tans.zoo.zoo import CALIBRATOR, IMAGENET, Zoo
from tests.zoo.conftest import CARD, CLASSES, LARGEST, SMALLEST, SPACE, Tiny, make_entry, nearby

ANGLES = {"a": 0.0, "b": 5.0, "c": 40.0, "d": 80.0, "e": 84.0}
"""Directions, in degrees, of the tasks' features."""


def add_task(tiny: Tiny, name: str, features: torch.Tensor | None, weights: str) -> None:
    labels = None if features is None else torch.arange(len(features)) % 3
    tiny.zoo.add_task(
        name,
        classes=CLASSES,
        card=CARD,
        thumbnails=tiny.thumbnails,
        features=None if features is None or labels is None else (features, labels),
        weights=weights,
        train_images=3,
        cost_s=0.5,
    )


def pointing(degrees: float, length: float = 1.0) -> torch.Tensor:
    """Features (3, 1280) whose mean points so in the plane of the first two."""
    angle = torch.deg2rad(torch.tensor(degrees))
    features = torch.zeros(3, SPACE.features)
    features[:, 0], features[:, 1] = length * angle.cos(), length * angle.sin()
    return features + torch.tensor([-0.1, 0.0, 0.1])[:, None] * features


@pytest.fixture
def several(tiny: Tiny) -> Tiny:
    """Cutlery, a fork of it with a transfer each way, and ImageNet."""
    weights = tiny.zoo.add_weights(nearby(tiny.state, seed=5), base=tiny.base)
    add_task(tiny, "chairs", pointing(70), weights)
    add_task(tiny, IMAGENET, None, tiny.base)
    chair = make_entry(weights, SMALLEST, task="chairs", seed=3)
    whole = make_entry(tiny.base, LARGEST, task=IMAGENET)
    tiny.zoo.add_entries([chair, whole])
    cup = tiny.entries[0]
    pairs = [(cup.id, "chairs"), (chair.id, "cutlery"), (chair.id, "gone"), (whole.id, "chairs")]
    tiny.zoo.add_transfers([Transfer(*pair, 10, 300, 0.5, 0, 9.5, 3, 30) for pair in pairs])
    return replace(tiny, zoo=Zoo.open(tiny.zoo.path))


# Choosing


def test_far_tasks_are_chosen_first(tiny: Tiny) -> None:
    for name, degrees in ANGLES.items():
        add_task(tiny, name, pointing(degrees, length=1 + degrees), tiny.weights)
    add_task(tiny, "cutlery", pointing(42), tiny.weights)
    add_task(tiny, IMAGENET, None, tiny.base)
    # the mean leans to the long ones, d and e
    assert diverse_tasks(tiny.zoo, 1) == ["a"]
    assert diverse_tasks(tiny.zoo, 3) == ["a", "e", "cutlery"]
    assert sorted(diverse_tasks(tiny.zoo, 6)) == sorted([*ANGLES, "cutlery"])


def test_equal_tasks_are_chosen_by_name(tiny: Tiny) -> None:
    for name in ("y", "x", "cutlery"):
        add_task(tiny, name, pointing(30), tiny.weights)
    chosen = diverse_tasks(tiny.zoo, 3)
    assert sorted(chosen) == ["cutlery", "x", "y"]
    assert chosen == diverse_tasks(Zoo.open(tiny.zoo.path), 3)


@pytest.mark.parametrize("count", [0, -1, 2])
def test_counts_that_cannot_be_met_are_refused(tiny: Tiny, count: int) -> None:
    with pytest.raises(InputError, match=f"count is {count}; expected 1 to 1"):
        diverse_tasks(tiny.zoo, count)


# Copying


@pytest.mark.long
def test_a_copy_is_all_that_belongs_to_its_tasks(several: Tiny, tmp_path: Path) -> None:
    copy = copy_tasks(several.zoo, tmp_path / "copy", ["chairs"])
    source = several.zoo
    assert copy.tasks() == [source.task("chairs"), source.task(IMAGENET)]
    assert copy.entries() == source.entries(task="chairs") + source.entries(task=IMAGENET)
    assert copy.base == source.base
    kept = {entry.id for entry in copy.entries(vectors=False)}
    assert copy.transfers() == [t for t in source.transfers() if t.source in kept]
    assert {t.target for t in copy.transfers()} == {"cutlery", "gone", "chairs"}
    assert torch.equal(copy.features("chairs")[0], source.features("chairs")[0])
    report = verify_zoo(Zoo.open(tmp_path / "copy"))
    assert (report.problems, report.unused) == ((), ())
    (chair,) = copy.entries(task="chairs")
    embeddings = [functional_embedding(zoo.load(chair.id)) for zoo in (copy, source)]
    assert torch.equal(*embeddings)


@pytest.mark.long
def test_a_copy_goes_on(several: Tiny, tmp_path: Path) -> None:
    first = copy_tasks(several.zoo, tmp_path / "copy", [])
    assert [task.name for task in first.tasks()] == [IMAGENET]
    copy_tasks(several.zoo, tmp_path / "copy", ["chairs"])
    for _ in range(2):
        whole = copy_tasks(several.zoo, tmp_path / "copy", ["cutlery", "chairs", IMAGENET])
        assert whole.tasks() == several.zoo.tasks()
        assert whole.entries() == several.zoo.entries()
        assert whole.transfers() == several.zoo.transfers()


def test_a_folder_in_use_is_refused(several: Tiny, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    copy_tasks(several.zoo, tmp_path / "copy", ["chairs"])
    for name in ("mine", "file", "copy", "zoo"):
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(ZooError, match=name):
            copy_tasks(several.zoo, tmp_path / name, ["cutlery"])
        assert sorted(tmp_path.rglob("*")) == before


def test_what_is_not_there_is_refused_before_anything_is_written(
    several: Tiny, tmp_path: Path
) -> None:
    with pytest.raises(ZooError, match="nearest are chairs"):
        copy_tasks(several.zoo, tmp_path / "copy", ["chair"])
    empty = Zoo.create(tmp_path / "empty")
    with pytest.raises(ZooError, match=IMAGENET):
        copy_tasks(empty, tmp_path / "copy", [])
    assert not (tmp_path / "copy").exists()


def test_the_judge_comes_with_a_copy(small_zoo: Zoo, tmp_path: Path) -> None:
    shutil.copytree(small_zoo.path, tmp_path / "whole")
    whole = Zoo.open(tmp_path / "whole")
    (whole.retrieval / CALIBRATOR).write_text("fitted to many trials")
    copied = copy_tasks(whole, tmp_path / "copy", ["red"])
    assert (copied.retrieval / CALIBRATOR).read_text() == "fitted to many trials"
    assert sorted(path.name for path in copied.retrieval.iterdir()) == [CALIBRATOR, "seals"]
