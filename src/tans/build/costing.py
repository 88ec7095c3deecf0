"""What networks cost while a zoo is built: parameters, and latency or multiply-adds.

Latency is what the paper counts, and what this device charges for it is calibrated: each time a
little differently, and on another machine by much. So a build calibrates once, when it begins, and
writes the charges down in the zoo's folder. From there on costs are sums of products, the same
for a build that goes on, on whatever machine, and for a cluster, of which only the machine that
the build was started on calibrates. Multiply-adds are the same everywhere.

Reference: Jeong et al., Task-Adaptive Neural Network Search with Meta-Contrastive Learning,
NeurIPS 2021, equation 7.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, PlainSerializer, model_validator

from tans.costs.device import device_fingerprint
from tans.costs.latency import LatencyModel, cached_latency
from tans.errors import InputError, ZooError
from tans.files import Manifest, alone
from tans.networks.families.elastic.specification import FAMILY
from tans.networks.family import WORKLOAD
from tans.types import Costs, NetworkRef
from tans.zoo.blobs import LocalBlobs
from tans.zoo.seals import Seals
from tans.zoo.weights import RESTORE

LATENCY: Literal["latency"] = "latency"
FLOPS: Literal["flops"] = "flops"
COUNTED = (LATENCY, FLOPS)
"""What a build may count beside parameters; the first where nothing else is asked for."""
FILE = "construction.json"
"""In a zoo's folder: what its build counts, and what latency is predicted from."""


@dataclass(frozen=True)
class Costing:
    """How networks are costed."""

    latency: LatencyModel | None = None
    """None where multiply-adds stand for latency."""

    @property
    def name(self) -> str:
        """One of ``COUNTED``."""
        return FLOPS if self.latency is None else LATENCY

    def of(self, ref: NetworkRef, costs: Costs) -> tuple[float, float]:
        """Parameters, and milliseconds or multiply-adds for one image, all without a head.

        Args:
            costs: of it, counted without a head.
        """
        if self.latency is None:
            return costs.params, costs.flops
        return costs.params, self.latency.predict(ref, 0)


def describe_latency(model: LatencyModel) -> dict[str, Any]:
    """A latency model, and the device it is of, as JSON; ``parse_latency`` reads it."""
    return {
        "space": model.space,
        "resolution": model.resolution,
        "charges": dict(zip(WORKLOAD, model.charges, strict=True)),
        "error": model.error,
        "measured": model.measured,
        "on": device_fingerprint(),
    }


def parse_latency(fields: Mapping[str, Any]) -> LatencyModel:
    """Inverse of ``describe_latency``.

    Raises:
        KeyError, TypeError, ValueError: the fields are not those of a latency model.
    """
    charges = tuple(float(fields["charges"][name]) for name in WORKLOAD)
    if not all(charge >= 0 and math.isfinite(charge) for charge in charges) or not any(charges):
        raise ValueError(f"charges {charges}")
    measured = tuple((str(architecture), float(ms)) for architecture, ms in fields["measured"])
    error = float(fields["error"])
    return LatencyModel(fields["space"], int(fields["resolution"]), charges, error, measured)


def _as_model(value: Any) -> LatencyModel:
    return value if isinstance(value, LatencyModel) else parse_latency(value)


Latency = Annotated[
    LatencyModel, BeforeValidator(_as_model), PlainSerializer(describe_latency, dict[str, Any])
]
"""A latency model as ``describe_latency`` writes it."""


class Construction(Manifest):
    """What ``construction.json`` says."""

    ERROR = ZooError
    REMEDY = RESTORE
    MIGRATIONS: ClassVar = {0: lambda fields: fields}  # its first files name no schema

    cost: Literal["latency", "flops"]
    latency: Latency | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.cost == LATENCY) != (self.latency is not None):
            raise ValueError(f"cost {self.cost} with latency {self.latency}")
        return self


def check_counted(name: str) -> None:
    """Refuse a name that is none of ``COUNTED``.

    Raises:
        InputError: it is not.
    """
    if name not in COUNTED:
        raise InputError(f"no cost {name!r}; expected one of {', '.join(COUNTED)}")


def fixed_costing(folder: Path, space: str, resolution: int, counted: str | None = None) -> Costing:
    """What the build in a zoo's folder counts; where it begins now, that is settled for good.

    Args:
        folder: of the zoo.
        space: of its networks.
        resolution: pixels a side of its tasks.
        counted: one of ``COUNTED``; None is what the build began with.

    Raises:
        InputError: there is no such cost.
        ZooError: the build counts another, or what it wrote down is damaged.
    """
    if counted is not None:
        check_counted(counted)
    seals = Seals(LocalBlobs(folder))
    with alone(folder / FILE):
        if not seals.exists(FILE):
            begun = _begin(space, resolution, counted or COUNTED[0])
            seals.put(FILE, begun.to_bytes())
    found = Costing(Construction.parse(seals.get(FILE), f"{folder}/{FILE}").latency)
    if counted not in (None, found.name):
        raise ZooError(
            f"the build in {folder} counts {found.name} since it began, and {counted} was asked "
            f"for; go on with {found.name}, or build in another folder"
        )
    return found


def costing_files(folder: Path) -> list[str]:
    """The file that says what the build in a zoo's folder counts, if it counts.

    Raises:
        ZooError: it is damaged, or was lost.
    """
    seals = Seals(LocalBlobs(folder))
    if not seals.exists(FILE):
        return []
    Construction.parse(seals.get(FILE), f"{folder}/{FILE}")
    return [FILE]


def _begin(space: str, resolution: int, counted: str) -> Construction:
    if counted == FLOPS:
        return Construction(cost=FLOPS)
    return Construction(cost=LATENCY, latency=cached_latency(FAMILY, space, resolution))
