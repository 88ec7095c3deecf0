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

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tans.costs.device import device_fingerprint
from tans.costs.latency import COSTS, LatencyModel, cached_latency
from tans.errors import InputError, ZooError
from tans.networks.families.elastic.specification import Specification
from tans.types import Architecture, Costs
from tans.zoo.blobs import damaged, write_file

LATENCY, FLOPS = "latency", "flops"
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

    def of(self, architecture: Architecture, costs: Costs, resolution: int) -> tuple[float, float]:
        """Parameters, and milliseconds or multiply-adds for one image, all without a head.

        Args:
            architecture: of the network.
            costs: of it, counted without a head.
            resolution: pixels a side.
        """
        if self.latency is None:
            return costs.params, costs.flops
        return costs.params, self.latency.predict(architecture, 0, resolution)


def check_counted(name: str) -> None:
    """Refuse a name that is none of ``COUNTED``.

    Raises:
        InputError: it is not.
    """
    if name not in COUNTED:
        raise InputError(f"no cost {name!r}; expected one of {', '.join(COUNTED)}")


def fixed_costing(
    folder: Path, space: Specification, resolution: int, counted: str | None = None
) -> Costing:
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
    path = folder / FILE
    if not path.exists():
        begun = _begin(space, resolution, counted or COUNTED[0])
        write_file(path, (json.dumps(begun, indent=1) + "\n").encode())
    found = _read(path)
    if counted not in (None, found.name):
        raise ZooError(
            f"the build in {folder} counts {found.name} since it began, and {counted} was asked "
            f"for; go on with {found.name}, or build in another folder"
        )
    return found


def describe_latency(model: LatencyModel) -> dict[str, Any]:
    """A latency model, and the device it is of, as JSON; ``parse_latency`` reads it."""
    return {
        "space": model.space,
        "resolution": model.resolution,
        "charges": dict(zip(COSTS, model.charges, strict=True)),
        "error": model.error,
        "measured": model.measured,
        "on": device_fingerprint(),
    }


def parse_latency(fields: Mapping[str, Any]) -> LatencyModel:
    """Inverse of ``describe_latency``.

    Raises:
        KeyError, TypeError, ValueError: the fields are not those of a latency model.
    """
    charges = tuple(float(fields["charges"][name]) for name in COSTS)
    if not all(charge >= 0 and math.isfinite(charge) for charge in charges) or not any(charges):
        raise ValueError(f"charges {charges}")
    measured = tuple((str(architecture), float(ms)) for architecture, ms in fields["measured"])
    error = float(fields["error"])
    return LatencyModel(fields["space"], int(fields["resolution"]), charges, error, measured)


def _begin(space: Specification, resolution: int, counted: str) -> dict[str, Any]:
    if counted == FLOPS:
        return {"cost": FLOPS}
    return {"cost": LATENCY, "latency": describe_latency(cached_latency(space, resolution))}


def _read(path: Path) -> Costing:
    try:
        fields = json.loads(path.read_text())
        check_counted(fields["cost"])
        latency = fields["cost"] == LATENCY
        return Costing(parse_latency(fields["latency"]) if latency else None)
    except (OSError, KeyError, TypeError, ValueError, InputError) as error:
        raise damaged(path, error) from error
