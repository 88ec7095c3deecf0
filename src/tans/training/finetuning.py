"""Fit a network to a task under a new head, and say how well that went.

References:
    Jeong et al., Task-Adaptive Neural Network Search with Meta-Contrastive Learning, NeurIPS 2021.
    Izmailov et al., Averaging Weights Leads to Wider Optima and Better Generalization, UAI 2018.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from tans.errors import InputError
from tans.licences import LicenceChain
from tans.networks.allocation import memory_kept
from tans.networks.device import autocast, compiled, moved, near, place
from tans.networks.family import resized
from tans.networks.network import Network, pooled_map
from tans.networks.twin import twin
from tans.novelty import Novelty
from tans.scores import Scores
from tans.tasks.task import Task
from tans.temperature import Calibration, calibrate
from tans.training.head import adapt, class_weights, fit_head
from tans.training.loop import Loop, sgd
from tans.training.prediction import confusion_matrix, counted, scores_and_lengths
from tans.training.recipe import Recipe
from tans.training.teachers import Taught
from tans.types import Images, InputSpec, Origin, ZooEntry

AVERAGED = 6.0
"""Weights are averaged over about one part of this many of a run's steps."""


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
    """The epoch kept: the last where weights are averaged, else that of highest balanced validation
    accuracy, the later of equals; 0 for the head alone."""
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


@memory_kept()
def finetune(
    network: Network,
    task: Task,
    resolution: int | None = None,
    recipe: Recipe | None = None,
    *,
    limit: int | None = None,
    teachers: Sequence[Network] = (),
    unlabelled: Images | None = None,
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
    images, labels = task.stored("train", side, limit, recipe.seed)
    epochs = recipe.passes(len(images))
    recipe = replace(recipe, epochs=epochs)
    network.replace_head(count, recipe.seed, recipe.deep_head)
    where = place(network)
    network.to(memory_format=torch.channels_last)
    held_out = task.stored("val", side)
    # now, as a disk without room for them is to be told before anything is trained
    test_images, test_labels = task.stored("test", side)
    weights = class_weights(labels, count) if recipe.weigh_classes else None
    loss = math.nan
    if recipe.fit_head:
        loss = fit_head(network, images, labels, recipe.seed, weights, recipe.augment)
    weights = None if weights is None else moved(weights, where)
    steps = recipe.steps(len(images)) * epochs
    keeper = _Keeper(network, recipe, steps)
    # once, as all of them are looked at again and again
    images, held_out = near(images, where), (near(held_out[0], where), held_out[1])

    every = recipe.every(len(images))

    def after_epoch(epoch: int, loss: float) -> None:
        if epoch % every and epoch < epochs:
            return
        if recipe.fit_head and epoch:  # running averages lag behind in runs of few steps
            adapt(keeper.judged, images, recipe.seed)
        val = _scores(keeper.judged, held_out, task.classes)
        seconds = time.perf_counter() - began
        keeper.note(Epoch(epoch, loss, val.accuracy, val.balanced_accuracy, seconds))
        if on_epoch:
            on_epoch(keeper.history[-1])

    if recipe.fit_head:
        after_epoch(0, loss)
    loop = Loop(network, network.input, sgd(network, recipe), recipe)
    try:
        scores = _recorded(network, len(images) // recipe.steps(len(images)), steps)
        taught = Taught(network, teachers, unlabelled, recipe) if teachers else None

        def objective(x: Tensor, y: Tensor, _: int) -> Tensor:
            given = scores(x)
            own = F.cross_entropy(given, y, weights)
            return own if taught is None else taught.loss(own, given, x)

        loop.minimise(objective, images, labels, after_epoch, keeper.step)
    except KeyboardInterrupt:
        if not (keeper.history and on_interrupt and on_interrupt(keeper.best)):
            raise
        if recipe.average and recipe.fit_head:  # steps were taken since the last reading
            adapt(keeper.judged, images, recipe.seed)
    network = keeper.kept()
    tested = scores_and_lengths(network, test_images)  # (m, classes), (m,)
    confusion = counted(tested[0], test_labels, count)
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
            self.mean = _Mean(network, max(0.0, 1 - AVERAGED / steps))
        self._state: dict[str, Tensor] = {}
        self._best: Epoch | None = None

    @property
    def judged(self) -> Network:
        """The network that would be kept if training ended now."""
        return self.network if self.mean is None else self.mean.network

    @property
    def best(self) -> Epoch:
        """The epoch that is kept: the last of a mean, else that of highest balanced accuracy."""
        assert self._best is not None
        return self._best

    def step(self) -> None:
        """Take the weights of one more step in."""
        if self.mean is not None:
            self.mean.take()

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


class _Mean:
    """A running mean of the weights of a network that is trained, from its start on.

    As ``AveragedModel`` of PyTorch, which makes a card wait at each step: it counts them there.

    Args:
        kept: share of the mean that stays at each step.
    """

    def __init__(self, network: Network, kept: float) -> None:
        self.network, self._rule = copy.deepcopy(network), get_ema_multi_avg_fn(kept)
        self._weights = [[p.detach() for p in n.parameters()] for n in (self.network, network)]
        self._buffers = list(zip(self.network.buffers(), network.buffers(), strict=True))

    @torch.no_grad()
    def take(self) -> None:
        """Take the weights of one more step in; running statistics as they are."""
        self._rule(*self._weights, None)
        for own, new in self._buffers:
            own.copy_(new)


class _Pass(nn.Module):
    """A network's forward pass as a module of its own, which can be recorded."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)


class Program(nn.Module):
    """A network's forward pass that can be compiled: its hooks stay, rather than come and go.

    Args:
        network: its weights are shared.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = twin(network)
        self._pooled: dict[str, tuple[Tensor, Tensor]] = {}
        for name in network.stage_names if network.is_deep else ():
            self.network.body.get_submodule(name).register_forward_hook(self._seer(name))

    def _seer(self, name: str) -> Callable[[nn.Module, object, Tensor], None]:
        def see(_module: nn.Module, _given: object, output: Tensor) -> None:
            self._pooled[name] = pooled_map(output)

        return see

    def forward(self, x: Tensor) -> Tensor:
        """Class scores, (n, 3, r, r) to (n, classes)."""
        features = self.network.body(x)
        if not self.network.is_deep:
            return self.network.classifier(features)
        stages = [part for name in self.network.stage_names for part in self._pooled[name]]
        self._pooled.clear()
        return self.network.classifier(torch.cat([part.float() for part in (*stages, features)], 1))


def _recorded(network: Network, size: int, steps: int) -> Callable[[Tensor], Tensor]:
    """The network; on a card its passes forward and back are recorded for batches of ``size``.

    Starting hundreds of small kernels one by one takes a card longer than running them. For a run
    of very many steps they are compiled, which takes long itself.
    """
    where, side = network.classifier.weight.device, network.input.size
    if where.type != "cuda":
        return network
    sample = torch.rand(size, 3, side, side, device=where).to(memory_format=torch.channels_last)
    buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
    passes = compiled(Program(network).train(), steps, sample)
    if passes is None:
        passes = _Pass(network).train()
        with autocast(where, cache=False):
            torch.cuda.make_graphed_callables(passes, (sample,))
    for name, buffer in network.named_buffers():  # recording took running statistics in
        buffer.copy_(buffers[name])
    return lambda x: passes(x) if len(x) == size else network(x)


def _scores(network: Network, split: tuple[Images, Tensor], classes: Sequence[str]) -> Scores:
    return Scores.of(confusion_matrix(network, *split, len(classes)), classes)
