"""What is timed of a network in several ways, in turns, on one thread of the processor."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from threadpoolctl import threadpool_limits

from tans.networks.device import CPU, on
from tans.types import NetworkRef
from tans_bench.runs.bench import Bench
from tans_bench.runs.results import LINES, Result


@dataclass(frozen=True)
class Timed:
    """Time one network, a line of a file of results."""

    file: str
    """Of lines."""
    ref: NetworkRef
    measured: Callable[[NetworkRef], Result]
    """What stands in the line beside the network."""
    task: str = ""
    """None in particular."""

    @property
    def name(self) -> str:
        return f"{self.file}{LINES}/{self.ref}"

    def done(self, bench: Bench) -> bool:
        return bench.results.find(self.file, self.key()) is not None

    def run(self, bench: Bench) -> Result:
        del bench
        with on(CPU), threadpool_limits(1), torch.random.fork_rng():
            torch.manual_seed(0)
            return {**self.key(), **self.measured(self.ref)}

    def key(self) -> Result:
        """What tells one run from another."""
        return {"network": self.ref.name, "size": self.ref.input.size}


def in_turns(ways: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each way, one after another in each round; the first round warms up."""
    taken: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, act in ways.items():
            began = time.perf_counter()
            act()
            taken[way].append(time.perf_counter() - began)
    return {way: round(statistics.median(each[1:]), 5) for way, each in taken.items()}
