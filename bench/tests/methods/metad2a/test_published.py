"""Cells of NAS-Bench-201 as the benchmark publishes them, with images of CIFAR."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bench.tests.methods.metad2a.test_learning import LEARNS, convolutions
from bench.tests.sources.test_cifar import write_cifar

from tans.errors import InputError
from tans.types import Architecture
from tans.zoo.zoo import Zoo
from tans_bench.methods.metad2a.published import benchmark_pairs, ranks, read_benchmark
from tans_bench.sources.cifar import read_cifar
from tans_bench.spaces.nasbench201 import NAS_BENCH_201

SETS = ("cifar10-valid", "cifar10", "cifar100", "ImageNet16-120")
IMAGES = {"cifar10-valid": ("x-valid", "ori-test"), "cifar10": ("ori-test",)}


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TANS_CACHE", str(tmp_path / "cache"))


def sampled(count: int) -> list[Architecture]:
    drawn = random.Random(0)
    return list(dict.fromkeys(NAS_BENCH_201.sample(drawn) for _ in range(2 * count)))[:count]


def accuracy(cell: Architecture, dataset: str, images: str, seed: int) -> float:
    """In per cent: rises with convolutions, and differs with all else."""
    return 40 + 8 * convolutions(cell) + SETS.index(dataset) + 0.1 * len(images) + 0.01 * seed


def result(cell: Architecture, dataset: str, seed: int, epochs: int) -> dict[str, Any]:
    names = IMAGES.get(dataset, ("x-valid", "x-test", "ori-test"))
    return {
        "name": "infer.tiny",
        "net_state_dict": None,
        "train_acc1es": dict.fromkeys(range(2), 50.0),
        "arch_config": {"channel": 16, "num_cells": 5, "arch_str": NAS_BENCH_201.listing(cell)},
        "params": 0.5,
        "flop": np.float64(50.0 + convolutions(cell)),
        "seed": seed,
        "epochs": epochs,
        "latency": [0.01],
        "eval_names": list(names),
        "eval_acc1es": {
            f"{name}@{epochs - 1}": accuracy(cell, dataset, name, seed) for name in names
        },
    }


def published(cells: list[Architecture]) -> dict[str, Any]:
    """The content of the benchmark's file, of some cells."""

    def schedule(number: int, cell: Architecture, seeds: dict[str, list[int]], epochs: int) -> Any:
        return {
            "arch_index": number,
            "arch_str": NAS_BENCH_201.listing(cell),
            "all_results": {
                (dataset, seed): result(cell, dataset, seed, epochs)
                for dataset, own in seeds.items()
                for seed in own
            },
            "dataset_seed": seeds,
            "clear_net_done": True,
        }

    seeds = {dataset: [777, 888] for dataset in SETS}
    return {
        "meta_archs": [NAS_BENCH_201.listing(cell) for cell in cells],
        "arch2infos": {
            number: {
                "full": schedule(number, cell, seeds, 200),
                "less": schedule(number, cell, {"cifar10-valid": [777]}, 12),
            }
            for number, cell in enumerate(cells)
        },
        "evaluated_indexes": set(range(len(cells))),
    }


@pytest.fixture
def file(tmp_path: Path) -> Path:
    torch.save(published(sampled(40)), tmp_path / "NAS-Bench-201-v1_1-small.pth")
    return tmp_path / "NAS-Bench-201-v1_1-small.pth"


def test_cells_are_read_with_means_over_runs_of_the_long_schedule(file: Path) -> None:
    cells = sampled(40)
    found = read_benchmark(file)
    assert [pair.architecture for pair in found[::3]] == cells
    assert [pair.task for pair in found[:3]] == ["cifar10", "cifar100", "ImageNet16-120"]
    ten, hundred, _ = found[:3]
    seed = (777 + 888) / 2
    assert ten.accuracy == pytest.approx(
        accuracy(cells[0], "cifar10-valid", "x-valid", 0) / 100 + seed / 1e4
    )
    assert ten.test_accuracy == pytest.approx(
        accuracy(cells[0], "cifar10", "ori-test", 0) / 100 + seed / 1e4
    )
    assert hundred.test_accuracy == pytest.approx(
        accuracy(cells[0], "cifar100", "x-test", 0) / 100 + seed / 1e4
    )
    assert ten.flops == 1e6 * (50 + convolutions(cells[0]))


def test_the_form_in_json_says_the_same(file: Path, tmp_path: Path) -> None:
    read, content = read_benchmark(file), dict[str, dict[str, Any]]()
    for pair in read:
        content.setdefault(NAS_BENCH_201.listing(pair.architecture), {})[pair.task] = {
            "validation": 100 * pair.accuracy,
            "test": 100 * (pair.test_accuracy or 0),
            "mflops": pair.flops / 1e6,
        }
    (tmp_path / "cells.json").write_text(json.dumps(content))
    again = read_benchmark(tmp_path / "cells.json")
    assert [replace(p, accuracy=0.0, test_accuracy=None) for p in again] == [
        replace(p, accuracy=0.0, test_accuracy=None) for p in read
    ]
    assert [p.accuracy for p in again] == pytest.approx([p.accuracy for p in read])


@pytest.mark.long
def test_metad2a_learns_cells_of_one_dataset_and_orders_those_of_another(
    file: Path, tmp_path: Path, small_zoo: Zoo
) -> None:
    tasks = [read_cifar(write_cifar(tmp_path / name, name)) for name in ("cifar10", "cifar100")]
    pairs = benchmark_pairs(read_benchmark(file), tasks, small_zoo, cells=30)
    assert {name: len(pairs.of(name)) for name in pairs.datasets} == {"cifar10": 30, "cifar100": 30}
    assert pairs.datasets["cifar10"][0].shape[1] == small_zoo.query_network().width
    found = ranks(pairs, replace(LEARNS, predictor_epochs=60, patience=60))
    for name in ("cifar10", "cifar100"):
        assert found[name]["metad2a"] > 0.5
        assert found[name]["validation"] > 0.9
        assert set(found[name]) == {"metad2a", "size", "validation"}
    with pytest.raises(InputError, match="1 dataset was given"):
        ranks(pairs.without(["cifar10"]), LEARNS)
    with pytest.raises(InputError, match="0 cells were measured on cifar10"):
        benchmark_pairs([], tasks, small_zoo)


def test_what_is_wrong_is_told_with_file_and_cell(tmp_path: Path) -> None:
    cells = sampled(2)
    name = NAS_BENCH_201.listing(cells[0])

    def wrong(change: Any) -> dict[str, Any]:
        content = published(cells)
        change(content["arch2infos"][1]["full"])
        return content

    for content, expected in (
        ({}, "holds no cells"),
        ([1], "holds no cells"),
        ({"arch2infos": {}}, "holds no cells"),
        (wrong(lambda c: c.pop("all_results")), "b.pth, cell 1: no 'full' results"),
        (wrong(lambda c: c["all_results"]["cifar100", 777].pop("epochs")), "cell 1: no 'full'"),
        (wrong(lambda c: c.update(arch_str="|conv~0|")), "cell '|conv~0|': .* is not a cell"),
        ({name: 3}, "expected accuracies by dataset"),
        ({name: {"cifar10": {}}}, "cifar10, validation: it is None; expected per cent"),
        ({name: {"cifar10": {"validation": 101}}}, "it is 101; expected per cent"),
        ({name: {"cifar10": {"validation": True}}}, "it is True"),
        ({name: {"cifar10": {"validation": 50, "test": "high"}}}, "mflops: it is None"),
    ):
        torch.save(content, tmp_path / "b.pth")
        with pytest.raises(InputError, match=expected.replace("|", r"\|")):
            read_benchmark(tmp_path / "b.pth")
    (tmp_path / "b.json").write_text("{")
    with pytest.raises(InputError, match=r"b.json cannot be read"):
        read_benchmark(tmp_path / "b.json")
    np.save(tmp_path / "b.npy", np.array({"a": 1}, dtype=object))
    with pytest.raises(InputError, match=r"b.npy is damaged, or no file that torch.save wrote|run"):
        read_benchmark(tmp_path / "b.npy")
