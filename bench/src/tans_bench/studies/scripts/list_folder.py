"""Print the processor's seconds from folders of images to embeddings and a list, and of a peer.

A peer decodes each file of a folder once, by Pillow alone, in as many threads, to what all sizes of
networks need, makes squares of the zoo's size of it, and passes as many images through the zoo's
base as an embedding takes, in one batch.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from tans.zoo.zoo import Zoo

Done = TypeVar("Done")
UNTIL_AN_IMAGE = """
import os, sys

def stop(event, arguments):
    if event == "open" and str(arguments[0]).endswith((".png", ".jpg")):
        os._exit(0)

sys.addaudithook(stop)
from tans.cli import main
main(["search", sys.argv[1]])
"""
STARTS = 5
DETAIL = 448
"""Pixels of the shorter side that decoding keeps: twice the largest size of a shipped network."""
WARM = "warm"
"""The folder that all else is tried on before, so that what is imported and kept is there."""
SEARCHED = "usual"
"""The folder that is searched for, by looks too."""


def main(folder: Path) -> None:
    torch, start = _starts(folder / WARM)
    seconds = {"import torch": torch, "search until the first image": start}
    from tans.search import embed, search
    from tans.tasks.task import Task
    from tans.zoo.zoo import Zoo

    zoo = Zoo.open()
    warm = Task.from_folder(folder / WARM)
    embed(warm, zoo)
    search(warm, zoo, look=1, max_flops=2e7)
    for kind in sorted(path for path in folder.iterdir() if path.name != WARM):
        name = kind.name
        seconds[f"{name}: decode and pass"], _ = _timed(partial(_peer, kind, zoo))
        seconds[f"{name}: read"], task = _timed(partial(Task.from_folder, kind))
        seconds[f"{name}: embed"], _ = _timed(partial(embed, task, zoo))
        if name == SEARCHED:
            seconds["search"], _ = _timed(partial(search, task, zoo))
    print(json.dumps(seconds))


def _starts(folder: Path) -> tuple[float, float]:
    """The fewest seconds of processes that import PyTorch, and that begin a search, by turns."""
    commands = (["import torch"], [UNTIL_AN_IMAGE, str(folder)])
    found = [[_run(command) for command in commands] for _ in range(STARTS)]
    torch, start = map(min, zip(*found, strict=True))
    return torch, start


def _run(command: list[str]) -> float:
    before = os.times()
    subprocess.run([sys.executable, "-c", *command], check=True, capture_output=True)
    after = os.times()
    own = after.children_user + after.children_system
    return own - before.children_user - before.children_system


def _timed(act: Callable[[], Done]) -> tuple[float, Done]:
    began = time.process_time()
    done = act()
    return time.process_time() - began, done


def _peer(folder: Path, zoo: Zoo) -> None:
    import numpy as np
    import torch
    from PIL import Image

    from tans.networks.features import image_features
    from tans.zoo.zoo import QUERY_IMAGES

    side = zoo.resolution

    def square(path: Path) -> np.ndarray:
        with Image.open(path) as image:
            image.draft("RGB", (DETAIL, DETAIL))
            return np.asarray(image.convert("RGB").resize((side, side), Image.Resampling.BILINEAR))

    paths = [path for path in folder.rglob("*") if path.is_file()]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        pixels = torch.from_numpy(np.stack(list(pool.map(square, paths)))).permute(0, 3, 1, 2)
    image_features(zoo.query_network(), pixels[:QUERY_IMAGES])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
