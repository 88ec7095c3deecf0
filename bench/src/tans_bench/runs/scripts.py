"""What a script prints, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tans_bench.errors import ResultError


def printed(
    script: str | Path,
    *arguments: object,
    environment: Mapping[str, str],
    longest_s: float | None = None,
) -> Any:
    """The JSON that a script prints.

    Args:
        environment: all variables of its process.
        longest_s: seconds that it may take.

    Raises:
        ResultError: it fails, or takes longer.
    """
    try:
        done = subprocess.run(
            [sys.executable, str(script), *map(str, arguments)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=longest_s,
        )
    except subprocess.TimeoutExpired as error:
        raise ResultError(
            f"{script} took longer than {longest_s:,} s; run the experiment again with less beside"
        ) from error
    if done.returncode:
        raise ResultError(f"{script} failed: {done.stderr[-400:]}; run the experiment again")
    return json.loads(done.stdout)
