import pytest
import timm
import torch

from tans.networks.families.elastic.imagenet import imagenet_network
from tans.networks.families.elastic.network import Network
from tans.networks.families.elastic.specification import LITE0


@pytest.mark.parametrize("resolution", [64, 75])
def test_full_size_equals_timm(resolution: int) -> None:
    ours = imagenet_network()
    theirs = timm.create_model("tf_efficientnet_lite0").eval()
    state = dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True))
    theirs.load_state_dict(state)
    x = torch.randn(2, 3, resolution, resolution, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(ours(x), theirs(x), atol=1e-4)


def test_a_new_head_is_seeded_and_leaves_the_global_stream_alone() -> None:
    network = Network(LITE0, LITE0.smallest, classes=5)
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    network.replace_head(7, seed=1)
    assert torch.rand(1) == expected
    first = network.classifier.weight.clone()
    network.replace_head(7, seed=1)
    assert torch.equal(first, network.classifier.weight)
    network.replace_head(7, seed=2)
    assert not torch.equal(first, network.classifier.weight)
