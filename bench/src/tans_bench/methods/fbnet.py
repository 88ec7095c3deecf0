"""FBNet: learn which layers to use by gradients, through Gumbel-softmax, on data and latency.

Every layer slot of the elastic space becomes a sum of its choices, weighted by gates; a choice is
a kernel size and an expand ratio, or that the layer is absent where the stage may do without it.
The choices' weights are slices of one supernet, which starts from the elastic base. Weights and
gates are trained in turn, each on its own part of the training images.

The gates may leave out a layer in the middle of a stage, architectures only at its end: the layers
that are left close up in their order. The slots of a stage after its first are of one shape, so
that latency stays the same.

The soft mixture, as published, runs every choice of every slot: up to seven times a network's cost.
Where that is too much one choice a slot is drawn for each step; its gate passes the gradient of the
soft gate on ("straight-through").

References:
    Wu et al., FBNet: Hardware-Aware Efficient ConvNet Design via Differentiable Neural Architecture
    Search, CVPR 2019.
    Dong and Yang, Searching for A Robust Neural Architecture in Four GPU Hours, CVPR 2019 (one
    choice a step).
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from tans.costs.limits import fits, needs
from tans.networks.device import device
from tans.networks.families.elastic.specification import Specification, Stage
from tans.networks.families.elastic.supernet import Supernet
from tans.networks.family import describe
from tans.networks.network import Network, prepare, without_head
from tans.tasks.task import Task
from tans.training import Loop, Recipe, fit_head, sgd
from tans.types import Architecture, Layer
from tans.zoo.zoo import IMAGENET, Zoo
from tans_bench.methods.blocks import Measure, block_table
from tans_bench.methods.budget import affordable, on_record
from tans_bench.methods.genes import Genome, Room
from tans_bench.methods.method import Deviation, Problem, Proposal, space_of
from tans_bench.methods.mixture import Mixture, latency_factor
from tans_bench.methods.onceforall import base_of
from tans_bench.spaces.families import ref_of
from tans_bench.spaces.fbnet import FBNET_A, GROUPED, SKIP, STAGES

DEVIATIONS = (
    Deviation(
        "space",
        "22 layers of nine blocks each",
        "the elastic base's layers, of up to six kinds, each from its weights; full budget too",
        "so that what is found begins with ImageNet's weights, as the paper's FBNet does",
    ),
    Deviation(
        "epochs of the search",
        "90, weights alone in the first 10",
        "24, weights alone in the first 3",
        "half a minute of one core",
    ),
    Deviation(
        "mixture",
        "every choice of every layer, weighted",
        "one drawn choice a layer and step (straight-through)",
        "seven times a network's cost otherwise",
    ),
    Deviation(
        "images of the search",
        "100 classes of ImageNet",
        "the task's own training images, at most 300; with the full budget all of them",
        "no images of ImageNet are here, and the task's are what it is searched for",
    ),
    Deviation(
        "latency",
        "of a telephone, from a table",
        "of the device that it is run on, from a table; full budget too",
        "it is this device that is limited",
    ),
)
FIXED_DEVIATIONS = (
    Deviation(
        "network",
        "FBNet-A, 22 layers of nine blocks",
        "the nearest subnet of the elastic base: layers in the stages of the nearest widths, their "
        "kernels and ratios or the nearest; 2.9 for 2.8 million parameters and 24 for 20 million "
        "multiply-adds; full budget too",
        "its ImageNet weights are in no package that is installed from an index, and untrained it "
        "is no opponent",
    ),
    Deviation(
        "weights",
        "trained on ImageNet",
        "a slice of the elastic base, which was distilled from ImageNet's network; full budget too",
        "as above",
    ),
)
JUDGING = 0
"""Fold, one of five, of the training images that the gates are trained on."""
SHARES = (1.0, 0.75, 0.5)
"""Of the zoo's resolution, those that a network of one size may be used at."""


@dataclass(frozen=True)
class FBNetSettings:
    """How long is searched, and how; the defaults are as published."""

    epochs: int = 90
    warmup: int = 10
    """First epochs, in which only weights are trained."""
    batch_size: int = 192
    learning_rate: float = 3e-2
    """Of the weights, that of a fine-tune since they are trained already (published: 0.1)."""
    gate_learning_rate: float = 1e-2
    """Of Adam."""
    gate_weight_decay: float = 5e-4
    temperature: float = 5.0
    """Of the softmax, in the first epoch."""
    cooling: float = 0.956
    """Factor of the temperature from epoch to epoch."""
    alpha: float = 0.2
    beta: float = 0.6
    """The loss is cross-entropy * alpha * log(latency in microseconds) ** beta."""
    soft: bool = True
    """Loop all choices of a slot, weighted; else draw one for each step."""
    images: int | None = None
    """Training images looked at, at most; all when None."""
    samples: int = 1000
    """Architectures drawn at the end to find one within the limits."""


FULL = FBNetSettings()
SMALL = FBNetSettings(
    epochs=24,
    warmup=3,
    batch_size=32,
    gate_learning_rate=1e-1,
    cooling=0.845,
    soft=False,
    images=300,
)
"""One choice a slot instead of all; few steps, hence larger ones; the same final temperature."""


@dataclass(frozen=True)
class FBNet:
    """The most probable architecture within the limits, with the elastic base's weights."""

    settings: FBNetSettings | None = None
    """Those that the problem's budget allows when None."""
    measure: Measure | None = field(default=None, compare=False)
    """Times blocks in place of this device's clock."""

    def __call__(self, problem: Problem, zoo: Zoo) -> Proposal:
        """Propose a subnet of the elastic base within the limits.

        Raises:
            LimitError: not even the smallest is within them.
            ZooError: the zoo lacks a base.
        """
        settings = self.settings or affordable(problem.budget, FULL, SMALL)
        weights, genome = base_of(zoo), Genome(space_of(zoo))
        room = Room(genome, problem, zoo.resolution)
        room.check()
        began = time.perf_counter()
        table = block_table(space_of(zoo), zoo.resolution, self.measure)
        once_s = time.perf_counter() - began
        latencies = table.of_slots(space_of(zoo)).to(device())  # (s, 1 + c)
        probabilities = search(problem, zoo, latencies, settings).probabilities()  # (s, 1 + c)
        architecture, how = choose(room, probabilities, settings.samples, problem.seed)
        details = {
            **on_record(settings),
            "chosen": how,
            "probabilities": [[round(p, 4) for p in row] for row in probabilities.tolist()],
            "expected_us": float((probabilities * latencies.cpu()).sum()),
            "table_error": table.error,
        }
        return Proposal(
            IMAGENET,
            weights,
            ref_of(architecture, zoo.resolution),
            details=details,
            once_s=once_s,
        )


def fbnet_a(problem: Problem, zoo: Zoo) -> Proposal:
    """The subnet of the elastic base that is nearest to FBNet-A, with its weights.

    FBNet-A is of one size, so that limits on cost are met by smaller images: it takes the largest
    share of the zoo's resolution that is within them.

    Raises:
        LimitError: no resolution is within the limits.
        ZooError: the zoo lacks a base.
    """
    weights, architecture = base_of(zoo), nearest(space_of(zoo))
    resolutions = [max(1, round(share * zoo.resolution)) for share in SHARES]
    refs = [ref_of(architecture, side) for side in resolutions]
    ref = refs[int(fits(needs(refs, problem.task, problem.limits), problem.limits).argmax())]
    own = describe(ref_of(FBNET_A, ref.input.size)).costs(len(problem.task.classes))
    details = {"nearest_to": str(FBNET_A), "its_own": asdict(own)}
    return Proposal(IMAGENET, weights, ref, details=details)


def nearest(space: Specification) -> Architecture:
    """FBNet-A in an elastic space: each of its layers in the stage of the nearest width there.

    A stage that cannot be so deep keeps its first layer, which has the stride, and of the others
    those of the highest ratios, in their order; one that must be deeper repeats its last. Kernels
    and ratios are the nearest that the stage has, the larger of two.
    """
    layers: list[list[Layer]] = [[] for _ in space.stages]
    for published, own in zip(STAGES, FBNET_A.stages, strict=True):
        ratios = [abs(math.log(stage.channels / published.channels)) for stage in space.stages]
        layers[ratios.index(min(ratios))] += [layer for layer in own if layer != SKIP]
    return Architecture(
        space.name,
        tuple(_nearest_stage(*pair) for pair in zip(space.stages, layers, strict=True)),
    )


def _nearest_stage(stage: Stage, layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """Layers of FBNet-A as a stage has them."""

    def of(value: int, choices: Sequence[int]) -> int:
        return min(choices, key=lambda choice: (abs(choice - value), -choice))

    known = [(of(k, stage.kernels), of(1 if e == GROUPED else e, stage.expands)) for k, e in layers]
    if not known:
        return ((stage.kernels[0], stage.expands[0]),) * stage.depths[0]
    depth = of(len(known), stage.depths)
    known += known[-1:] * (depth - len(known))
    others = sorted(range(1, len(known)), key=lambda place: -known[place][1])
    return tuple(known[place] for place in sorted([0, *others[: depth - 1]]))


def search(problem: Problem, zoo: Zoo, latencies: Tensor, settings: FBNetSettings) -> Mixture:
    """Train weights and gates on a task's training images.

    Args:
        latencies: microseconds (s, 1 + c) of the choices of each slot.
    """
    task, seed = problem.task, problem.seed
    images, labels, folds = task.folds(zoo.resolution, settings.images, seed)
    own, others = folds != JUDGING, folds == JUDGING
    network = _supernet(task, zoo, images[own], labels[own], seed)
    mixture = Mixture(network, settings.temperature).to(device())
    mixture.to(memory_format=torch.channels_last)
    generator = torch.Generator().manual_seed(seed)
    adam = torch.optim.Adam(
        [mixture.theta], settings.gate_learning_rate, weight_decay=settings.gate_weight_decay
    )
    gates = _GateTraining(mixture, adam, latencies, settings, generator)
    recipe = Recipe(
        settings.epochs,
        settings.learning_rate,
        batch_size=settings.batch_size,
        clip=None,
        seed=seed,
    )

    def loss(x: Tensor, y: Tensor, _: int) -> Tensor:
        drawn = mixture.drawn(generator, hard=not settings.soft).detach()
        return F.cross_entropy(mixture(x, drawn), y)

    def after_epoch(epoch: int, _: float) -> None:
        if epoch > settings.warmup:
            gates.train(images[others], labels[others])
        mixture.temperature *= settings.cooling

    loop = Loop(mixture, network.input, sgd(network, recipe), recipe)
    loop.minimise(loss, images[own], labels[own], after_epoch)
    return mixture


@dataclass(frozen=True)
class _GateTraining:
    """What the gates are trained with."""

    mixture: Mixture
    optimiser: torch.optim.Optimizer
    latencies: Tensor
    """Microseconds (s, 1 + c)."""
    settings: FBNetSettings
    generator: torch.Generator

    def train(self, images: Tensor, labels: Tensor) -> None:
        """One epoch on images, uint8 (n, 3, r, r), with labels (n,); weights stay."""
        mixture, settings = self.mixture, self.settings
        mixture.network.requires_grad_(False)
        order = torch.randperm(len(images), generator=self.generator)
        for rows in order.tensor_split(max(1, round(len(order) / settings.batch_size))):
            x = prepare(images[rows], mixture.network.input).to(
                device(), memory_format=torch.channels_last
            )
            gates = mixture.drawn(self.generator, hard=not settings.soft)
            loss = F.cross_entropy(mixture(x, gates), labels[rows].to(device()))
            loss = loss * latency_factor(gates, self.latencies, settings.alpha, settings.beta)
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
        mixture.network.requires_grad_(True)


def choose(room: Room, probabilities: Tensor, samples: int, seed: int) -> tuple[Architecture, str]:
    """The most probable architecture within the limits among the likeliest and some drawn.

    Args:
        probabilities: (s, 1 + c) of the choices of each slot, absence first.

    Returns:
        It, and whether it is the ``most probable`` of all, ``drawn``, or, as none of those is
        within the limits, the ``smallest``.

    Raises:
        LimitError: not even the smallest is within the limits.
    """
    room.check()
    generator = torch.Generator().manual_seed(seed)
    drawn = probabilities.multinomial(samples, replacement=True, generator=generator).T
    choices = torch.cat([probabilities.argmax(1)[None], drawn])  # (1 + m, s)
    likelihoods = probabilities.log().gather(1, choices.T).sum(0)  # (1 + m,)
    order = likelihoods.argsort(descending=True, stable=True)
    space = room.genome.space
    architectures = [closed_up(space, row, probabilities) for row in choices[order].tolist()]
    within = room.allows(architectures)
    if not within.any():
        return space.smallest, "smallest"
    first = int(within.argmax())
    return architectures[first], "most probable" if first == 0 else "drawn"


def closed_up(space: Specification, choices: list[int], probabilities: Tensor) -> Architecture:
    """The architecture of one choice a slot: layers that are left close up in their order.

    Where a stage may not be of that depth, the first slots that are absent get their most
    probable layers until it may.

    Args:
        choices: for each slot, 0 for an absent layer or 1 and more for one of its layers.
        probabilities: (s, 1 + c).
    """
    likeliest = (1 + probabilities[:, 1:].argmax(1)).tolist()
    made_up = list(choices)
    for number, stage in enumerate(space.stages):
        own = [row for row, slot in enumerate(space.slots) if slot.stage == number]
        absent = [row for row in own if not choices[row]]
        present = len(own) - len(absent)
        missing = min(depth for depth in stage.depths if depth >= present) - present
        for row in absent[:missing]:
            made_up[row] = likeliest[row]
    chosen = zip(space.slots, made_up, strict=True)
    return space.from_slots(slot.layers[choice - 1] if choice else None for slot, choice in chosen)


def _supernet(task: Task, zoo: Zoo, images: Tensor, labels: Tensor, seed: int) -> Network:
    """The elastic base under a head fitted to the images, uint8 (n, 3, r, r)."""
    space, classes = space_of(zoo), len(task.classes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Supernet(space, classes, zoo.resolution).full
    network.load_weights(without_head(zoo.base_state()), strict=False)
    network.to(device()).to(memory_format=torch.channels_last)
    fit_head(network, images, labels, seed)
    return network
