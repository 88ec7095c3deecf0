"""Print the seconds of building a zoo of the datasets in a folder by the command line."""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
import time
from pathlib import Path

from tans.cli import main as tans


def main(folder: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        zoo = Path(place, "zoo")
        began = time.perf_counter()
        with contextlib.suppress(SystemExit):
            tans(["zoo", "build", str(zoo), "--tasks", folder])
        seconds = time.perf_counter() - began
        if not list(zoo.glob("entries.lance/data/*")):
            raise RuntimeError("nothing was built")
    print(json.dumps({"whole": seconds}))


if __name__ == "__main__":
    main(sys.argv[1])
