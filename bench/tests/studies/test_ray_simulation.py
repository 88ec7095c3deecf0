"""A simulated build takes what its steps cost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tans_bench.studies.ray_simulation import Costs, Scale, simulate

PAIRS_ALONE = Costs(
    pair_s=(2.0,),
    read_s=0.0,
    choose_s=0.0,
    choose_more_s=0.0,
    hand_out_s=0.0,
    commit_s=0.0,
    commit_row_s=0.0,
    pair_bytes=100,
    read_bytes=10,
    images_bytes=1,
)


def test_without_other_costs_workers_share_the_pairs() -> None:
    one = simulate(PAIRS_ALONE, Scale(workers=1, nodes=1, tasks=4, pairs=16))
    assert one["seconds"] == pytest.approx(32)
    assert one["workers_busy"] == pytest.approx(1)
    eight = simulate(PAIRS_ALONE, Scale(workers=8, nodes=2, tasks=4, pairs=16))
    assert eight["seconds"] == pytest.approx(4)
    assert (eight["read_bytes"], eight["image_bytes"]) == (80, 8)


def test_waiting_for_a_batch_leaves_workers_idle_and_naming_ahead_does_not() -> None:
    scale = Scale(workers=3, nodes=1, tasks=4, pairs=16, batch=4)
    waiting, ahead = (simulate(PAIRS_ALONE, replace(scale, ahead=n)) for n in (0, 1))
    assert waiting["workers_busy"] < ahead["workers_busy"]


def test_each_worker_reads_a_task_once() -> None:
    costs = replace(PAIRS_ALONE, read_s=5.0)
    one = simulate(costs, Scale(workers=1, nodes=1, tasks=4, pairs=16))
    assert one["seconds"] == pytest.approx(32 + 4 * 5)
    assert one["tasks_read"] == 4
