"""What 4-bit storage of a fine-tuned network costs: bytes, and accuracy lost.

    python bench/studies/storage.py     # resumable; results/storage.jsonl and .md

A supernet of each task is trained as `tans zoo build` does it, then stored whole in float32, whole
in float16, and as 4-bit differences from the base, and read back. Accuracy is that of its largest
and its smallest subnet, batch-norm statistics from 64 thumbnails in all forms.
"""

from __future__ import annotations

import argparse

import torch
from safetensors.torch import save

from common import RESULTS, Ledger, Line
from tans.build.engine import BuildSettings
from tans.networks.batchnorm import recalibrate
from tans.networks.families.elastic.supernet import State, Supernet
from tans.tasks.task import Task
from tans.training import accuracy, train_supernet
from tans.zoo.weights import (
    STEPS,
    assemble,
    pack_difference,
    pack_whole,
    unpack_difference,
    unpack_whole,
)
from tans.zoo.zoo import Zoo
from tans_bench.sources.registry import fetch

RUNS = Ledger("storage.jsonl")
TASKS = ("icons-apps", "emoji-google", "script-greek")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zoo", help="folder of a zoo; the shipped one by default")
    zoo = Zoo.open(parser.parse_args().zoo)
    for name in TASKS:
        if not RUNS.find({"task": name}):
            RUNS.add(measure(fetch(name).limited(1500), zoo))
    report()


def measure(task: Task, zoo: Zoo) -> Line:
    """Accuracy and bytes of the three forms of one supernet, and how far training moved it."""
    supernet = Supernet(zoo.space, len(task.classes))
    supernet.full.load_state_dict(without_head(zoo.base_state()), strict=False)
    supernet.full.replace_head(len(task.classes))
    settings = BuildSettings()
    train_supernet(supernet, *task.split("train", zoo.resolution), settings.recipe)
    state, base = supernet.full.state_dict(), zoo.base_state()
    whole, difference = pack_whole(state), pack_difference(state, base)
    packed_names = [name.removesuffix(STEPS) for name in difference if name.endswith(STEPS)]
    way = torch.cat([(state[name] - base[name]).flatten() for name in packed_names])
    origin = torch.cat([base[name].flatten() for name in packed_names])
    forms: dict[str, tuple[State, State]] = {
        "float32": (state, state),
        "float16": (whole, unpack_whole(whole)),
        "4-bit difference": (difference, unpack_difference(difference, base)),
    }
    line: Line = {"task": task.name, "moved": (way.norm() / origin.norm()).item()}
    for form, (packed, restored) in forms.items():
        line[form] = {"bytes": len(save({k: t.contiguous() for k, t in packed.items()}))}
        for size, subnet in (("largest", zoo.space.largest), ("smallest", zoo.space.smallest)):
            network = assemble(restored, zoo.space, subnet)
            recalibrate(network, task.thumbnails())
            line[form][size] = accuracy(network, *task.split("test", zoo.resolution))
    return line


def without_head(state: State) -> State:
    return {name: tensor for name, tensor in state.items() if not name.startswith("classifier.")}


def report() -> None:
    lines = [
        "Test accuracy in % of the largest / the smallest subnet, and MB of the file. Moved: the "
        "length of the way from the base, as a share of the length of the base's weights.",
        "",
        "| task | moved | float32 | float16 | 4-bit difference |",
        "|---|---|---|---|---|",
    ]
    for line in RUNS:
        cells = (
            f"{100 * line[form]['largest']:.1f} / {100 * line[form]['smallest']:.1f}, "
            f"{line[form]['bytes'] / 1e6:.2f} MB"
            for form in ("float32", "float16", "4-bit difference")
        )
        lines.append(f"| {line['task']} | {100 * line['moved']:.1f}% | {' | '.join(cells)} |")
    (RESULTS / "storage.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
