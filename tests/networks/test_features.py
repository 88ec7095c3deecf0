"""What networks answer to fixed inputs, and to images."""

from __future__ import annotations

import pytest
import torch

from tans.networks.families.elastic.specification import LITE0, ref_of
from tans.networks.family import build
from tans.networks.features import (
    REFERENCES,
    functional_embedding,
    image_features,
    reference_images,
    reference_similarities,
)
from tans.networks.network import Network, prepare
from tests.networks.plain import plain_ref, with_statistics

PAIRS = REFERENCES * (REFERENCES - 1) // 2


@pytest.fixture
def network(plain: object) -> Network:  # noqa: ARG001
    return with_statistics(build(plain_ref(24), 3))


def test_reference_images_differ_and_are_the_callers_to_read() -> None:
    images = reference_images()
    assert images.shape == (REFERENCES, 3, 64, 64)
    assert images.dtype == torch.uint8
    assert len(images.flatten(1).unique(dim=0)) == REFERENCES


def test_similarities_do_not_depend_on_width_nor_on_the_scale_of_features(
    network: Network,
    plain: object,  # noqa: ARG001
) -> None:
    found = reference_similarities(network)
    assert found.shape == (PAIRS,)
    assert found.abs().max() <= 1 + 1e-6
    assert reference_similarities(with_statistics(build(plain_ref(12), 3))).shape == (PAIRS,)
    before = network.features

    network.features = lambda x: 3 * before(x)  # type: ignore[method-assign]
    torch.testing.assert_close(reference_similarities(network), found, atol=1e-5, rtol=0)


def test_the_answer_to_noise_is_the_same_each_time_and_another_at_another_size() -> None:
    network = build(ref_of(LITE0.smallest, 32), 2)
    found = functional_embedding(network)
    assert found.shape == (network.width,)
    assert torch.equal(functional_embedding(network), found)
    network.ref = ref_of(LITE0.smallest, 64)
    assert not torch.equal(functional_embedding(network), found)


def test_features_of_images_are_those_of_the_network_whatever_the_batch(network: Network) -> None:
    images = torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        expected = network.eval().features(prepare(images, network.input))
    for batch in (2, 256):
        torch.testing.assert_close(image_features(network, images, batch), expected)
