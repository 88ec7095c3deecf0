"""Merged networks: what they are made of, when they are tuned, and what is drawn of them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from tans.networks.network import Network, without_head
from tans.zoo.zoo import Zoo
from tans_bench.experiments.judged import field, merging
from tans_bench.experiments.judged.jobs import Cell, Frozen, OfCell, shortlist
from tans_bench.experiments.judged.methods import METHODS, TANS, Seen, read_seen, tuned
from tans_bench.runs.bench import Bench
from tans_bench.runs.results import Results

CELLS = [Cell("script-greek", 0), Cell("icons-apps", 0)]
NAMES = ("base@64", f"{field.LITE0}@64", "flags@64", "digits@64")
LOOKED = dict(zip(NAMES, (0.5, 0.5, 0.8, 0.6), strict=True))


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """Looks at two cells, of which the merged one wins the first alone."""
    stored = Results(tmp_path)
    for cell, merged in zip(CELLS, (0.9, 0.7), strict=True):
        own = asdict(cell)
        look = {"part": "within", "accuracy": LOOKED, "flops": dict.fromkeys(NAMES, 3e7)}
        stored.write(Frozen(cell, "within").name, {**own, **look})
        near = {"similarity": 0.5, "predicted": 0.1}
        stored.write(shortlist(cell).name, {**own, "sources": {"flags": near, "digits": near}})
        merges = [
            {**asdict(merge), "accuracy": merged if merge == merging.MERGES[1] else 0.4}
            for merge in merging.MERGES
        ]
        stored.write(merging.look(cell).name, {**own, "merges": merges})
    return stored


def _state(network: Network) -> dict[str, torch.Tensor]:
    own = without_head(network.weights())
    return {name: tensor for name, tensor in own.items() if "running" not in name}


@pytest.mark.long
def test_a_merge_is_the_base_and_the_scaled_mean_of_changes(results: Results) -> None:
    seen, zoo = read_seen(results)[CELLS[0]], Zoo.open()
    base, flags, digits = (_state(field.load(n, 64, zoo)) for n in ("base", "flags", "digits"))
    merge = merging.Merge(2, 3.0)
    assert merge.sources(seen) == ["flags", "digits"]  # the best on frozen features first
    for name, tensor in _state(merge.network(seen, zoo)).items():
        if tensor.is_floating_point():
            expected = base[name] + 1.5 * ((flags[name] - base[name]) + (digits[name] - base[name]))
            torch.testing.assert_close(tensor, expected)
    one = _state(merging.Merge(1, 1.0).network(seen, zoo))
    assert all(torch.allclose(one[name], tensor, atol=1e-6) for name, tensor in flags.items())


def test_only_where_a_merge_looks_better_is_there_anything_to_tune(results: Results) -> None:
    bench = Bench(results, Zoo.open(), lambda *_: pytest.fail("nothing is read"))
    jobs = merging.EXPERIMENT.plan.jobs(bench)
    runs = [job for job in jobs if isinstance(job, merging.Run)]
    assert runs == [merging.Run(CELLS[0], merging.MERGES[1])]
    assert not runs[0].done(bench)
    looks = [job for job in jobs if isinstance(job, OfCell)]
    assert {job.cell for job in looks} == set(CELLS)
    assert all(job.done(bench) for job in looks)


def test_the_match_stands_where_no_merge_looks_better(results: Results) -> None:
    looks, gains = merging.EXPERIMENT.draw(results)
    assert gains.rows == [
        ["siblings", "0 of 1", "+0.0"],
        ["strangers", "0 of 0", "\N{EN DASH}"],
    ]  # type: ignore[attr-defined]
    seen: Seen = read_seen(results)[CELLS[0]]
    single, run = tuned(METHODS[TANS], seen), merging.Run(CELLS[0], merging.MERGES[1])
    results.write(single.name, {**single.key(), "accuracy": 0.5})
    results.write(run.name, {**run.key(), "accuracy": 0.54})
    looks, gains = merging.EXPERIMENT.draw(results)
    assert gains.rows[0] == ["siblings", "1 of 2", "+2.0 (+0.0 to +4.0)"]  # type: ignore[attr-defined]
    own = {tuple(row[:3]): row[3] for row in looks.rows}  # type: ignore[attr-defined]
    assert own["siblings", "3", "2"] == "+0.0 (-10.0 to +10.0)"
    assert own["strangers", "3", "2"] == "\N{EN DASH}"
