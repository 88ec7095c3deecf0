"""What MetaD2A does on tasks that were left out."""

from __future__ import annotations

from dataclasses import replace

import pytest
from bench.tests.conftest import of_zoo
from bench.tests.methods.metad2a.test_learning import TINY

from tans.types import Architecture
from tans_bench.methods.method import space_of
from tans_bench.runs.bench import Bench
from tans_bench.runs.generated import CHOSEN, ELASTIC, GENERATED, Against, Spared, Unseen


def test_a_fold_spares_each_task_once(bench: Bench) -> None:
    folds = [Spared(ELASTIC, fold, 2, TINY) for fold in (0, 1)]
    pairs = folds[0].pairs(bench)
    assert [spared.left_out(pairs) for spared in folds] == [["blue"], ["red"]]
    result = Unseen(folds[1], graphs=20).run(bench)
    assert result["tasks"].keys() == {"red"}
    assert result["learnt_from"] == len(pairs.of("blue"))


def test_shares_are_of_what_was_written(bench: Bench) -> None:
    result = Unseen(Spared(ELASTIC, 0, 2, TINY), graphs=20).run(bench)
    for own in result["tasks"].values():
        assert all(0 <= own[share] <= 1 for share in ("valid", "unique", "novel"))
        assert all(-1 <= own[key] <= 1 for key in own if key.startswith("spearman"))
        assert own["networks"] == 4


@pytest.mark.long
def test_each_architecture_is_measured_beside_another_of_its_cost(bench: Bench) -> None:
    job = Against("red", Spared(ELASTIC, 1, 2, TINY), graphs=20, count=2)
    result = job.run(replace(bench, tasks=of_zoo))
    assert result["pairs"].keys() == {GENERATED, CHOSEN}
    for pair in (pair for pairs in result["pairs"].values() for pair in pairs):
        assert pair["own"]["architecture"] != pair["random"]["architecture"]
        assert pair["random"]["flops"] == pytest.approx(pair["own"]["flops"], rel=0.1)
        for network in pair.values():
            space_of(bench.zoo).check(Architecture.parse(network["architecture"]))
            assert 0 <= network["accuracy"] <= 1
