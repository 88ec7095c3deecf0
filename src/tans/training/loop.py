"""The only optimiser loop over images, and where a stopped run goes on.

Reference: Pascanu et al., On the Difficulty of Training Recurrent Neural Networks, ICML 2013.
"""

from __future__ import annotations

import hashlib
import math
import pickle
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tans.files import replacing
from tans.networks.depthwise import fast_depthwise
from tans.networks.device import autocast, moved, near, sampled, scaler
from tans.networks.network import prepare
from tans.tasks.stored import READ
from tans.training.recipe import Recipe
from tans.types import Images, InputSpec

AHEAD = 2
"""Batches of stored images that are read ahead."""
SAVE_EVERY_S = 10.0
"""Seconds between two checkpoints, at least: an epoch over few images takes less than saving it."""
EpochListener = Callable[[int, float], None]
Loss = Callable[[Tensor, Tensor, int], Tensor]
"""Of float images (b, 3, r, r), labels (b,), and the number of the step."""
Schedule = torch.optim.lr_scheduler.CosineAnnealingLR


@dataclass(frozen=True)
class Loop:
    """A module, how its weights are changed, and where a stopped run goes on."""

    module: nn.Module
    """It is trained where it is."""
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
        images: Images,
        labels: Tensor,
        after_epoch: EpochListener | None = None,
        after_step: Callable[[], None] | None = None,
    ) -> None:
        """Minimise a loss of (images, labels, step) over epochs with one cosine decay.

        Args:
            loss: of float images (b, 3, r, r), labels (b,), and the number of the step.
            images: uint8 (n, 3, r, r), in memory or stored; each epoch has them in a new order.
            labels: int64 (n,).
        """
        recipe, where = self.recipe, next(self.module.parameters()).device
        generator = torch.Generator().manual_seed(recipe.seed)
        # batches of nearly equal size, as a small rest would upset batch-norm
        per_epoch, epochs = recipe.steps(len(images)), recipe.passes(len(images))
        images = near(images, where)
        labels = labels.to(images.device)
        doubtful = scaler(where)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
            self.optimiser, T_max=epochs * per_epoch
        )
        kept = Checkpoint(self.checkpoint, self._of(images, labels))
        for epoch in range(self._resume(kept.load(), schedule, generator) + 1, epochs + 1):
            self.module.train()
            mean = torch.zeros((), device=where)
            order = moved(torch.randperm(len(images), generator=generator), images.device)
            parts = order.tensor_split(per_epoch)
            for count, (rows, part) in enumerate(
                zip(parts, batches(images, parts), strict=True), 1
            ):
                x, y = moved(part, where), moved(labels[rows], where)
                x = prepare(x, self.input)
                if recipe.augment:
                    x = augment(x, recipe.flip, generator, recipe.augment)
                x = x.to(memory_format=torch.channels_last)
                with autocast(where), fast_depthwise(where):
                    value = loss(x, y, (epoch - 1) * per_epoch + count)
                self.optimiser.zero_grad()
                doubtful.scale(value).backward()
                doubtful.unscale_(self.optimiser)
                if recipe.clip is not None:
                    nn.utils.clip_grad_norm_(self.module.parameters(), recipe.clip)
                doubtful.step(self.optimiser)
                doubtful.update()
                schedule.step()
                if after_step:
                    after_step()
                mean += (value.detach() - mean) / count
            kept.save(partial(self._state, epoch, schedule, generator), last=epoch == epochs)
            if after_epoch:
                after_epoch(epoch, mean.item())

    def _of(self, images: Images, labels: Tensor) -> str:
        if self.checkpoint is None:
            return ""
        weights = self.module.state_dict().values()
        shown = [images] if isinstance(images, Tensor) else images.split(READ)
        return digest_of(repr((self.recipe, self.input)), [*shown, labels, *weights])

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
            state = torch.load(self.path, map_location="cpu", weights_only=True)
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
    places = (cos * mirror, -sin, across, sin * mirror, cos, down)  # rows of a matrix (2, 3)
    lights = uniform(1 - light, 1 + light), uniform(-shift, shift)
    changes = moved(torch.stack([*places, *lights]), x.device)  # (8, n), all in one go
    theta = changes[:6].T.reshape(n, 2, 3)
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)  # (n, r, r, 2)
    x = sampled(x, grid)
    contrast, brightness = changes[6:, :, None, None, None]  # (n, 1, 1, 1) each
    return x * contrast + brightness


def batches(images: Images, parts: Sequence[Tensor]) -> Iterator[Tensor]:
    """Images of the rows in each part; stored ones are read beside what is done with those before.

    Args:
        images: uint8 (n, 3, r, r).
        parts: rows (b,).
    """
    if isinstance(images, Tensor):
        yield from (images[rows] for rows in parts)
        return
    with ThreadPoolExecutor(1) as reader:
        coming = [reader.submit(images.__getitem__, rows) for rows in parts[:AHEAD]]
        for number in range(len(parts)):
            part = coming[number % AHEAD].result()
            if number + AHEAD < len(parts):
                coming[number % AHEAD] = reader.submit(images.__getitem__, parts[number + AHEAD])
            yield part
