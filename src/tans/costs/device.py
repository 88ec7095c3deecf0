"""What is measured of this device: how measurements are fitted, and which are kept.

A fit charges so much time for each of a few costs; it is kept in the cache for as long as the
device is the same, unless the device was too busy for it to be trusted.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import warnings
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np
import torch

from tans.errors import TansError, TansWarning
from tans.files import Manifest, alone, cache_dir, read_file, write_file

TRUSTED_ERROR = 0.15
"""A calibration of a larger error is used once and not kept: the machine was busy with others."""


class Kept(Manifest):
    """What the cache says of a calibration; subclasses say what kind ``model`` is."""

    fingerprint: dict[str, str | int]
    """Of the device, and what else the calibration depends on."""
    model: Any


class Calibration(Protocol):
    """A dataclass of what was measured, and how far it is off."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def error(self) -> float:
        """Mean absolute relative error; 0.1 is 10%."""


Calibrated = TypeVar("Calibrated", bound=Calibration)


def device_fingerprint() -> dict[str, str | int]:
    """What times on this device depend on: processor, PyTorch, threads."""
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count() or 0,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }


def remembered(
    kind: str,
    kept: type[Kept],
    about: Mapping[str, str | int],
    calibrate: Callable[[], Calibrated],
) -> Calibrated:
    """The kept calibration of this device, or a new one, kept if its error can be trusted.

    Args:
        kind: folder in the cache.
        kept: what a file says; one of another version or damaged is measured again.
        about: what it depends on beside the device.
    """
    fingerprint = device_fingerprint() | dict(about)
    digest = hashlib.sha256(json.dumps(fingerprint, sort_keys=True).encode()).hexdigest()
    name = re.sub(r"[^\w.]+", "-", "-".join(map(str, about.values())))
    file = f"{name}-{digest[:12]}.json"
    if (known := _known(kind, file, kept, fingerprint)) is not None:
        return known
    with ExitStack() as held:  # two that measure at once would disturb each other
        with suppress(OSError, RuntimeError):  # what cannot be kept is no use to the other
            held.enter_context(alone(cache_dir(kind) / file))
        if (known := _known(kind, file, kept, fingerprint)) is not None:
            return known
        model = calibrate()
        if _trusted(model):
            _keep(kind, file, kept(fingerprint=fingerprint, model=model).to_bytes())
    return model


def fit_charges(costs: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Non-negative charges, (costs,), that minimise the squared relative error.

    Args:
        costs: (measurements, costs).
        times: (measurements,), above zero.
    """
    from scipy.optimize import nnls  # of use only where a device is measured

    relative = costs / times[:, None]  # (measurements, costs)
    scale = np.where(costs.any(0), relative.max(0), 1.0)
    charges, _ = nnls(relative / scale, np.ones(len(times)))
    return charges / scale


def leave_one_out(costs: np.ndarray, times: np.ndarray) -> float:
    """Mean absolute relative error of each time as predicted from all others."""
    rest = ~np.eye(len(times), dtype=bool)  # (measurements, measurements)
    predicted = [
        row @ fit_charges(costs[keep], times[keep]) for row, keep in zip(costs, rest, strict=True)
    ]
    return float(np.abs(np.array(predicted) / times - 1).mean())


def _trusted(model: Calibration) -> bool:
    return model.error <= TRUSTED_ERROR


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _known(
    kind: str, file: str, kept: type[Kept], fingerprint: Mapping[str, str | int]
) -> Any | None:
    """The calibration in a file; None where there is none of this device that can be trusted."""
    try:
        path = cache_dir(kind) / file
        found = kept.parse(read_file(path), path)
    except (OSError, RuntimeError, TansError):
        return None
    return found.model if found.fingerprint == fingerprint and _trusted(found.model) else None


def _keep(kind: str, file: str, data: bytes) -> None:
    """Write a file of the cache; where it cannot be, tell what that costs."""
    try:
        write_file(cache_dir(kind) / file, data)
    except (OSError, RuntimeError) as error:  # the latter where there is no home
        warnings.warn(
            f"what this device takes is measured each time anew, as it cannot be kept: {error}; "
            "set TANS_CACHE to a folder that can be written",
            TansWarning,
            stacklevel=2,
        )
