import pytest
import torch

from tans.networks.families.elastic.specification import LITE0, ref_of
from tans.networks.family import build
from tans.networks.network import Network


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    return build(ref_of(LITE0.smallest, 32), classes=9)
