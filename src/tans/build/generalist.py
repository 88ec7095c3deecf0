"""A generalist: one network that learns all source tasks at once, and stays near where it began.

Each step takes a few images of each of several tasks. A task has a linear head of its own on what
all stages give, and batch-norm statistics of its own images, as it will have when the network is
fine-tuned. What the network gave before is held on to: its features on the same images are learnt
too, so that tasks unlike all sources lose nothing.

References:
    Li and Hoiem, Learning without Forgetting, ECCV 2016.
    Li, Liu and Bilen, Universal Representation Learning from Multiple Domains for Few-shot
    Classification, ICCV 2021.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tans.networks.depthwise import fast_depthwise
from tans.networks.device import autocast, device, moved, near, place
from tans.networks.network import Network, prepare
from tans.tasks.task import Task
from tans.training import HEAD_LENGTH, Checkpoint, augment, digest_of
from tans.types import InputSpec

Step = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Gradients for images (t, b, 3, r, r), labels (t, b) and tasks (t,); the losses (2,)."""
WARM = 3
"""Steps before one is recorded on a card."""
RISE = 0.05
"""Of all steps, those over which the learning rate rises: the heads begin at nothing."""
REPORTED = 20
"""Steps from one report to the next."""
FLOOR = 1e-2
"""Added to the variance of a feature, so that one that rarely fires does not rule."""


@dataclass(frozen=True)
class GeneralistSettings:
    """How to train one."""

    steps: int = 2000
    """Changes of the weights."""
    tasks: int = 8
    """That each step learns from."""
    images: int = 32
    """Of each of them."""
    resolutions: tuple[int, ...] = (64, 64, 64, 64, 64, 64, 64, 128)
    """Pixels a side, step by step, over and over."""
    learning_rate: float = 5e-2
    """At the start; decays along a cosine to zero."""
    weight_decay: float = 4e-5
    keep: float = 1.0
    """What a feature's squared distance from where it began counts beside the labels' loss."""
    augment: float = 1.0
    """As in a recipe."""
    seed: int = 0


class Pool:
    """The training images of several tasks, at several resolutions, on one device if they fit.

    Args:
        resolutions: pixels a side.
    """

    def __init__(self, tasks: Sequence[Task], resolutions: Sequence[int]) -> None:
        self.classes = [len(task.classes) for task in tasks]
        sides = sorted(set(resolutions))
        splits = {side: [task.split("train", side) for task in tasks] for side in sides}
        self.images = {
            side: near(torch.cat([images for images, _ in found]), device())
            for side, found in splits.items()
        }  # uint8 (n, 3, r, r)
        labels = [labels for _, labels in splits[sides[0]]]
        self.labels = torch.cat(labels).to(device())  # (n,)
        self.counts = torch.tensor([len(own) for own in labels])
        self.starts = self.counts.cumsum(0) - self.counts

    def draw(self, tasks: int, images: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Different tasks (t,), larger ones more often, and rows of each (t, b)."""
        which = torch.multinomial(self.counts.float().sqrt(), tasks, generator=generator)
        places = torch.rand(tasks, images, generator=generator) * self.counts[which, None]
        return which, self.starts[which, None] + places.long()


class _Heads(nn.Module):
    """A linear head for each task, on features that are standardised by the batch."""

    missing: Tensor
    """Which outputs a task has no class for, (tasks, classes)."""

    def __init__(self, classes: Sequence[int], width: int) -> None:
        super().__init__()
        self.scale = math.sqrt(HEAD_LENGTH / width)
        self.weight = nn.Parameter(torch.zeros(len(classes), max(classes), width))
        self.bias = nn.Parameter(torch.zeros(len(classes), max(classes)))
        missing = torch.arange(max(classes)) >= torch.tensor(classes)[:, None]
        self.register_buffer("missing", missing)  # (tasks, classes)

    def forward(self, features: Tensor, task: Tensor) -> Tensor:
        """Scores (n, classes) of features (n, width) for one task (1,)."""
        variance, mean = torch.var_mean(features, 0, correction=0)
        x = (features - mean) * (variance + FLOOR**2).rsqrt() * self.scale
        parts = self.weight, self.bias, self.missing
        weight, bias, missing = (part.index_select(0, task)[0] for part in parts)
        return (x @ weight.T + bias).masked_fill(missing, -1e4)


def train_generalist(
    network: Network,
    tasks: Sequence[Task],
    settings: GeneralistSettings,
    on_step: Callable[[int, float, float], None] | None = None,
    checkpoint: Path | None = None,
) -> None:
    """Train a network's body in place; its head stays.

    Args:
        network: of a family that shows stages.
        on_step: told now and then the step, from 1, the mean cross-entropy, and the mean squared
            distance of standardised features from those at the start.
        checkpoint: file from which a stopped training goes on; the caller deletes it.
    """
    pool = Pool(tasks, settings.resolutions)
    told = (*network.weights().values(), *pool.images.values(), pool.labels)
    kept = Checkpoint(checkpoint, digest_of(repr(settings), told) if checkpoint else "")
    generator = torch.Generator().manual_seed(settings.seed)
    where = place(network)
    network.to(memory_format=torch.channels_last).train()
    teacher = copy.deepcopy(network).requires_grad_(False)
    heads = _Heads(pool.classes, sum(network.block_widths())).to(where)
    learner = nn.ModuleList([network.body, heads])
    optimiser = torch.optim.SGD(
        learner.parameters(),
        settings.learning_rate,
        momentum=0.9,
        weight_decay=settings.weight_decay,
        nesterov=True,
    )
    done = 0
    if state := kept.load():
        learner.load_state_dict(state["learner"])
        optimiser.load_state_dict(state["optimiser"])
        generator.set_state(state["generator"])
        done = int(state["step"])

    def gradients(x: Tensor, labels: Tensor, which: Tensor) -> Tensor:
        losses = torch.zeros(2, device=x.device)
        optimiser.zero_grad(set_to_none=False)
        for k in range(len(x)):
            with fast_depthwise(where):
                own, near = _losses(network, teacher, heads, x[k], labels[k], which[k : k + 1])
            ((own + settings.keep * near) / len(x)).backward()
            losses += torch.stack([own.detach(), near.detach()]) / len(x)
        return losses

    recorded: dict[int, Step] = {}
    for count in range(done + 1, settings.steps + 1):
        side = settings.resolutions[(count - 1) % len(settings.resolutions)]
        pace = _pace((count - 1) / settings.steps)
        optimiser.param_groups[0]["lr"] = settings.learning_rate * pace
        which, rows = pool.draw(min(settings.tasks, len(tasks)), settings.images, generator)
        x, labels = _batch(pool, rows, side, network.input, settings, generator)
        which = moved(which, where)
        if side not in recorded:
            recorded[side] = _recorded(gradients, x, labels, which)
        losses = recorded[side](x, labels, which)
        optimiser.step()
        last = count == settings.steps
        if on_step and (last or count % REPORTED == 0):
            on_step(count, *losses.cpu().tolist())
        kept.save(partial(_state, count, learner, optimiser, generator), last)
    network.eval()


def _state(
    step: int, learner: nn.Module, optimiser: torch.optim.Optimizer, generator: torch.Generator
) -> dict[str, Any]:
    return {
        "step": step,
        "learner": learner.state_dict(),
        "optimiser": optimiser.state_dict(),
        "generator": generator.get_state(),
    }


def _losses(
    network: Network, teacher: Network, heads: _Heads, x: Tensor, labels: Tensor, task: Tensor
) -> tuple[Tensor, Tensor]:
    """Cross-entropy on images (b, 3, r, r) of one task (1,), and the distance from the teacher."""
    with autocast(x.device, cache=False):
        with torch.no_grad():
            targets = [part.float() for part in teacher.blocks(x)]
        parts = [part.float() for part in network.blocks(x)]
    kept = [
        ((part - target).square().mean(0) / (target.var(0) + FLOOR)).mean()
        for part, target in zip(parts, targets, strict=True)
    ]
    scores = heads(torch.cat(parts, 1), task)
    return F.cross_entropy(scores, labels), torch.stack(kept).mean()


def _batch(
    pool: Pool,
    rows: Tensor,
    side: int,
    input: InputSpec,
    settings: GeneralistSettings,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Images (t, b, 3, r, r) and labels (t, b) of rows (t, b)."""
    images, flat = pool.images[side], rows.flatten()
    x = moved(images[moved(flat, images.device)], pool.labels.device)
    x = augment(prepare(x, input), False, generator, settings.augment)
    x = x.to(memory_format=torch.channels_last)
    labels = pool.labels[moved(flat, pool.labels.device)]
    return x.unflatten(0, rows.shape), labels.view(rows.shape)


def _recorded(step: Step, *sample: Tensor) -> Step:
    """A step; on a card it is recorded once, as starting its thousands of kernels takes longer."""
    if not sample[0].is_cuda:
        return step
    given = [part.clone(memory_format=torch.preserve_format) for part in sample]
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM):
            step(*given)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        losses = step(*given)

    def replay(*parts: Tensor) -> Tensor:
        for kept, part in zip(given, parts, strict=True):
            kept.copy_(part)
        graph.replay()
        return losses

    return replay


def _pace(share: float) -> float:
    """Of the learning rate, what counts after a share of the steps: up first, then down."""
    return min(1.0, share / RISE) * 0.5 * (1 + math.cos(math.pi * share))
