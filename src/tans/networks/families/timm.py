"""Any network of timm, by its name there.

Reference: Wightman, PyTorch Image Models, https://github.com/huggingface/pytorch-image-models.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from tans.errors import InputError
from tans.networks.family import Description, counted
from tans.networks.network import Network, Weights
from tans.plugins import library
from tans.types import NetworkRef


class TimmFamily:
    """All networks that timm can build; the name of a network is timm's."""

    def build(self, ref: NetworkRef, classes: int) -> Network:
        """A network with untrained weights.

        Raises:
            InputError: timm has no such network, or it takes no images of this size.
            MissingExtraError: timm is not installed.
        """
        shape = _shape(ref.name)
        _check_size(ref, shape.size)
        return Network(ref, body_of(ref.name), shape.width, classes, shape.stages)

    def describe(self, ref: NetworkRef) -> Description:
        """What is known of a network, counted once without computing anything.

        Raises:
            InputError: timm has no such network, or it takes no images of this size.
            MissingExtraError: timm is not installed.
        """
        return _described(ref)

    def select(self, weights: Mapping[str, Tensor], ref: NetworkRef) -> Weights:  # noqa: ARG002
        """All of them: each network is stored on its own."""
        return dict(weights)


TIMM = TimmFamily()


@dataclass(frozen=True)
class _Shape:
    """What a body takes and gives."""

    width: int
    stages: tuple[str, ...]
    """Modules that end a stage with maps (n, channels, height, width)."""
    size: int | None
    """Pixels a side of images where weights are made for one size; None where any goes."""


@lru_cache(maxsize=4096)
def _described(ref: NetworkRef) -> Description:
    return counted(TIMM, ref)


def timm_library() -> ModuleType:
    """Not imported before it is needed: it takes seconds.

    Raises:
        MissingExtraError: timm is not installed.
    """
    return library("timm", "timm")


def body_of(name: str) -> nn.Module:
    """A network of timm that makes pooled features, with random weights.

    Raises:
        InputError: timm has no such network.
        MissingExtraError: timm is not installed.
    """
    timm = timm_library()
    if not timm.is_model(name):
        near = get_close_matches(name, timm.list_models()) or ["resnet18", "tf_efficientnet_lite0"]
        raise InputError(
            f"timm {timm.__version__} has no network {name!r}; expected one such as "
            f"{', '.join(near)}"
        )
    try:
        return timm.create_model(name, pretrained=False, num_classes=0)
    except (RuntimeError, ValueError) as error:  # such as a tag after the dot that it does not know
        raise InputError(f"timm {timm.__version__} cannot build {name!r}: {error}") from error


@lru_cache(maxsize=4096)
def _shape(name: str) -> _Shape:
    """Seen in a forward pass on the meta device: what timm says of stages is not true of all."""
    with torch.device("meta"):
        body = body_of(name).eval()
    settings: Any = body.pretrained_cfg  # a dict that mypy takes for a module
    images = torch.empty(1, *settings["input_size"], device="meta")
    channels = {info["module"]: info["num_chs"] for info in getattr(body, "feature_info", ())}
    features, outputs = _watched(body, images, channels)
    return _Shape(
        features.shape[-1],
        tuple(name for name in outputs if _is_map(outputs[name], channels[name])),
        settings["input_size"][-1] if settings.get("fixed_input_size") else None,
    )


def _watched(
    body: nn.Module, images: Tensor, names: Iterable[str]
) -> tuple[Tensor, dict[str, object]]:
    """Features for images, and what the modules of these names gave, as far as they ran."""
    outputs: dict[str, object] = {}

    def keep(name: str, output: object) -> None:
        outputs[name] = output

    modules = dict(body.named_modules())
    for name in modules.keys() & names:
        modules[name].register_forward_hook(
            lambda _module, _input, output, name=name: keep(name, output)
        )
    with torch.no_grad():
        return body(images), outputs


def _is_map(output: object, channels: int) -> bool:
    """Whether a module gave (n, channels, height, width), and no tokens or several tensors."""
    return isinstance(output, Tensor) and output.dim() == 4 and output.shape[1] == channels


def _check_size(ref: NetworkRef, size: int | None) -> None:
    if size is not None and ref.input.size != size:
        raise InputError(
            f"{ref.name} takes images of {size} pixels a side only, not of {ref.input.size}; "
            f"choose {size}, or a convolutional network, which takes any size"
        )
