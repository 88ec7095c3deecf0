"""The commands of the bench."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from bench.tests.methods.metad2a.test_learning import TINY
from bench.tests.methods.metad2a.test_published import published, sampled
from bench.tests.sources.test_cifar import write_cifar

from tans.zoo.zoo import Zoo
from tans_bench.methods.metad2a import learning
from tests.cli.conftest import Run


def test_tasks_list(run: Run) -> None:
    listed = run("tasks", "list", "--json").json["tasks"]
    names = [task["name"] for task in listed]
    assert len(names) == len(set(names)) >= 10
    assert all(task["licence"] and len(task["classes"]) > 1 for task in listed)
    table = run("tasks", "list").out
    assert all(name in table for name in names)


def test_bench_lists(run: Run) -> None:
    methods = run("bench", "methods", "--json").json["methods"]
    assert {"tans", "imagenet", "logme"} <= {method["name"] for method in methods}
    assert "LogME" in run("bench", "methods").out
    tasks = {task["name"]: task for task in run("bench", "tasks", "--json").json["tasks"]}
    greek = {"role": "dev", "kind": "sibling", "first_role": "dev"}
    assert tasks["script-greek"] == {"name": "script-greek", **greek}
    cells = {"role": "dev", "kind": "stranger", "first_role": "sealed"}
    assert tasks["solar-cells"] == {"name": "solar-cells", **cells}
    assert "solar-cells" in run("bench", "tasks").out


def test_bench_with_wrong_names(run: Run, tmp_path: Path) -> None:
    for arguments, expected in (
        (("run", "nothing"), "no experiment 'nothing'; expected one of"),
        (("run", "main", "--preset", "tpu"), "no preset 'tpu'; expected one of cpu, gpu"),
        (("report", "--results", tmp_path / "none"), "no results in"),
    ):
        answer = run("bench", *arguments)
        assert answer.code == 1
        assert expected in answer.err
        assert "Traceback" not in answer.err


@pytest.mark.long
def test_cells_of_the_benchmark_are_ranked(
    run: Run, tmp_path: Path, small_zoo: Zoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TANS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(learning, "SMALL_CELLS", TINY)
    torch.save(published(sampled(12)), tmp_path / "cells.pth")
    given = [
        part
        for name in ("cifar10", "cifar100")
        for part in ("--cifar", write_cifar(tmp_path / name, name))
    ]
    zoo = ("--zoo", small_zoo.path)
    found = run("bench", "cells", tmp_path / "cells.pth", *given, *zoo, "--json").json
    assert found["cells"] == 24
    assert set(found["spearman"]) == {"cifar10", "cifar100"}
    assert "MetaD2A" in run("bench", "cells", tmp_path / "cells.pth", *given, *zoo).out
    refused = run("bench", "cells", tmp_path / "cells.pth", *given[:2], *zoo)
    assert refused.code == 1
    assert "give CIFAR-10 and CIFAR-100" in refused.err
