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


def test_a_slow_store_costs_a_read_for_each_node_and_a_wait_for_each_commit() -> None:
    scale = Scale(workers=2, nodes=1, tasks=4, pairs=16, batch=2)
    plain = simulate(PAIRS_ALONE, scale)
    slow = replace(PAIRS_ALONE, request_s=0.5, reads=2, commit_rounds=3, commit_writes=5)
    found = simulate(slow, scale)
    assert plain["seconds"] == pytest.approx(16)
    assert 16 + 8 * 1.5 < found["seconds"] <= 16 + 8 * 1.5 + 4 * 1.0
    assert found["committing"] == pytest.approx(8 * 1.5 / found["seconds"])
    assert found["gets_per_s"] == pytest.approx(4 * 2 / found["seconds"])
    assert found["puts_per_s"] == pytest.approx(8 * 5 / found["seconds"])
    line = simulate(replace(PAIRS_ALONE, node_bytes_per_s=11.0), scale)
    assert line["node_line"] == pytest.approx(4 * 11 / 11 / line["seconds"])
