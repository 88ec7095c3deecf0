from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tans.tasks.splits import SPLITS
from tans_bench.sources.lookalikes import (
    NEAR_DUPLICATE,
    fingerprints,
    first_of_each,
    join_groups,
    near_duplicates,
    separate,
    undisputed,
)
from tans_bench.sources.registry import fetch, sources


def _noise(count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8, generator=generator)


def test_a_brighter_copy_is_a_near_duplicate_and_other_pictures_are_not() -> None:
    images = _noise(3)
    brighter = (images[:1].float() * 0.8 + 40).round().to(torch.uint8)
    alike = near_duplicates(fingerprints(torch.cat([images, brighter])))
    assert alike[0, 3]
    assert alike.sum() == 4 + 2


def test_groups_are_joined_through_chains() -> None:
    alike = torch.zeros(4, 4, dtype=torch.bool)
    alike[0, 2] = alike[2, 3] = True
    assert join_groups(["a", "b", "c", "d"], alike) == ["a", "b", "a", "a"]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from("abcde"), min_size=2, max_size=8), st.integers(0, 99))
def test_joined_groups_never_separate_what_is_alike(names: list[str], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    alike = torch.rand(len(names), len(names), generator=generator) > 0.8
    alike |= alike.T.clone()
    joined = join_groups(names, alike)
    assert all(joined[a] == joined[b] for a, b in alike.nonzero().tolist())
    assert all(
        joined[a] == joined[b]
        for a in range(len(names))
        for b in range(len(names))
        if names[a] == names[b]
    )


def test_copies_share_a_group_or_go() -> None:
    images = _noise(3)[[0, 1, 0, 2]]
    assert separate(images, ["a", "b", "c", "d"]) == ["a", "b", "a", "d"]
    prints = fingerprints(images)
    assert first_of_each(prints, torch.tensor([0, 0, 0, 1])).tolist() == [0, 1, 3]
    assert undisputed(prints, torch.tensor([0, 0, 1, 1])).tolist() == [1, 3]


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_no_judged_picture_is_trained_on() -> None:
    """Makes every packaged task, which fetches gigabytes the first time."""
    trained = {s.name: _prints(s.name) for s in sources() if s.role == "train"}
    alike = []
    for source in (source for source in sources() if source.role != "train"):
        own = _prints(source.name)
        alike += [
            f"{source.name} {row} is like {name}"
            for name, prints in trained.items()
            for row in _matches(own, prints)
        ]
    assert not alike


def _prints(name: str) -> Tensor:
    task = fetch(name)
    return fingerprints(torch.cat([task.split(part, 64)[0] for part in SPLITS]))


def _matches(own: Tensor, trained: Tensor) -> list[int]:
    nearest = torch.cat([(part @ trained.T).amax(1) for part in own.split(512)])  # (n,)
    return (nearest > NEAR_DUPLICATE).nonzero().flatten().tolist()
