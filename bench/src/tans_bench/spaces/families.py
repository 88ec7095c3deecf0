"""The spaces of cells as families of networks, and the network that an architecture stands for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial

from torch import Tensor

from tans.networks.families.elastic.specification import SPACES
from tans.networks.families.elastic.specification import ref_of as elastic_ref
from tans.networks.family import Description, counted
from tans.networks.network import Network, Weights
from tans.types import Architecture, InputSpec, NetworkRef
from tans_bench.spaces.darts import DartsNetwork
from tans_bench.spaces.fbnet import FBNet
from tans_bench.spaces.nasbench201 import SMALL, NasBench201Network

Body = FBNet | NasBench201Network | DartsNetwork


@dataclass(frozen=True)
class CellFamily:
    """One space of cells; the name of a network is its architecture as text."""

    body: Callable[[Architecture], Body]
    """Makes an untrained one; raises InputError where the space has no such architecture."""

    def build(self, ref: NetworkRef, classes: int) -> Network:
        """A network with untrained weights.

        Raises:
            InputError: the architecture is not in the space.
        """
        body = self.body(Architecture.parse(ref.name))
        return Network(ref, body, body.width, classes)

    def describe(self, ref: NetworkRef) -> Description:
        """What is known of a network before it is built.

        Raises:
            InputError: the architecture is not in the space.
        """
        return _described(self, ref)

    def select(self, weights: Mapping[str, Tensor], ref: NetworkRef) -> Weights:  # noqa: ARG002
        """The weights themselves: nothing here is a slice."""
        return dict(weights)


FBNET = CellFamily(FBNet)
NAS_BENCH_201 = CellFamily(partial(NasBench201Network, size=SMALL))
DARTS = CellFamily(DartsNetwork)


def ref_of(architecture: Architecture, size: int) -> NetworkRef:
    """The network of an architecture of any space, for images of so many pixels a side."""
    if architecture.space in SPACES:
        return elastic_ref(architecture, size)
    return NetworkRef(architecture.space, str(architecture), InputSpec(size))


@lru_cache(maxsize=4096)
def _described(family: CellFamily, ref: NetworkRef) -> Description:
    return counted(family, ref)
