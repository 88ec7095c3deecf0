"""Print seconds of looks and of training steps on all threads, as JSON.

PyTorch is imported before tans, so that its threads wait as the environment says.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F

from tans.networks.families.elastic.specification import LITE0, ref_of
from tans.networks.family import build
from tans.training import Recipe, sgd
from tans.training.head import glanced_features

SIZE, CLASSES = 64, 10


def main(images: int, steps: int, rounds: int) -> None:
    torch.manual_seed(0)
    network = build(ref_of(LITE0.largest, SIZE), CLASSES).to(memory_format=torch.channels_last)
    pixels = torch.randint(0, 256, (images, 3, SIZE, SIZE), dtype=torch.uint8)
    x = torch.rand(Recipe.batch_size, 3, SIZE, SIZE).to(memory_format=torch.channels_last)
    y = torch.arange(Recipe.batch_size) % CLASSES
    optimiser = sgd(network, Recipe())

    def look() -> None:
        glanced_features(network.eval(), pixels)

    def learn() -> None:
        network.train()
        for _ in range(steps):
            optimiser.zero_grad()
            F.cross_entropy(network(x), y).backward()
            optimiser.step()

    works = {"look": look, "steps": learn}
    taken = [{work: _timed(act) for work, act in works.items()} for _ in range(rounds)]
    print(json.dumps({work: statistics.median(each[work] for each in taken[1:]) for work in works}))


def _timed(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
