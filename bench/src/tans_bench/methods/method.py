"""What a method is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from tans.networks.families.elastic.family import ELASTIC
from tans.networks.families.elastic.specification import Specification
from tans.networks.family import build
from tans.networks.network import Network
from tans.tasks.task import Task
from tans.types import Constraints, NetworkRef, ZooEntry
from tans.zoo.ids import entry_id
from tans.zoo.zoo import Zoo
from tans_bench.methods.budget import Budget

UNTRAINED = "untrained"
"""Source and weights of a network that starts from random weights."""


@dataclass(frozen=True, eq=False)
class Problem:
    """A task, and the limits on its network."""

    task: Task
    limits: Constraints = field(default_factory=Constraints)
    seed: int = 0
    """Of what is random in a method."""
    budget: Budget = "small"
    """How much the search may cost."""


@dataclass(frozen=True)
class Proposal:
    """A network to fine-tune, and the weights it starts from."""

    source: str
    """Task that the weights were trained on, or ``UNTRAINED``."""
    weights: str
    """SHA-256 of stored weights, or ``UNTRAINED``."""
    ref: NetworkRef
    fit_head: bool = True
    """Begin from a head fitted to frozen features, else from a random one."""
    details: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """What else the method says of it, as JSON has it."""
    once_s: float = field(default=0.0, compare=False)
    """Seconds spent on the way that serve all tasks, such as those of meta-training."""

    @classmethod
    def of(cls, entry: ZooEntry) -> Proposal:
        """A stored network."""
        return cls(entry.task, entry.weights, entry.ref)

    @property
    def network(self) -> str:
        """Id of the network: of the zoo's entry where it is one."""
        return entry_id(self.source, self.weights, self.ref)

    def load(self, zoo: Zoo, classes: int, seed: int = 0) -> Network:
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
                network = build(self.ref, classes)
        else:
            network = zoo.load_network(self.ref, self.weights, self.source)
        network.replace_head(classes, seed)
        return network.eval()


def space_of(zoo: Zoo) -> Specification:
    """The elastic space that a zoo's supernets are of.

    Raises:
        ZooError: the zoo has no base.
        InputError: its base is no elastic network.
    """
    return ELASTIC.space(ELASTIC.space_of(zoo.base_ref))


@dataclass(frozen=True)
class Deviation:
    """Where a rival is not run as its paper has it."""

    what: str
    paper: str
    here: str
    """At the budget of two cores; as published with the full one, where it does not say so."""
    why: str


class Method(Protocol):
    """A way to get a network for a task; whoever calls it counts the time."""

    def __call__(self, problem: Problem, zoo: Zoo) -> Proposal:
        """Propose a network within the problem's limits.

        Raises:
            LimitError: it has none.
        """
        ...
