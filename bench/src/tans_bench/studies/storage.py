"""What 4-bit storage of a fine-tuned network costs: bytes, and accuracy lost.

A supernet of each task is trained as ``tans zoo build`` does it, then stored whole in float32,
whole in float16, and as 4-bit differences from the base, and read back. Accuracy is that of its
largest and its smallest subnet, batch-norm statistics from thumbnails in all forms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from safetensors.torch import save

from tans.build.engine import BuildSettings
from tans.build.supernets import train_supernet
from tans.networks.batchnorm import recalibrate
from tans.networks.families.elastic.supernet import Supernet
from tans.networks.network import Weights, without_head
from tans.tasks.task import Task
from tans.training import accuracy
from tans.zoo.weights import (
    STEPS,
    assemble,
    pack_difference,
    pack_whole,
    unpack_difference,
    unpack_whole,
)
from tans.zoo.zoo import Zoo
from tans_bench.methods.method import space_of
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Drawing, Table
from tans_bench.runs.experiment import Experiment, Fixed
from tans_bench.runs.results import LINES, Result, Results
from tans_bench.spaces.families import ref_of

RUNS = "storage"
FORMS = ("float32", "float16", "4-bit difference")
IMAGES = 1500
"""Training images of a task, at most."""


@dataclass(frozen=True)
class Store:
    """Train one task's supernet, and store it in each form."""

    task: str

    @property
    def name(self) -> str:
        return f"{RUNS}{LINES}/{self.task}"

    def done(self, bench: Bench) -> bool:
        return bench.results.find(RUNS, {"task": self.task}) is not None

    def run(self, bench: Bench) -> Result:
        task, zoo = bench.tasks(self.task, IMAGES), bench.zoo
        state, base = trained(task, zoo), zoo.base_state()
        whole, difference = pack_whole(state), pack_difference(state, base)
        forms = (
            (state, state),
            (whole, unpack_whole(whole)),
            (difference, unpack_difference(difference, base)),
        )
        measured = {
            name: _measured(packed, restored, task, zoo)
            for name, (packed, restored) in zip(FORMS, forms, strict=True)
        }
        return {"task": self.task, "moved": _moved(difference, state, base), **measured}


def trained(task: Task, zoo: Zoo) -> Weights:
    """A task's supernet, from the base of a zoo."""
    supernet = Supernet(space_of(zoo), len(task.classes), zoo.resolution)
    supernet.full.load_weights(without_head(zoo.base_state()), strict=False)
    supernet.full.replace_head(len(task.classes))
    train_supernet(supernet, *task.split("train", zoo.resolution), BuildSettings().recipe)
    return supernet.full.weights()


def _moved(difference: Weights, state: Weights, base: Weights) -> float:
    """Length of the way from the base, over the length of the base's weights."""
    names = [name.removesuffix(STEPS) for name in difference if name.endswith(STEPS)]
    way = torch.cat([(state[name] - base[name]).flatten() for name in names])
    origin = torch.cat([base[name].flatten() for name in names])
    return (way.norm() / origin.norm()).item()


def _measured(packed: Weights, restored: Weights, task: Task, zoo: Zoo) -> dict[str, Any]:
    """Bytes of a file, and the accuracy of the largest and the smallest subnet read back."""
    found: dict[str, Any] = {"bytes": len(save({k: t.contiguous() for k, t in packed.items()}))}
    space = space_of(zoo)
    for size, subnet in (("largest", space.largest), ("smallest", space.smallest)):
        network = assemble(restored, ref_of(subnet, zoo.resolution))
        recalibrate(network, task.thumbnails())
        found[size] = accuracy(network, *task.split("test", zoo.resolution))
    return found


def draw(plan: Fixed, results: Results) -> Sequence[Drawing]:
    del plan  # whatever is stored
    rows = [
        [line["task"], f"{100 * line['moved']:.1f}%", *(_cell(line[form]) for form in FORMS)]
        for line in results.lines(RUNS)
    ]
    caption = (
        "Test accuracy in % of the largest / the smallest subnet, and MB of the file. Moved: the "
        "length of the way from the base, as a share of the length of the base's weights."
    )
    return [Table("storage", caption, ("task", "moved", *FORMS), rows)] if rows else []


def _cell(form: Result) -> str:
    accuracies = f"{100 * form['largest']:.1f} / {100 * form['smallest']:.1f}"
    return f"{accuracies}, {form['bytes'] / 1e6:.2f} MB"


EXPERIMENT = Experiment(
    name="storage",
    title="Bytes and accuracy of 4-bit storage",
    question="What does it cost to store a network as 4-bit differences from the base?",
    plan=Fixed(tuple(map(Store, ("icons-apps", "emoji-google", "script-greek")))),
    drawn=draw,
)
