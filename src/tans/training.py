"""Train networks on images: the only optimiser loop over images.

Fine-tuning follows the paper's settings (section 4.1 and its released recipe): SGD with momentum,
weight decay, one cosine decay over the whole run, a new linear head. The head reads the pooled
features of all stages, and starts from the solution for frozen features rather than at random.
Where classes are uneven, images of rare ones count more. Weights are averaged over the last steps:
to keep the best of many epochs by few validation images is to keep the luckiest. Gradients are cut
to a length: the first ones of some networks, and of most at many pixels, would undo all learnt.

References:
    Jeong et al., Task-Adaptive Neural Network Search with Meta-Contrastive Learning, NeurIPS 2021.
    Kumar et al., Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution,
    ICLR 2022.
    Evci et al., Head2Toe: Utilizing Intermediate Representations for Better Transfer Learning,
    ICML 2022.
    Pascanu et al., On the Difficulty of Training Recurrent Neural Networks, ICML 2013.
    Hinton, Vinyals and Dean, Distilling the Knowledge in a Neural Network, 2015.
    Izmailov et al., Averaging Weights Leads to Wider Optima and Better Generalization, UAI 2018.
"""

from __future__ import annotations

import copy
import hashlib
import math
import pickle
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from tans.errors import InputError
from tans.files import replacing
from tans.licences import LicenceChain
from tans.networks.batchnorm import folded, recalibrate
from tans.networks.family import resized
from tans.networks.features import image_features
from tans.networks.network import DeepHead, Network, converted, prepare
from tans.networks.probe import linear_head, probe_accuracy, standards
from tans.novelty import Novelty
from tans.scores import Scores
from tans.tasks.task import Task
from tans.temperature import Calibration, calibrate
from tans.types import InputSpec, Origin, ZooEntry

RECIPE = 4
"""Version of the rule that fits, weighs and chooses; results made by another are kept apart."""
ALIKE = 3
"""The first version whose accuracies at the zoo's resolution are those of the newest, but for
chance: the next one made training safe at larger sizes."""
STEPS, PASSES = 200, 5
"""Of a fine-tune whose recipe names no epochs: changes of the weights, and passes over the images,
at least."""
EVALUATION_BATCH = 256
HEAD_IMAGES = 2000
"""At most, that a head is fitted to before training."""
NORM_IMAGES = 256
"""At most, in the one batch that batch-norm statistics are taken from."""
AVERAGED = 6.0
"""Weights are averaged over about one part of this many of a run's steps."""
TAUGHT = 0.7
"""How much what teachers say counts of a loss, beside the labels."""
HEAD_LENGTH = 30.0
"""Mean squared length of what a deep head multiplies by its weights."""
READINGS = 10
"""Of validation images in a run that keeps a mean: nothing is chosen by them, and each costs what a
third of an epoch of few images does."""
MOST_NEAR = 2**31
"""Bytes of images that are put on the accelerator at once, at most."""
SAVE_EVERY_S = 10.0
"""Seconds between two checkpoints, at least: an epoch over few images takes less than saving it."""

UNEVEN = 1.5
"""Classes are weighed where the largest has more than this many times the images of the smallest;
below, weights would hardly change what is learnt."""

EpochListener = Callable[[int, float], None]
Loss = Callable[[Tensor, Tensor, int], Tensor]
"""Of float images (b, 3, r, r), labels (b,), and the number of the step."""
Schedule = torch.optim.lr_scheduler.CosineAnnealingLR


@dataclass(frozen=True)
class Recipe:
    """How to fine-tune."""

    epochs: int | None = None
    """Passes over the training images; as many as fit the images where None, see ``passes``."""
    learning_rate: float = 3e-2
    """At the start; decays once over the run along a cosine to zero."""
    momentum: float = 0.9
    weight_decay: float = 4e-5
    batch_size: int = 32
    """Images a step."""
    augment: float = 1.0
    """How far images are shifted, scaled, rotated and re-contrasted at random; 0 leaves them."""
    flip: bool = False
    """Also mirror; off, since letters and signs change their meaning."""
    deep_head: bool = True
    """Let the head read what all stages give, else the last features alone, as in the paper."""
    fit_head: bool = True
    """Start from a head fitted to frozen features, and look at images under batch-norm statistics
    of the task's own; else from a random head and with running statistics, as in the paper."""
    weigh_classes: bool = True
    """Let an image count the more, the fewer there are of its class, where classes are uneven; else
    all count alike, as in the paper."""
    average: bool = True
    """Keep the mean of the weights over the last steps, else those of the best epoch."""
    clip: float | None = 1.0
    """Length that a step's gradient is cut to; None leaves all as they are, as in the paper."""
    seed: int = 0

    def __post_init__(self) -> None:
        epochs = 1 if self.epochs is None else self.epochs
        if epochs < 1 or self.batch_size < 2 or self.learning_rate <= 0:
            raise InputError(
                f"epochs {self.epochs}, batch size {self.batch_size}, learning rate "
                f"{self.learning_rate}; expected at least 1, at least 2, above 0"
            )
        if self.augment < 0 or (self.clip is not None and self.clip <= 0):
            raise InputError(
                f"augment is {self.augment} and clip {self.clip}; expected at least 0, and above 0"
            )

    def steps(self, images: int) -> int:
        """Changes of the weights in one epoch of so many images."""
        return max(1, round(images / self.batch_size))

    def passes(self, images: int) -> int:
        """Epochs on so many images: those of the recipe, else what ``STEPS`` and ``PASSES`` ask."""
        fitting = max(PASSES, round(STEPS / self.steps(images)))
        return fitting if self.epochs is None else self.epochs

    def every(self, images: int) -> int:
        """Epochs from one reading of validation images to the next."""
        return math.ceil(self.passes(images) / READINGS) if self.average else 1

    @property
    def _scales(self) -> bool:
        """Whether a fitted head's features are scaled by how they vary in training."""
        return self.deep_head and self.augment > 0

    def seen(self, train: int, val: int, test: int = 0) -> tuple[int, int]:
        """Images that a fine-tune trains on, each as often as it does, and those only looked at.

        Args:
            train: images of the split; likewise the others.
        """
        passes = self.passes(train)
        readings = math.ceil(passes / self.every(train)) + self.fit_head
        adapted = min(train, NORM_IMAGES) if self.fit_head else 0
        fitted = min(train, HEAD_IMAGES) * (1 + self._scales) if self.fit_head else 0
        return passes * train, readings * (val + adapted) + fitted + test


@dataclass(frozen=True)
class Epoch:
    """What one pass over the training images gave."""

    epoch: int
    """Counted from 1; 0 is the fitted head before any training."""
    train_loss: float
    val_accuracy: float
    """In [0, 1]; NaN where there is no validation split."""
    val_balanced: float
    """Balanced accuracy: mean recall of the classes that have validation images, in [0, 1]; NaN
    where there is no validation split."""
    seconds: float
    """Since training began, validation included."""


@dataclass(frozen=True)
class FineTuned:
    """A fine-tuned network and how it got there."""

    network: Network
    history: tuple[Epoch, ...]
    best_epoch: int
    """The epoch kept: highest balanced validation accuracy, the later of equals; 0 for the head
    alone."""
    test_accuracy: float
    """Of the kept epoch, in [0, 1], NaN without test images; the split was touched this once."""
    confusion: Tensor
    """Counts on the test split, int64 (true class, predicted class)."""
    seconds: float
    """From the start of training to the end of the test."""
    classes: tuple[str, ...]
    """Names, in the order of the confusion's rows."""
    recipe: Recipe
    entry: ZooEntry | None = None
    """What it began from; None for a network that is of no zoo."""
    teachers: tuple[ZooEntry, ...] = ()
    """What the networks began from that it learnt from beside the labels."""
    licences: LicenceChain | None = None
    """Of all that it came from, the task's own images left out; None for what is of no zoo."""
    calibration: Calibration = field(default_factory=Calibration)
    """What makes probabilities of the network's scores."""
    novelty: Novelty = field(default_factory=Novelty)
    """What tells images that are none of the classes."""
    origin: Origin | None = None
    """The fine-tuned network that it went on from, where it did."""

    @property
    def input(self) -> InputSpec:
        """What images the network takes."""
        return self.network.input

    @property
    def scores(self) -> Scores:
        """What the confusion says of all images and of each class."""
        return Scores.of(self.confusion, self.classes)


def finetune(
    network: Network,
    task: Task,
    resolution: int | None = None,
    recipe: Recipe | None = None,
    *,
    limit: int | None = None,
    teachers: Sequence[Network] = (),
    unlabelled: Tensor | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
    on_interrupt: Callable[[Epoch], bool] | None = None,
) -> FineTuned:
    """Fit a network to a task under a new head; the recipe says which weights are kept.

    With teachers it is a distillation of their ensemble: what they say of an image, on average,
    counts beside its label.

    Args:
        network: left as it is; a copy is trained.
        resolution: pixels a side; those of the network's own input when None.
        limit: at most this many training images, a stratified draw.
        teachers: networks of any size that tell the task's classes apart.
        unlabelled: images of its kind, uint8 (m, 3, r, r), at the network's size, that teachers
            alone say something of; there are as many steps as without them.
        on_epoch: told after every epoch that validation images are looked at.
        on_interrupt: asked when a keyboard interrupt stops training, with the best epoch so far,
            whether to keep that; the interrupt goes on where there is none or it says no.

    Raises:
        InputError: there are unlabelled images and no teachers.
    """
    if unlabelled is not None and not teachers:
        raise InputError("unlabelled images came without teachers; expected networks to learn from")
    recipe = recipe or Recipe()
    began = time.perf_counter()
    network = copy.deepcopy(network)
    if resolution is not None:
        network.ref = resized(network.ref, resolution)
    side, count = network.input.size, len(task.classes)
    images, labels = task.split("train", side, limit, recipe.seed)
    epochs = recipe.passes(len(images))
    recipe = replace(recipe, epochs=epochs)
    network.replace_head(count, recipe.seed, recipe.deep_head)
    network.to(device()).to(memory_format=torch.channels_last)
    held_out = task.split("val", side)
    weights = class_weights(labels, count) if recipe.weigh_classes else None
    loss = math.nan
    if recipe.fit_head:
        loss = fit_head(network, images, labels, recipe.seed, weights, recipe.augment)
    weights = None if weights is None else weights.to(device())
    keeper = _Keeper(network, recipe, recipe.steps(len(images)) * epochs)

    every = recipe.every(len(images))

    def after_epoch(epoch: int, loss: float) -> None:
        if epoch % every and epoch < epochs:
            return
        if recipe.fit_head and epoch:  # running averages lag behind in runs of few steps
            _adapt(keeper.judged, images, recipe.seed)
        val = _scores(keeper.judged, held_out, task.classes)
        seconds = time.perf_counter() - began
        keeper.note(Epoch(epoch, loss, val.accuracy, val.balanced_accuracy, seconds))
        if on_epoch:
            on_epoch(keeper.history[-1])

    if recipe.fit_head:
        after_epoch(0, loss)
    loop = Loop(network, network.input, sgd(network, recipe), recipe)
    try:
        scores = _recorded(network, len(images) // recipe.steps(len(images)))
        taught = _Taught(network, teachers, unlabelled, recipe) if teachers else None

        def objective(x: Tensor, y: Tensor, _: int) -> Tensor:
            given = scores(x)
            own = F.cross_entropy(given, y, weights)
            return own if taught is None else taught.loss(own, given, x)

        loop.minimise(objective, images, labels, after_epoch, keeper.step)
    except KeyboardInterrupt:
        if not (keeper.history and on_interrupt and on_interrupt(keeper.best)):
            raise
        if recipe.average and recipe.fit_head:  # steps were taken since the last reading
            _adapt(keeper.judged, images, recipe.seed)
    network = keeper.kept()
    test_images, test_labels = task.split("test", side)
    tested = scores_and_lengths(network, test_images)  # (m, classes), (m,)
    confusion = _counted(tested[0], test_labels, count)
    seconds = time.perf_counter() - began
    validated = scores_and_lengths(network, held_out[0])  # (n, classes), (n,)
    return FineTuned(
        network=network.eval(),
        history=tuple(keeper.history),
        best_epoch=keeper.best.epoch,
        test_accuracy=Scores.of(confusion, task.classes).accuracy,
        confusion=confusion,
        seconds=seconds,
        classes=task.classes,
        recipe=recipe,
        calibration=calibrate(validated[0], held_out[1], tested[0], test_labels),
        novelty=Novelty.of(validated, tested, task.groups_of("val")),
    )


class _Keeper:
    """Which weights of a run are kept: those of its best epoch, or a mean over its last steps.

    Args:
        network: that is trained.
        steps: of the whole run.
    """

    def __init__(self, network: Network, recipe: Recipe, steps: int) -> None:
        self.network, self.history = network, list[Epoch]()
        self.mean = None
        if recipe.average:
            rule = get_ema_multi_avg_fn(max(0.0, 1 - AVERAGED / steps))
            self.mean = AveragedModel(network, multi_avg_fn=rule)
            self.mean.update_parameters(network)  # the first is the start
        self._state: dict[str, Tensor] = {}
        self._best: Epoch | None = None

    @property
    def judged(self) -> Network:
        """The network that would be kept if training ended now."""
        return self.network if self.mean is None else cast(Network, self.mean.module)

    @property
    def best(self) -> Epoch:
        """The epoch that is kept: the last of a mean, else that of highest balanced accuracy."""
        assert self._best is not None
        return self._best

    def step(self) -> None:
        """Take the weights of one more step in."""
        if self.mean is not None:
            self.mean.update_parameters(self.network)

    def note(self, epoch: Epoch) -> None:
        """Take note of how an epoch did on validation images."""
        self.history.append(epoch)
        best = self._best
        # not below, rather than at least: without a validation split it is NaN
        if self.mean is not None or not (best and epoch.val_balanced < best.val_balanced):
            self._best = epoch
            if self.mean is None:
                state = self.network.state_dict()
                self._state = {k: v.detach().clone() for k, v in state.items()}

    def kept(self) -> Network:
        """The network with the weights that are kept."""
        if self.mean is None:
            self.network.load_state_dict(self._state)
        return self.judged


class _Taught:
    """What an ensemble of teachers adds to the loss of a network (Hinton et al., at T = 1).

    Args:
        unlabelled: uint8 (m, 3, r, r), of which each step takes as many as it has labelled ones.
    """

    def __init__(
        self,
        network: Network,
        teachers: Sequence[Network],
        unlabelled: Tensor | None,
        recipe: Recipe,
    ) -> None:
        self.network, self.teachers = network, [folded(teacher) for teacher in teachers]
        self.unlabelled = None if unlabelled is None else _near(unlabelled)
        self.recipe, self.generator = recipe, torch.Generator().manual_seed(recipe.seed)

    def loss(self, own: Tensor, scores: Tensor, x: Tensor) -> Tensor:
        """That of a step, of its labels' loss, and its scores (b, classes) for images (b, 3, r, r).

        An unlabelled image counts as much as what teachers say of a labelled one.
        """
        told = self._distance(scores, x)
        if self.unlabelled is not None and len(self.unlabelled):
            more = self._more(len(x))
            # not by the recorded pass, whose results a second one would write over
            told = told + self._distance(self.network(more), more)
        return (1 - TAUGHT) * own + TAUGHT * told

    def _distance(self, scores: Tensor, x: Tensor) -> Tensor:
        """Mean divergence of what the network says from what its teachers say on average."""
        with torch.no_grad():
            said = [
                each(converted(x, self.network.input, each.input)).float().softmax(1)
                for each in self.teachers
            ]
        mean = torch.stack(said).mean(0)  # (b, classes)
        return F.kl_div(scores.float().log_softmax(1), mean, reduction="batchmean")

    def _more(self, count: int) -> Tensor:
        """Unlabelled images, changed at random as labelled ones are, (count, 3, r, r)."""
        assert self.unlabelled is not None
        rows = torch.randint(len(self.unlabelled), (count,), generator=self.generator)
        images = self.unlabelled[rows.to(self.unlabelled.device)].to(device())
        x = prepare(images, self.network.input)
        if self.recipe.augment:
            x = augment(x, self.recipe.flip, self.generator, self.recipe.augment)
        return x.to(memory_format=torch.channels_last)


class _Pass(nn.Module):
    """A network's forward pass as a module of its own, which can be recorded."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)


def _recorded(network: Network, size: int) -> Callable[[Tensor], Tensor]:
    """The network; on a GPU its passes forward and back are recorded for batches of ``size``.

    Starting hundreds of small kernels one by one takes a GPU longer than running them.
    """
    if device().type != "cuda" or network.is_frozen:  # what is frozen may run elsewhere
        return network
    side = network.input.size
    sample = torch.rand(size, 3, side, side, device=device()).to(memory_format=torch.channels_last)
    buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
    passes = _Pass(network).train()
    with torch.autocast("cuda", torch.bfloat16, cache_enabled=False):
        torch.cuda.make_graphed_callables(passes, (sample,))
    for name, buffer in network.named_buffers():  # recording took running statistics in
        buffer.copy_(buffers[name])
    return lambda x: passes(x) if len(x) == size else network(x)


def class_weights(labels: Tensor, classes: int) -> Tensor | None:
    """How much an image of each class counts, float (classes,); None where classes are even.

    By the inverse root of the class's images, so that the mean weight of an image is 1. The whole
    inverse gives a few images of a rare class so much weight that small tasks learn less well.

    Args:
        labels: int64 (n,), below ``classes``; a class without images gets a weight all the same.
    """
    counts = torch.bincount(labels, minlength=classes).float()  # (classes,)
    present = counts[counts > 0]
    if present.max() <= UNEVEN * present.min():
        return None
    weights = counts.clamp(min=1).rsqrt()
    return weights * (len(labels) / (weights @ counts))


def fit_head(
    network: Network,
    images: Tensor,
    labels: Tensor,
    seed: int = 0,
    class_weights: Tensor | None = None,
    augmented: float = 0.0,
) -> float:
    """Fit batch-norm statistics and the head to a task, in place; all other weights stay.

    Returns:
        The mean cross-entropy of an image that it was fitted to.

    Args:
        images: uint8 (n, 3, r, r).
        labels: int64 (n,).
        class_weights: float (classes,), how much an image of each class counts; else all alike.
        augmented: strength of the changes to images that a deep head's features will be trained
            under, by which they are scaled: those that hardly vary without them would blow up.
    """
    rows = _shuffled(len(images), seed)[:HEAD_IMAGES]
    features, labels = adapted_features(network, images[rows]), labels[rows]  # (n, head's width)
    head = network.classifier
    blocks = head.blocks if isinstance(head, DeepHead) else None
    weight, bias = linear_head(features, labels, head.out_features, class_weights, blocks)
    loss = F.cross_entropy(F.linear(features, weight, bias), labels, class_weights).item()
    with torch.no_grad():
        if isinstance(head, DeepHead):
            if augmented:
                features = _augmented_features(network, images[rows], augmented, seed)
            mean, deviation = standards(features, blocks)
            # as long for any width, so that one learning rate does for all
            scale = math.sqrt(HEAD_LENGTH / head.in_features) / deviation
            head.mean.copy_(mean)
            head.scale.copy_(scale)
            head.weight.copy_(weight / scale)
            head.bias.copy_(bias + weight @ mean)
        else:
            head.weight.copy_(weight)
            head.bias.copy_(bias)
    return loss


def probe(network: Network, task: Task, limit: int | None = None, seed: int = 0) -> float:
    """Accuracy of a linear classifier on a network's frozen features, cross-validated, in [0, 1].

    It is where a fine-tune begins, so batch-norm statistics are those of the task.

    Args:
        network: its batch-norm statistics are replaced.
        limit: at most this many of the training images, which alone are looked at.
    """
    images, labels, folds = task.folds(network.input.size, limit, seed)
    head = network.classifier
    blocks = head.blocks if isinstance(head, DeepHead) else None
    return probe_accuracy(adapted_features(network, images, seed), labels, folds, blocks)


def adapted_features(network: Network, images: Tensor, seed: int = 0) -> Tensor:
    """What the head reads of images, (n, its width), under batch-norm statistics of these images.

    The first training step normalises by its own batch: what the statistics of other images let
    see is lost there.

    Args:
        network: its batch-norm statistics are replaced.
        images: uint8 (n, 3, r, r).
    """
    _adapt(network, images, seed)
    return image_features(network, images, of_head=True)


@torch.no_grad()
def _augmented_features(network: Network, images: Tensor, strength: float, seed: int) -> Tensor:
    """What the head reads of images, (n, its width), each changed at random as in training."""
    generator = torch.Generator().manual_seed(seed)
    network = folded(network).to(memory_format=torch.channels_last)
    found = [
        network.head_features(augment(prepare(part, network.input), False, generator, strength))
        for part in images.to(network.classifier.weight.device).split(EVALUATION_BATCH)
    ]
    return torch.cat(found).cpu()


@dataclass(frozen=True)
class Loop:
    """A module, how its weights are changed, and where a stopped run goes on."""

    module: nn.Module
    input: InputSpec
    """What images it takes."""
    optimiser: torch.optim.Optimizer
    recipe: Recipe
    checkpoint: Path | None = None
    """Written after the first epoch, the last, and now and then between; whoever keeps the result
    deletes it. One of another training, or that cannot be read, counts as none."""

    def minimise(
        self,
        loss: Loss,
        images: Tensor,
        labels: Tensor,
        after_epoch: EpochListener | None = None,
        after_step: Callable[[], None] | None = None,
    ) -> None:
        """Minimise a loss of (images, labels, step) over epochs with one cosine decay.

        Args:
            loss: of float images (b, 3, r, r), labels (b,), and the number of the step.
            images: uint8 (n, 3, r, r), held in memory.
            labels: int64 (n,).
        """
        recipe = self.recipe
        generator = torch.Generator().manual_seed(recipe.seed)
        # batches of nearly equal size, as a small rest would upset batch-norm
        per_epoch, epochs = recipe.steps(len(images)), recipe.passes(len(images))
        images = _near(images)
        labels = labels.to(images.device)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
            self.optimiser, T_max=epochs * per_epoch
        )
        kept = Checkpoint(self.checkpoint, self._of(images, labels))
        for epoch in range(self._resume(kept.load(), schedule, generator) + 1, epochs + 1):
            self.module.train()
            mean = torch.zeros((), device=device())
            order = torch.randperm(len(images), generator=generator).to(images.device)
            for count, rows in enumerate(order.tensor_split(per_epoch), 1):
                x = prepare(images[rows].to(device()), self.input)
                if recipe.augment:
                    x = augment(x, recipe.flip, generator, recipe.augment)
                x, y = x.to(memory_format=torch.channels_last), labels[rows].to(device())
                with torch.autocast(
                    device().type, torch.bfloat16, enabled=torch.cuda.is_available()
                ):
                    value = loss(x, y, (epoch - 1) * per_epoch + count)
                self.optimiser.zero_grad()
                value.backward()
                if recipe.clip is not None:
                    nn.utils.clip_grad_norm_(self.module.parameters(), recipe.clip)
                self.optimiser.step()
                schedule.step()
                if after_step:
                    after_step()
                mean += (value.detach() - mean) / count
            kept.save(partial(self._state, epoch, schedule, generator), last=epoch == epochs)
            if after_epoch:
                after_epoch(epoch, mean.item())

    def _of(self, images: Tensor, labels: Tensor) -> str:
        if self.checkpoint is None:
            return ""
        weights = self.module.state_dict().values()
        return digest_of(repr((self.recipe, self.input)), [images, labels, *weights])

    def _state(self, epoch: int, schedule: Schedule, generator: torch.Generator) -> dict[str, Any]:
        return {
            "epoch": epoch,
            "module": self.module.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": schedule.state_dict(),
            "generator": generator.get_state(),
        }

    def _resume(
        self, state: dict[str, Any] | None, schedule: Schedule, generator: torch.Generator
    ) -> int:
        """Last finished epoch, its state put back."""
        if state is None:
            return 0
        self.module.load_state_dict(state["module"])
        self.optimiser.load_state_dict(state["optimiser"])
        schedule.load_state_dict(state["schedule"])
        generator.set_state(state["generator"])
        return int(state["epoch"])


@dataclass
class Checkpoint:
    """Where a stopped training goes on: a file that is written now and then."""

    path: Path | None
    """Nothing is written where None."""
    of: str
    """Tells trainings apart; what another one wrote counts as nothing."""
    saved: float = -math.inf
    """When it was last written, by the monotonic clock."""

    def save(self, state: Callable[[], dict[str, Any]], last: bool = False) -> None:
        """Write a state, unless one was written a moment ago and this is not the last."""
        if self.path is None or not (last or time.monotonic() - self.saved > SAVE_EVERY_S):
            return
        with replacing(self.path) as fresh:
            torch.save({"of": self.of, **state()}, fresh)
        self.saved = time.monotonic()

    def load(self) -> dict[str, Any] | None:
        """What was written last; None where nothing was, or it cannot be read."""
        if self.path is None:
            return None
        try:
            state = torch.load(self.path, weights_only=True)
        except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError):
            return None
        return state if state.get("of") == self.of else None


def digest_of(described: str, tensors: Iterable[Tensor]) -> str:
    """Tells trainings apart, by how and what is trained, and on what."""
    digest = hashlib.sha256(described.encode())
    for tensor in tensors:
        digest.update(repr(tensor.shape).encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _scores(network: Network, split: tuple[Tensor, Tensor], classes: Sequence[str]) -> Scores:
    return Scores.of(confusion_matrix(network, *split, len(classes)), classes)


def _adapt(network: Network, images: Tensor, seed: int) -> None:
    """Take batch-norm statistics from some of the images, uint8 (n, 3, r, r)."""
    recalibrate(network, images[_shuffled(len(images), seed)[:NORM_IMAGES]])


def _shuffled(n: int, seed: int) -> Tensor:
    """Rows (n,) in random order."""
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed))


def sgd(module: nn.Module, recipe: Recipe) -> torch.optim.SGD:
    """The paper's optimiser."""
    return torch.optim.SGD(
        module.parameters(),
        recipe.learning_rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
    )


def augment(x: Tensor, flip: bool, generator: torch.Generator, strength: float = 1.0) -> Tensor:
    """Shift, scale, rotate and re-contrast each image a little, float (n, 3, r, r).

    Small images lose their content to crops, so nothing leaves the frame by more than a tenth.

    Args:
        strength: of all changes but the mirroring.
    """
    n = len(x)

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(n, generator=generator) * (high - low) + low

    turn, zoom, shift, light = (strength * most for most in (0.17, 0.15, 0.1, 0.2))
    angle, scale = uniform(-turn, turn), uniform(1 - zoom, 1 + zoom)  # radians, zoom out to in
    mirror = uniform(-1, 1).sign() if flip else torch.ones(n)
    cos, sin = angle.cos() * scale, angle.sin() * scale
    across, down = uniform(-shift, shift), uniform(-shift, shift)
    theta = torch.stack([cos * mirror, -sin, across, sin * mirror, cos, down], 1).view(n, 2, 3)
    grid = F.affine_grid(theta.to(x.device), list(x.shape), align_corners=False)  # (n, r, r, 2)
    x = F.grid_sample(x, grid, padding_mode="border", align_corners=False)
    changes = torch.stack([uniform(1 - light, 1 + light), uniform(-shift, shift)]).to(x.device)
    contrast, brightness = changes[..., None, None, None]  # (n, 1, 1, 1) each
    return x * contrast + brightness


def predict(network: Network, images: Tensor) -> Tensor:
    """Class scores for uint8 images, (n, 3, r, r) to (n, classes), on the CPU."""
    return scores_and_lengths(network, images)[0]


@torch.no_grad()
def scores_and_lengths(network: Network, images: Tensor) -> tuple[Tensor, Tensor]:
    """Class scores (n, classes) for uint8 images (n, 3, r, r), and the length of what the head
    reads of each (n,), on the CPU."""
    network = folded(network).to(memory_format=torch.channels_last)
    where = network.classifier.weight.device
    found = [
        network.scores_and_lengths(
            prepare(batch, network.input).to(where, memory_format=torch.channels_last)
        )
        for batch in images.split(EVALUATION_BATCH)
    ]
    if not found:
        return torch.empty(0, 0), torch.empty(0)
    scores, lengths = (torch.cat(parts).cpu() for parts in zip(*found, strict=True))
    return scores, lengths


def accuracy(network: Network, images: Tensor, labels: Tensor) -> float:
    """Share of images whose highest score is their label; NaN for no images."""
    if not len(images):
        return float("nan")
    return (predict(network, images).argmax(1) == labels).float().mean().item()


def confusion_matrix(network: Network, images: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Counts of (true class, predicted class), int64 (classes, classes)."""
    return _counted(predict(network, images), labels, classes)


def _counted(scores: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Counts (classes, classes) of labels (n,) and of the highest of scores (n, classes)."""
    if not len(labels):
        return torch.zeros(classes, classes, dtype=torch.int64)
    cells = labels * classes + scores.argmax(1)
    return torch.bincount(cells, minlength=classes**2).view(classes, classes)


def _near(images: Tensor) -> Tensor:
    """Images where they are trained on, if they take little room there."""
    return images.to(device()) if images.nbytes <= MOST_NEAR else images


def device() -> torch.device:
    """The accelerator where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
