"""What a method is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from tans.networks.building import build
from tans.networks.network import HeadedNetwork
from tans.tasks.task import Task
from tans.types import Architecture, Constraints, ZooEntry
from tans.zoo.zoo import Zoo, entry_id

UNTRAINED = "untrained"
"""Source and weights of a network that starts from random weights."""


@dataclass(frozen=True, eq=False)
class Problem:
    """A task, and the limits on its network."""

    task: Task
    limits: Constraints = field(default_factory=Constraints)
    seed: int = 0
    """Of what is random in a method."""


@dataclass(frozen=True)
class Proposal:
    """A network to fine-tune: an architecture, the weights it starts from, and a resolution."""

    source: str
    """Task that the weights were trained on, or ``UNTRAINED``."""
    weights: str
    """SHA-256 of stored weights, or ``UNTRAINED``."""
    architecture: Architecture
    resolution: int
    """Pixels a side of its input."""
    fit_head: bool = True
    """Begin from a head fitted to frozen features, else from a random one."""
    details: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """What else the method says of it, as JSON has it."""
    once_s: float = field(default=0.0, compare=False)
    """Seconds spent on the way that serve all tasks, such as those of meta-training."""

    @classmethod
    def of(cls, entry: ZooEntry) -> Proposal:
        """A stored network."""
        return cls(entry.task, entry.weights, entry.architecture, entry.resolution)

    @property
    def network(self) -> str:
        """Id of the network: of the zoo's entry where it is one."""
        return entry_id(self.source, self.weights, self.architecture, self.resolution)

    def load(self, zoo: Zoo, classes: int, seed: int = 0) -> HeadedNetwork:
        """The network under a new head, in evaluation mode.

        Args:
            zoo: that holds the weights.
            classes: outputs of the head.
            seed: of the head, and of untrained weights.

        Raises:
            ZooError: the zoo lacks the weights.
        """
        if self.weights == UNTRAINED:
            with torch.random.fork_rng():
                torch.manual_seed(seed)
                network: HeadedNetwork = build(self.architecture, classes)
        else:
            network = zoo.load_subnet(self.source, self.weights, self.architecture, self.resolution)
        network.replace_head(classes, seed)
        return network.eval()


class Method(Protocol):
    """A way to get a network for a task; whoever calls it counts the time."""

    def __call__(self, problem: Problem, zoo: Zoo) -> Proposal:
        """Propose a network within the problem's limits.

        Raises:
            LimitError: it has none.
        """
        ...
