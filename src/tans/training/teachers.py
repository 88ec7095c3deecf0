"""An ensemble that a network learns from beside the labels.

Reference: Hinton, Vinyals and Dean, Distilling the Knowledge in a Neural Network, 2015.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from tans.networks.batchnorm import folded
from tans.networks.device import moved, near
from tans.networks.network import Network, converted, prepare
from tans.training.loop import augment
from tans.training.recipe import Recipe
from tans.types import Images

TAUGHT = 0.7
"""How much what teachers say counts of a loss, beside the labels."""


class Taught:
    """What an ensemble of teachers adds to the loss of a network (Hinton et al., at T = 1).

    Args:
        unlabelled: uint8 (m, 3, r, r), of which each step takes as many as it has labelled ones.
    """

    def __init__(
        self,
        network: Network,
        teachers: Sequence[Network],
        unlabelled: Images | None,
        recipe: Recipe,
    ) -> None:
        self.network, self.where = network, network.classifier.weight.device
        self.teachers = [folded(teacher.to(self.where)) for teacher in teachers]
        self.unlabelled = None if unlabelled is None else near(unlabelled, self.where)
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
        images = self.unlabelled[moved(rows, self.unlabelled.device)]
        x = prepare(moved(images, self.where), self.network.input)
        if self.recipe.augment:
            x = augment(x, self.recipe.flip, self.generator, self.recipe.augment)
        return x.to(memory_format=torch.channels_last)
