"""Print the seconds of reading a folder as a task, and the images of a look at each resolution."""

from __future__ import annotations

import json
import sys
import time

from tans.tasks.task import Task

RESOLUTIONS = (64, 96, 128, 160, 224)
LOOK = 300
"""Training images of a look."""


def main(folder: str) -> None:
    began = time.perf_counter()
    task = Task.from_folder(folder)
    seconds = {"from_folder": time.perf_counter() - began}
    for resolution in RESOLUTIONS:
        began = time.perf_counter()
        task.folds(resolution, LOOK)
        seconds[f"look_{resolution}"] = time.perf_counter() - began
    print(json.dumps({**seconds, "whole": sum(seconds.values())}))


if __name__ == "__main__":
    main(sys.argv[1])
