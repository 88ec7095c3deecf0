"""A small release, written as the published files are, with a structure of each dataset in it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tans.types import Architecture
from tans_bench.release.contents import SPACE

DATASETS = ("flowers_0_4", "signs_0_6", "bees", "cells_2_9", "letters", "stars")
NETWORKS, IMAGES = 20, 30


def topology_of(architecture: Architecture, unused: int = 3) -> list[int]:
    """45 numbers as published, in which layers that do not exist are not masked."""
    layers = [layer or (unused, unused) for layer in SPACE.to_slots(architecture)]
    depths = [len(stage) for stage in architecture.stages]
    return [kernel for kernel, _ in layers] + [expand for _, expand in layers] + depths


def architectures(count: int, seed: int = 0) -> list[Architecture]:
    """Different ones."""
    drawn, found = random.Random(seed), dict[Architecture, None]()
    while len(found) < count:
        found[SPACE.sample(drawn)] = None
    return list(found)


def networks(datasets: tuple[str, ...] = DATASETS, count: int = NETWORKS) -> dict[str, list[Any]]:
    """What ``p_mod_zoo.pt`` holds; networks of a dataset answer alike to noise."""
    generator = torch.Generator().manual_seed(1)
    content: dict[str, list[Any]] = {
        n: [] for n in ("dataset", "acc", "topol", "f_emb", "n_params")
    }
    for number, name in enumerate(datasets):
        answer = torch.randn(SPACE.features, generator=generator)
        for architecture in architectures(count, number):
            noise = torch.randn(SPACE.features, generator=generator)
            content["dataset"].append(name)
            content["acc"].append(float(60 + 30 * torch.rand(1, generator=generator)))
            content["topol"].append(topology_of(architecture))
            content["f_emb"].append(answer + 0.5 * noise)
            content["n_params"].append(SPACE.costs(architecture, 4, 224).params)
    return content


def images(number: int, count: int, seed: int) -> Tensor:
    """Query features (count, 512) of a dataset."""
    pattern = torch.randn(512, generator=torch.Generator().manual_seed(100 + number))
    noise = torch.randn(count, 512, generator=torch.Generator().manual_seed(seed))
    return (pattern + noise).relu()


def queries(datasets: tuple[str, ...] = DATASETS, count: int = IMAGES) -> dict[str, Any]:
    """What ``p_m_train.pt`` holds: of every second dataset an image a tensor, else a class."""
    found = {}
    for number, name in enumerate(datasets):
        train, test = images(number, count, 2 * number), images(number, 10, 2 * number + 1)
        if number % 2:
            found[name] = {"x_query_train": list(train), "x_query_test": list(test)}
        else:
            found[name] = {
                "x_query_train": list(train.split(10)),
                "x_query_test": list(test.split(5)),
            }
    return found


def write_release(folder: Path) -> Path:
    """The folder, with the two files and one of a dataset that no network was trained on."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(networks(), folder / "p_mod_zoo.pt")
    torch.save(queries(), folder / "p_m_train.pt")
    new = {
        "x_train": list(torch.rand(4, 3, 32, 32)),
        "y_train": [0, 1, 0, 1],
        "x_test": list(torch.rand(2, 3, 32, 32)),
        "y_test": [0, 1],
        "query": list(images(2, 10, 99)),  # of the kind of the third dataset
        "nclss": 2,
    }
    torch.save(new, folder / "meta_test_honey.pt")
    return folder
