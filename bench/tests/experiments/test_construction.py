"""Building the small zoo again from what is known of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from bench.tests.conftest import run_and_draw

from tans.build.costing import Costing
from tans_bench.experiments.construction import EXPERIMENT, TITLES, Replays
from tans_bench.runs import replay
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Table
from tans_bench.runs.replay import BY_FLOPS, NAMES, SHARES, TIMED, Calibrate, Known, Replay
from tests.build.plan.construction import charging

DEVICE = charging(32, constant=1.0, layers=0.1)
SHORT = replace(EXPERIMENT, plan=Replays(tuple(NAMES), (0, 1)))


@pytest.fixture(autouse=True)
def device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "cached_latency", lambda *_: DEVICE)


def test_every_strategy_ends_with_all_pairs(bench: Bench, tmp_path: Path) -> None:
    needed, given, *_ = run_and_draw(SHORT, bench, tmp_path)
    assert isinstance(needed, Table)
    assert isinstance(given, Table)
    assert (
        [row[0] for row in needed.rows] == [row[0] for row in given.rows] == list(TITLES.values())
    )
    for strategy in NAMES:
        run = bench.results.read(Replay(strategy, 0).name)
        assert run is not None
        assert run["pairs"] == 8
        assert run["counts"] == list(range(1, 9))
        assert run["volume"] == sorted(run["volume"])
        assert run["volume"][-1] == run["time"][-1] == 1.0
        needs = [run["reached"][str(share)] for share in SHARES]
        assert needs == sorted(needs)
        assert needs[-1] == 1 + sum(share < 1 for share in run["volume"])


def test_all_begin_alike_and_end_alike(bench: Bench, tmp_path: Path) -> None:
    run_and_draw(SHORT, bench, tmp_path)
    runs = [bench.results.read(Replay(strategy, 0).name) for strategy in NAMES]
    for what in ("volume", "accuracy"):
        assert len({tuple(run[what][:4]) for run in runs if run}) == 1  # two of each task
        assert len({run[what][-1] for run in runs if run}) == 1


def test_the_same_seed_is_replayed_alike(bench: Bench) -> None:
    assert Replay("thompson", 1).run(bench) == Replay("thompson", 1).run(bench)


def test_what_is_judged_by_latency_is_replayed_by_the_stored_charges(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    *_, drawn = run_and_draw(SHORT, bench, tmp_path)
    assert isinstance(drawn, Table)
    assert len(drawn.rows) == len(TIMED)
    assert "takes 1.0 and the largest 2.0, 2% off" in drawn.caption
    known = Known.of(bench.zoo, Costing(DEVICE))
    assert (known.pool.costs[:, 1] != Known.of(bench.zoo).pool.costs[:, 1]).any()
    assert (known.pool.features == Known.of(bench.zoo).pool.features).all()
    for strategy in TIMED:
        run = bench.results.read(Replay(strategy, 0, latency=DEVICE).name)
        assert run is not None
        assert run["charges"]["layers"] == 0.1
        assert run["volume"][-1] == 1.0
    monkeypatch.setattr(replay, "cached_latency", lambda *_: charging(32, dense=0.1))
    assert all(job.done(bench) for job in SHORT.plan.jobs(bench))  # another device changes nothing
    other = Replay("pareto", 0, latency=charging(32, dense=0.1))
    assert not other.done(bench)


def test_the_order_by_multiply_adds_does_not_depend_on_the_device(bench: Bench) -> None:
    first, second = (
        Replay(BY_FLOPS, 0, latency=device).run(bench)
        for device in (DEVICE, charging(32, weights=1.0))
    )
    assert first["time"] == second["time"]
    assert first["volume"] != second["volume"]
    assert not Calibrate().done(bench)


def test_what_is_retrieved_is_the_best_by_validation_judged_by_test(bench: Bench) -> None:
    known = Known.of(bench.zoo)

    def rank(pair: int) -> tuple[float, float]:
        return known.accuracies[pair], -known.pool.costs[pair, 1]

    expected = 0.0
    for rows, chance in zip(known.pool.rows, known.chances, strict=True):
        best = max(rows, key=rank)
        assert chance == pytest.approx(1 / 3)
        expected += float(known.test_accuracies[best]) / 3
        for size in (0.4, 0.6):
            small = [pair for pair in rows if known.pool.costs[pair, 1] <= size]
            best = max(small, key=rank, default=None)
            expected += float(chance if best is None else known.test_accuracies[best]) / 3
    assert known.retrieved(range(len(known.pool))) == pytest.approx(expected / 2)
    assert known.retrieved([]) == pytest.approx(1 / 3)
