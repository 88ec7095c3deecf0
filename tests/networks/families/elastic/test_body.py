import pytest
import timm
import torch

from tans.networks.families.elastic.imagenet import imagenet_network


@pytest.mark.parametrize("resolution", [64, 75])
def test_full_size_equals_timm(resolution: int) -> None:
    ours = imagenet_network(size=resolution)
    theirs = timm.create_model("tf_efficientnet_lite0").eval()
    state = dict(zip(theirs.state_dict(), ours.weights().values(), strict=True))
    theirs.load_state_dict(state)
    x = torch.randn(2, 3, resolution, resolution, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(ours(x), theirs(x), atol=1e-4)
