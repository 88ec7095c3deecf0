"""Splits that can tell: every image of a task is tested on once."""

from __future__ import annotations

import pytest
import torch

from tans.tasks.splits import TEST, TRAIN, VAL
from tans.tasks.task import Task, TaskCard
from tans_bench.runs.judge import MOST_TEST, MOST_VAL, SEEDS, images_tested, judged

CARD = TaskCard(source="made", version="1", licence="CC0-1.0", made="noise")


def grouped(n: int = 900, groups: int = 90) -> Task:
    """Images that are their own number, in groups of ten, of three classes."""
    numbers = torch.arange(n)
    images = torch.stack([numbers % 256, numbers // 256, numbers * 0], 1).to(torch.uint8)
    names = [str(int(number) % groups) for number in numbers]
    return Task.from_arrays(
        "noise",
        images[..., None, None].expand(-1, -1, 4, 4).contiguous(),
        numbers % 3,
        ("a", "b", "c"),
        CARD,
        groups=names,
        splits=torch.zeros(n, dtype=torch.uint8).index_fill(0, numbers[numbers % groups < 9], 2),
        join_copies=False,
    )


def numbers(task: Task, split: str) -> set[int]:
    images, _ = task.split(split, 4)
    return {int(image[0, 0, 0]) + 256 * int(image[1, 0, 0]) for image in images}


@pytest.fixture(scope="module")
def task() -> Task:
    return grouped()


def test_each_image_is_tested_on_by_one_seed(task: Task) -> None:
    tested = [numbers(judged(task, seed, 300), "test") for seed in SEEDS]
    assert sum(map(len, tested)) == images_tested(task) == len(task)
    assert set().union(*tested) == set(range(len(task)))


@pytest.mark.parametrize("seed", SEEDS)
def test_no_group_is_parted(task: Task, seed: int) -> None:
    found = judged(task, seed, 300)
    assert found.groups is not None
    homes: dict[str, set[int]] = {}
    for group, split in zip(found.groups, found.splits.tolist(), strict=True):
        homes.setdefault(group, set()).add(split)
    assert all(len(splits) == 1 for splits in homes.values())


def test_splits_are_as_large_as_asked_for_and_no_larger(task: Task) -> None:
    counts = torch.bincount(judged(task, 0, 300).splits).tolist()
    assert counts[TRAIN] == 300
    assert counts[VAL] == MOST_VAL
    assert counts[TEST] == len(task) / len(SEEDS) <= MOST_TEST


def test_seeds_learn_from_other_images_and_one_seed_from_the_same(task: Task) -> None:
    first, again, other = (numbers(judged(task, seed, 100), "train") for seed in (0, 0, 1))
    assert first == again
    assert first != other
