import torch

from tans.networks.batchnorm import recalibrate
from tans.networks.families.elastic.network import Network, normalise
from tans.networks.families.elastic.specification import LITE0


def test_statistics_become_those_of_the_images() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (8, 3, 32, 32), generator=generator, dtype=torch.uint8)
    network = Network(LITE0, LITE0.smallest, classes=3)
    momentum = network.stem.norm.momentum
    recalibrate(network, images)
    with torch.no_grad():
        stem = network.stem
        padded = torch.nn.functional.pad(normalise(images), (0, 1, 0, 1))
        responses = stem.conv(padded)
    assert torch.allclose(stem.norm.running_mean, responses.mean((0, 2, 3)), atol=1e-4)
    assert torch.allclose(stem.norm.running_var, responses.var((0, 2, 3)), rtol=1e-3)
    assert not any(m.training for m in network.modules())
    assert stem.norm.momentum == momentum
