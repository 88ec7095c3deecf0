from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
import torch

from tans.tasks.check import counts, summary, warnings
from tans.tasks.findings import Findings
from tans.tasks.splits import TEST, TRAIN, VAL
from tans.tasks.task import Task, TaskCard

CARD = TaskCard("drawn", "1", "CC0-1.0", "drawn for a test")


def task_of(*rows: Sequence[int], found: Findings | None = None) -> Task:
    """A task of so many images of each class in training, validation and test."""
    labels = [c for c, row in enumerate(rows) for n in row for _ in range(n)]
    splits = [s for row in rows for s, n in enumerate(row) for _ in range(n)]
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (len(labels), 3, 8, 8), generator=generator, dtype=torch.uint8)
    pixels = Task.from_arrays("all", images, labels, "abc"[: len(rows)], CARD).pixels
    return Task(
        "drawn",
        tuple("abc"[: len(rows)]),
        pixels,
        torch.tensor(labels),
        torch.tensor(splits, dtype=torch.uint8),
        CARD,
        found=found or Findings(),
    )


def test_images_are_counted_by_class_and_split() -> None:
    table = counts(task_of((20, 3, 5), (30, 4, 6)))
    assert table.tolist() == [[20, 3, 5], [30, 4, 6]]
    assert (table[:, TRAIN].sum(), table[:, VAL].sum(), table[:, TEST].sum()) == (50, 7, 11)


def test_a_large_even_task_has_nothing_odd() -> None:
    assert warnings(task_of((200, 50, 100), (200, 50, 100))) == []


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (((200, 50, 80), (40, 10, 10)), "always guessing a would be right for 84.6 %"),
        (((9, 50, 100), (20, 50, 100)), "fewer than 10 training images of a (9)"),
        (((200, 50, 10), (200, 50, 10)), "20 test images tell little"),
        (((200, 50, 0), (200, 50, 100)), "no test image is of a"),
        (((200, 0, 100), (200, 50, 100)), "no validation image is of a"),
        (((200, 0, 100), (200, 0, 100)), "there are no validation images"),
    ],
)
@pytest.mark.long
def test_what_may_mislead_is_told(rows: Sequence[Sequence[int]], words: str) -> None:
    assert any(words in warning for warning in warnings(task_of(*rows)))


def test_the_summary_is_plain_and_whole() -> None:
    found = Findings("one folder for each class", {"damaged": ("a/1.png",)}, remarks=("odd",))
    data = summary(task_of((20, 3, 5), (30, 4, 6), found=found))
    assert json.loads(json.dumps(data)) == data
    assert data["images"] == 68
    assert data["classes"]["b"] == {"train": 30, "val": 4, "test": 6}
    assert data["splits"] == {"train": 50, "val": 7, "test": 11}
    assert data["found"]["left_out"] == {"damaged": {"count": 1, "some": ["a/1.png"]}}
    assert {"1 left out: damaged (a/1.png)", "odd"} <= set(data["warnings"])
