from __future__ import annotations

import pytest
import torch

from tans.errors import InputError
from tans.networks.families.elastic.imagenet import LITE0, imagenet_network


def test_the_packaged_network_tells_images_apart() -> None:
    with torch.no_grad():
        scores = imagenet_network()(torch.rand(2, 3, 64, 64))
    assert scores.shape == (2, LITE0.classes)
    assert not torch.equal(scores[0], scores[1])


def test_spaces_whose_weights_no_package_carries_are_refused() -> None:
    with pytest.raises(InputError, match="'ofa-mbv3'.*--base-weights"):
        imagenet_network("ofa-mbv3")
