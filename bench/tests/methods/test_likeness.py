from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tans_bench.methods.likeness import advantage, centred_cosines, mean_features, neighbours
from tests.meta.synthetic import make_data

NAN = float("nan")
ALL = torch.ones(3, 1, dtype=torch.bool)
MEASURED = torch.tensor([[NAN, 0.4, 0.9], [0.6, NAN, 0.7], [0.8, 0.6, NAN]])
# against the mean of each column, .7 .5 .8: 0: -.1 +.1; 1: -.1 -.1; 2: +.1 +.1


def test_advantage_on_a_hand_case() -> None:
    weights = torch.tensor([[1.0], [3.0], [1.0]])
    found = advantage(MEASURED, weights, ALL)[:, 0].tolist()
    assert found == pytest.approx([(3 * -0.1 + 0.1) / 4, -0.1, 0.1])


def test_advantage_counts_a_tasks_own_network_as_the_best_on_it() -> None:
    weights = torch.tensor([[1.0], [3.0], [1.0]])
    found = advantage(MEASURED, weights, ALL, own=True)[:, 0].tolist()
    assert found == pytest.approx([(0.1 - 0.3 + 0.1) / 5, (-0.1 + 0.3 - 0.1) / 5, 0.1])


def test_advantage_reads_nothing_that_is_not_usable() -> None:
    weights, usable = torch.ones(3, 1), torch.tensor([[True], [True], [False]])
    changed = MEASURED.clone()
    changed[2], changed[:, 2] = 0.0, 0.0
    one, other = (advantage(m, weights, usable, own=True) for m in (MEASURED, changed))
    torch.testing.assert_close(one, other, equal_nan=True)
    assert one[:, 0].isfinite().tolist() == [True, True, False]


def test_centred_cosines_tell_apart_what_lies_far_from_zero() -> None:
    means = torch.tensor([[101.0, 100.0], [99.0, 100.0], [NAN, NAN]])
    found = centred_cosines(means, torch.tensor([[102.0, 100.0]]), ALL)
    assert found[:, 0].tolist() == pytest.approx([1.0, -1.0, NAN], nan_ok=True)


def test_neighbours_take_their_word_from_the_like() -> None:
    data = make_data(tasks=4, families=4, networks=1)
    means = mean_features(data)
    assert means[4].isnan().all()
    measured = torch.full((5, 5), 0.5)
    measured[2, 0], measured[4, 1:] = 0.9, 0.9
    measured[:, 4] = NAN
    like_task_0 = neighbours(data, means[:1] + 0.01, measured)[:, 0]
    assert like_task_0.argmax() == 2
    unlike = neighbours(data, means[1:2] + 0.01, measured)[:, 0]
    assert unlike.argmax() == 4
    nothing = neighbours(data, means[:1], torch.full((5, 5), NAN))
    assert nothing.isnan().all()


def test_neighbours_do_not_depend_on_the_order_of_tasks() -> None:
    data = make_data(tasks=4, families=4)
    measured = torch.rand(5, 5)
    order = torch.tensor([3, 1, 0, 2, 4])
    place = order.argsort()
    shuffled = replace(
        data,
        tasks=tuple(data.tasks[i] for i in order),
        families=tuple(data.families[i] for i in order),
        image_tasks=place[data.image_tasks],
        entry_tasks=place[data.entry_tasks],
    )
    queries = torch.rand(2, data.features.shape[1])
    one = neighbours(data, queries, measured)
    other = neighbours(shuffled, queries, measured[order][:, order])
    torch.testing.assert_close(other, one[order])
