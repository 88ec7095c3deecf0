"""Numbered steps from one schema of a zoo to the next.

A zoo of an older schema is read through them, and takes the newer form when it is first written to.

    2 -> 3  a network is named by family, name and input instead of by space and resolution;
            the logs of costs and pairs are tables instead of files of lines of JSON
    3 -> 4  transfers name the recipe that they were measured by, and count groups
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa

from tans.networks.families.elastic.family import ELASTIC
from tans.types import InputSpec

FIRST_RECIPE = 2
"""Of all transfers of schema 3, whose heads read the last features alone."""
ELASTIC_INPUT = asdict(InputSpec(1))
"""Mean and deviation of all networks of schema 2, which are elastic."""
RENAMED = {"family": None, "name": "architecture", "size": "resolution", "origins": "task"}
RENAMED |= {"body_params": "params", "body_flops": "flops"}
RENAMED |= dict.fromkeys(("mean", "std", "width", "place"))
"""By column of entries in schema 3, its column in schema 2; None where there was none."""


def manifest_2_to_3(fields: dict[str, Any]) -> dict[str, Any]:
    """Fields of ``zoo.json``."""
    ref, base = ELASTIC.largest(fields["space"], fields["resolution"]), fields["base"]
    return {"base": None if base is None else {"ref": asdict(ref), "weights": base}}


def manifest_3_to_4(fields: dict[str, Any]) -> dict[str, Any]:
    """Fields of ``zoo.json``, which stay; only the number says that transfers may be newer."""
    return fields


def log_2_to_3(data: bytes) -> list[dict[str, Any]]:
    """Fields of each line of a log, from a file of lines of JSON."""
    return [json.loads(line) for line in data.splitlines()]


def is_old(name: str, table: pa.Schema) -> bool:
    """Whether a table is of an older schema."""
    if name == "transfers":
        return "recipe" not in table.names
    return name == "entries" and "architecture" in table.names


def transfers_3_to_4(old: pa.Table) -> pa.Table:
    """All columns of transfers."""
    recipes, groups = (pa.array([value] * len(old), pa.int64()) for value in (FIRST_RECIPE, 0))
    return old.append_column("recipe", recipes).append_column("groups", groups)


def old_columns(columns: Sequence[str]) -> list[str]:
    """What to read of schema 2 to get columns of schema 3."""
    return list(dict.fromkeys(old for c in columns if (old := RENAMED.get(c, c)) is not None))


def entries_2_to_3(old: pa.Table, columns: Sequence[str], width: int) -> pa.Table:
    """Columns of entries, from those that ``old_columns`` names.

    Args:
        width: of the features, the same for all networks of a zoo of schema 2.
    """
    count = len(old)
    made: dict[str, Any] = {
        "family": ["elastic"] * count,
        "mean": [ELASTIC_INPUT["mean"]] * count,
        "std": [ELASTIC_INPUT["std"]] * count,
        "width": np.full(count, width),
        "place": pa.nulls(count, pa.string()),
    }
    if "origins" in columns:
        made["origins"] = [[task] for task in old["task"].to_pylist()]
    return pa.table({c: made[c] if c in made else old[RENAMED.get(c) or c] for c in columns})
