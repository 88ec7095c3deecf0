from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tans.meta.metrics import chosen, regret, retrieval, spearman

NAN = float("nan")


def test_ranks_on_a_hand_case() -> None:
    entry_tasks = torch.tensor([0, 0, 1, 1, 2])
    scores = torch.tensor([[0.1, 0.9, 0.2, 0.3, 0.4], [0.8, 0.7, 0.1, 0.2, 0.6]])
    found = retrieval(scores, entry_tasks, torch.tensor([0, 1]))
    # query 0: own network first; query 1: own .2 lies behind .8, .7, .6, and behind both tasks
    assert (found.entries.r1, found.entries.r5) == (0.5, 1.0)
    assert (found.entries.mean_rank, found.entries.median_rank) == (2.5, 2.5)
    assert (found.tasks.mean_rank, found.tasks.r1, found.queries) == (2.0, 0.5, 2)


def test_equal_scores_earn_nothing() -> None:
    found = retrieval(torch.zeros(2, 4), torch.arange(4), torch.tensor([0, 3]))
    assert found.tasks.r1 == 0
    assert found.tasks.mean_rank == found.tasks_chance.mean_rank == 2.5


def test_chance_on_a_hand_case() -> None:
    found = retrieval(torch.rand(1, 20), torch.arange(20) // 2, torch.tensor([4]))
    # first of 2 right ones among 20: P(first) = 2/20, mean 21/3; tasks: uniform among 10
    assert found.entries_chance.r1 == pytest.approx(0.1)
    assert found.entries_chance.mean_rank == pytest.approx(7)
    assert found.entries_chance.median_rank == pytest.approx(6)
    assert found.tasks_chance.r5 == pytest.approx(0.5)
    assert found.tasks_chance.mean_rank == pytest.approx(5.5)
    assert found.tasks_chance.median_rank == pytest.approx(5.5)


def test_chance_is_what_random_scores_give() -> None:
    generator = torch.Generator().manual_seed(0)
    scores = torch.rand(4000, 28, generator=generator)
    found = retrieval(scores, torch.arange(28) % 7, torch.full((4000,), 5))
    assert found.entries.r5 == pytest.approx(found.entries_chance.r5, abs=0.03)
    assert found.entries.mean_rank == pytest.approx(found.entries_chance.mean_rank, rel=0.04)
    assert found.entries.median_rank == pytest.approx(found.entries_chance.median_rank)
    assert found.tasks.mean_rank == pytest.approx(found.tasks_chance.mean_rank, rel=0.04)


@given(st.integers(0, 1000), st.integers(2, 9))
@settings(max_examples=20, deadline=None)
def test_spearman_agrees_with_scipy_ties_and_gaps_included(seed: int, size: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randint(0, 5, (size, 3), generator=generator).float()
    truth = torch.randint(0, 9, (size, 3), generator=generator).float()
    truth[0, 1] = NAN
    for column, found in enumerate(spearman(scores, truth).tolist()):
        known = truth[:, column].isfinite()
        a, b = scores[known, column], truth[known, column]
        if len(a.unique()) < 2 or len(b.unique()) < 2:
            assert found == 0
        else:
            expected = stats.spearmanr(a.numpy(), b.numpy()).statistic
            assert found == pytest.approx(expected, abs=1e-5)


def test_regret_on_a_hand_case() -> None:
    truth = torch.tensor([[0.5, 0.9], [0.8, NAN], [0.6, 0.4]])
    scores = torch.tensor([[0.1, 0.1], [0.2, 0.9], [0.9, 0.3]])
    assert chosen(scores, truth).tolist() == pytest.approx([0.6, 0.4])
    assert regret(scores, truth).tolist() == pytest.approx([0.2, 0.5])
    assert regret(truth, truth).tolist() == [0, 0]
    assert chosen(scores, truth, first=2).tolist() == pytest.approx([0.8, 0.9])
    assert regret(scores, truth, first=2).tolist() == pytest.approx([0.0, 0.0])
    assert regret(scores, truth, first=9).tolist() == pytest.approx([0.0, 0.0])
