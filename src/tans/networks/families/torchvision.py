"""Any classifier of torchvision, by its name there.

Reference: TorchVision maintainers, https://github.com/pytorch/vision.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from functools import lru_cache
from types import ModuleType

import torch
from torch import Tensor, nn

from tans.errors import InputError
from tans.networks.families.headless import UNUSUAL, Headless, Shape
from tans.networks.family import Description, counted
from tans.networks.network import Network, Weights
from tans.plugins import library
from tans.types import NetworkRef

USUAL = 224
"""Pixels a side that most are made for, and that all take."""
SIDES = {
    "inception_v3": ("aux_logits", "init_weights"),
    "googlenet": ("aux_logits", "init_weights"),
}
"""Arguments that are off: heads that stand on the side, and slow random weights."""

COMPUTED = "regnet"
"""Begins names of networks whose widths are computed as tensors, for which a device must count."""


class TorchvisionFamily:
    """All classifiers that torchvision can build; the name of a network is torchvision's.

    Its features are what the last layer reads.
    """

    def build(self, ref: NetworkRef, classes: int) -> Network:
        """A network with untrained weights.

        Raises:
            InputError: torchvision has no such classifier.
            MissingExtraError: torchvision is not installed.
        """
        shape = shape_of(ref.name)
        body = Headless(classifier(ref.name, UNUSUAL), shape.head)
        return Network(ref, body, shape.width, classes, shape.stages)

    def describe(self, ref: NetworkRef) -> Description:
        """What is known of a network, counted once without computing anything.

        Raises:
            InputError: torchvision has no such classifier, or it takes no images of this size.
            MissingExtraError: torchvision is not installed.
        """
        return _described(ref)

    def select(self, weights: Mapping[str, Tensor], ref: NetworkRef) -> Weights:  # noqa: ARG002
        """All of them: each network is stored on its own."""
        return dict(weights)


TORCHVISION = TorchvisionFamily()


@lru_cache(maxsize=4096)
def _described(ref: NetworkRef) -> Description:
    return counted(TORCHVISION, ref)


@lru_cache(maxsize=4096)
def shape_of(name: str) -> Shape:
    """Seen in a forward pass on the meta device.

    Raises:
        InputError: torchvision has no such classifier.
        MissingExtraError: torchvision is not installed.
    """
    with torch.device("meta"):
        network = classifier(name, UNUSUAL).eval()
        return Shape.seen(network, name, USUAL)


def classifier(name: str, classes: int) -> nn.Module:
    """A whole network with random weights.

    Raises:
        InputError: torchvision has no such classifier.
        MissingExtraError: torchvision is not installed.
    """
    models = torchvision_models()
    known = models.list_models(module=models)
    if name not in known:
        near = get_close_matches(name, known) or ["resnet18", "mobilenet_v3_small"]
        raise InputError(
            f"torchvision has no classifier {name!r}; expected one such as {', '.join(near)}"
        )
    off = dict.fromkeys(SIDES.get(name, ()), False)
    where = torch.get_default_device()
    with torch.device("cpu") if name.startswith(COMPUTED) else where:
        network = models.get_model(name, weights=None, num_classes=classes, **off)
    return network.to(where)


def torchvision_models() -> ModuleType:
    """Not imported before it is needed.

    Raises:
        MissingExtraError: torchvision is not installed.
    """
    return library("torchvision.models", "torchvision")
