"""Building the small zoo again from what is known of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from bench.tests.conftest import copied, run_and_draw

from tans.build.costing import Costing
from tans_bench.experiments.construction import EXPERIMENT, TITLES, Replays
from tans_bench.runs import replay
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Table
from tans_bench.runs.replay import BY_FLOPS, NAMES, SHARES, TIMED, Calibrate, Known, Replay
from tests.build.plan.construction import charging

DEVICE = charging(32, constant=1.0, layers=0.1)
SHORT = replace(EXPERIMENT, plan=Replays(tuple(NAMES), (0, 1)))


@pytest.fixture(autouse=True, scope="module")
def device() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replay, "cached_latency", lambda *_: DEVICE)
        yield


@pytest.fixture(scope="module")
def once(run_once: Bench, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """All of it run and drawn."""
    run_and_draw(SHORT, run_once, tmp_path_factory.mktemp("drawn"))
    return run_once


@pytest.fixture
def ran(once: Bench, tmp_path: Path) -> Bench:
    return copied(once, tmp_path / "results")


@pytest.mark.long
def test_every_strategy_ends_with_all_pairs(ran: Bench) -> None:
    needed, given, *_ = SHORT.draw(ran.results)
    assert isinstance(needed, Table)
    assert isinstance(given, Table)
    assert (
        [row[0] for row in needed.rows] == [row[0] for row in given.rows] == list(TITLES.values())
    )
    for strategy in NAMES:
        run = ran.results.read(Replay(strategy, 0).name)
        assert run is not None
        assert run["pairs"] == 8
        assert run["counts"] == list(range(1, 9))
        assert run["volume"] == sorted(run["volume"])
        assert run["volume"][-1] == run["time"][-1] == 1.0
        needs = [run["reached"][str(share)] for share in SHARES]
        assert needs == sorted(needs)
        assert needs[-1] == 1 + sum(share < 1 for share in run["volume"])


@pytest.mark.long
def test_all_begin_alike_and_end_alike(ran: Bench) -> None:
    runs = [ran.results.read(Replay(strategy, 0).name) for strategy in NAMES]
    for what in ("volume", "accuracy"):
        assert len({tuple(run[what][:4]) for run in runs if run}) == 1  # two of each task
        assert len({run[what][-1] for run in runs if run}) == 1


def test_the_same_seed_is_replayed_alike(bench: Bench) -> None:
    assert Replay("thompson", 1).run(bench) == Replay("thompson", 1).run(bench)


@pytest.mark.long
def test_what_is_judged_by_latency_is_replayed_by_the_stored_charges(
    ran: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    *_, drawn = SHORT.draw(ran.results)
    assert isinstance(drawn, Table)
    assert len(drawn.rows) == len(TIMED)
    assert "takes 1.0 and the largest 2.0, 2% off" in drawn.caption
    known, by_flops = Known.of(ran.zoo, Costing(DEVICE)), Known.of(ran.zoo)
    assert (known.pool.costs[:, 1] != by_flops.pool.costs[:, 1]).any()
    assert (known.pool.features == by_flops.pool.features).all()
    for strategy in TIMED:
        run = ran.results.read(Replay(strategy, 0, latency=DEVICE).name)
        assert run is not None
        assert run["charges"]["layers"] == 0.1
        assert run["volume"][-1] == 1.0
    monkeypatch.setattr(replay, "cached_latency", lambda *_: charging(32, dense=0.1))
    assert all(job.done(ran) for job in SHORT.plan.jobs(ran))  # another device changes nothing
    other = Replay("pareto", 0, latency=charging(32, dense=0.1))
    assert not other.done(ran)


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
