"""The trial of shapes: what is chosen from, what is run, and what is drawn of it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import pytest

from tans.networks.families.elastic.specification import LITE0, ref_of
from tans.networks.family import describe
from tans.networks.network import Network
from tans.zoo.zoo import Zoo
from tans_bench.experiments.judged import shape
from tans_bench.experiments.judged.jobs import Cell
from tans_bench.runs.bench import Bench
from tans_bench.runs.results import Results
from tests.small_zoo import drawn_task


def test_all_shapes_come_close_to_the_limit_and_the_first_comes_closest() -> None:
    limit = shape.LIMIT * describe(ref_of(LITE0.largest, 64)).body_flops
    flops = [describe(ref).body_flops for ref in shape.slices()]
    assert len(set(shape.slices())) == shape.TRIED
    assert all(shape.CLOSE * limit <= own <= limit for own in flops)
    assert max(flops) == flops[0]


@pytest.mark.long
def test_each_start_is_tuned_in_the_shape_it_is_named_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Network] = []

    def remember(network: Network, *_: object, **__: object) -> SimpleNamespace:
        begun.append(network)
        return SimpleNamespace(test_accuracy=len(begun) / 4)

    monkeypatch.setattr(shape, "finetune", remember)
    monkeypatch.setattr(shape, "BEGINNING", 1)
    monkeypatch.setattr(shape, "TRIED", 3)
    shape.slices.cache_clear()
    bench = Bench(Results(tmp_path), Zoo.open(), lambda name, _: drawn_task(name, "one", n=60))
    found = shape.trial(Cell("script-greek", 0)).run(bench)
    shape.slices.cache_clear()
    assert found["accuracy"] == {"largest": 0.25, "chosen": 0.5, "gone on": 0.75}
    largest, chosen, gone_on = begun
    assert largest.ref == shape.slices()[0]
    assert chosen.ref.name == gone_on.ref.name == found["shape"]
    assert found["loss"]["chosen"] <= found["loss"]["largest"]
    alike = zip(chosen.weights().values(), gone_on.weights().values(), strict=True)
    assert not all(a.shape == b.shape and a.equal(b) for a, b in alike)


def test_points_are_paired_by_task_and_seed(tmp_path: Path) -> None:
    results = Results(tmp_path)
    for task, seed in (("script-greek", 0), ("script-greek", 1), ("icons-apps", 0)):
        trial = shape.trial(Cell(task, seed))
        own = {"largest": 0.5 + 0.1 * seed, "chosen": 0.52 + 0.1 * seed, "gone on": 0.5}
        results.write(trial.name, {**asdict(trial.cell), "accuracy": own})
    (table,) = shape.EXPERIMENT.draw(results)
    assert table.rows == [  # type: ignore[attr-defined]
        ["script-greek", "2", "55.0", "57.0", "50.0", "+2.0", "-5.0"],
        ["icons-apps", "1", "50.0", "52.0", "50.0", "+2.0", "+0.0"],
        ["**all**", "3", "53.3", "55.3", "50.0", "+2.0 (+2.0 to +2.0)", "-2.5 (-5.0 to +0.0)"],
    ]
