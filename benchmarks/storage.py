"""What 4-bit storage of a fine-tuned network costs: bytes, and accuracy lost.

    python benchmarks/storage.py     # resumable; results/storage.jsonl and .md

On each task the largest network is fine-tuned from the elastic base for 5 epochs on 600 images,
then stored whole in float32, whole in float16, and as 4-bit differences from the base, and read
back. Batch-norm statistics are those of 64 thumbnails in all three.
"""

from __future__ import annotations

import argparse

from safetensors.torch import save

from common import RESULTS, Ledger, Line, limited
from tans.spaces.batchnorm import recalibrate
from tans.spaces.elastic import State
from tans.tasks.sources.registry import fetch
from tans.tasks.task import Task
from tans.training import Recipe, accuracy, finetune
from tans.zoo.store import IMAGENET, Zoo
from tans.zoo.weights import (
    assemble,
    pack_difference,
    pack_whole,
    unpack_difference,
    unpack_whole,
)

RUNS = Ledger("storage.jsonl")
TASKS = ("icons-actions", "emoji-google", "script-greek", "fashion-mnist", "openarena-textures")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zoo", help="folder of a zoo; the shipped one by default")
    zoo = Zoo.open(parser.parse_args().zoo)
    for name in TASKS:
        if not RUNS.find({"task": name}):
            RUNS.add(measure(limited(fetch(name), 600), zoo))
    report()


def measure(task: Task, zoo: Zoo) -> Line:
    """Accuracy and bytes of the three forms of one fine-tuned network."""
    assert zoo.base is not None
    network = zoo.load_subnet(IMAGENET, zoo.base, zoo.space.largest)
    tuned = finetune(network, task, zoo.resolution, Recipe(epochs=5)).network
    state, base = tuned.state_dict(), zoo.base_state()
    whole, difference = pack_whole(state), pack_difference(state, base)
    forms: dict[str, tuple[State, State]] = {
        "float32": (state, state),
        "float16": (whole, unpack_whole(whole)),
        "4-bit difference": (difference, unpack_difference(difference, base)),
    }
    line: Line = {"task": task.name}
    for form, (packed, restored) in forms.items():
        copy = assemble(restored, zoo.space, zoo.space.largest)
        recalibrate(copy, task.thumbnails())
        line[form] = {
            "bytes": len(save({name: t.contiguous() for name, t in packed.items()})),
            "accuracy": accuracy(copy, *task.split("test", zoo.resolution)),
        }
    return line


def report() -> None:
    lines = [
        "Test accuracy in % (MB of the file).",
        "",
        "| task | float32 | float16 | 4-bit difference |",
        "|---|---|---|---|",
    ]
    for line in RUNS:
        cells = (
            f"{100 * form['accuracy']:.1f} ({form['bytes'] / 1e6:.2f})"
            for name, form in line.items()
            if name != "task"
        )
        lines.append(f"| {line['task']} | {' | '.join(cells)} |")
    (RESULTS / "storage.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
