"""ImageNet weights that packages carry, as those of an elastic network."""

from __future__ import annotations

from tans.errors import InputError
from tans.networks.families.elastic.family import ELASTIC
from tans.networks.network import Network
from tans.networks.published import get_published, read_published

LITE0 = get_published("tf_efficientnet_lite0")


def imagenet_network(space: str = "lite0", size: int = 224) -> Network:
    """The largest network of a space with its ImageNet weights and 1000-class head.

    Args:
        size: pixels a side of the images it takes.

    Raises:
        WeightsError: the package that carries the weights is not installed, or damaged.
        InputError: no package carries weights for this space.
    """
    ref = ELASTIC.largest(space, size)
    if space != "lite0":
        raise InputError(
            f"no package carries ImageNet weights of space {space!r}, only of 'lite0'; "
            "build a zoo of it from a published file: 'tans zoo build --base-weights FILE_OR_URL'"
        )
    network = ELASTIC.build(ref, LITE0.classes)
    # timm names its tensors otherwise; they stand in the same order
    network.load_weights(dict(zip(network.weights(), read_published(LITE0).values(), strict=True)))
    return network.eval()
