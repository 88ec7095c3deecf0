"""What holds for all networks of other libraries: their features, gradients and costs."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from tans.networks.families.headless import BODY
from tans.networks.families.transformers import classifier
from tans.networks.family import build, describe
from tans.networks.network import Network
from tans.types import NetworkRef
from tests.networks.registry import ALL, FAST

UNUSED = {
    # what tells its stages apart when it is distilled
    "efficientvim_m1": ("body.weights",),
}
"""By network, how names begin of parameters that no result of its depends on."""


def marked(ref: NetworkRef) -> Any:
    quick = ref.family == "transformers" or ref.name in FAST.get(ref.family, ())
    name = ref.name.partition(" ")[0]
    return pytest.param(ref, id=f"{ref.family}-{name}", marks=() if quick else pytest.mark.slow)


def noise(ref: NetworkRef) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 3, ref.input.size, ref.input.size, generator=generator)


def theirs(network: Network) -> nn.Module:
    """The whole network as its library builds it, with the same weights below its head."""
    name, family = network.ref.name, network.ref.family
    if family == "timm":
        whole = timm.create_model(name)
        state = network.body.state_dict()
    else:
        aux = {"aux_logits": False, "init_weights": False}
        options = aux if name in ("googlenet", "inception_v3") else {}
        whole = (
            torchvision.models.get_model(name, weights=None, **options)
            if family == "torchvision"
            else classifier(name, 1000)
        )
        state = {k.removeprefix(BODY): t for k, t in network.body.state_dict().items()}
    mine = whole.state_dict()
    mine.update({name: tensor for name, tensor in state.items() if name in mine})
    assert state.keys() <= mine.keys()
    whole.load_state_dict(mine)
    return whole.eval()


def pooled(whole: Any, x: Tensor) -> Tensor:
    """What the last layer reads of images, by the library's own ways."""
    if hasattr(whole, "forward_head"):
        return whole.forward_head(whole.forward_features(x), pre_logits=True)
    seen: list[Tensor] = []
    *_, last = (m for m in whole.modules() if isinstance(m, nn.Linear | nn.Conv2d))
    last.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    whole(x)
    (features,) = seen
    return features if features.dim() == 2 else features.mean((2, 3))


@pytest.mark.parametrize("ref", map(marked, ALL))
@pytest.mark.long
def test_features_gradients_and_costs_are_those_of_its_library(
    ref: NetworkRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    network, x = build(ref, 3).eval(), noise(ref)
    network.requires_grad_(False)
    # attention by matrix products, which alone are counted
    monkeypatch.setattr(torch.backends.mha, "_is_fastpath_enabled", False)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        features = network.features(x[:1])
    known = describe(ref)
    assert (features.shape[1], counter.get_total_flops() // 2) == (known.width, known.body_flops)
    with torch.no_grad():
        found, expected = network.features(x), pooled(theirs(network), x)
    if "squeezenet" not in ref.name:  # it pools what its last layer makes of each place
        assert torch.allclose(found, expected, atol=1e-5, rtol=1e-5)
    network.requires_grad_(True).train()
    network.replace_head(3, deep=True)
    nn.functional.cross_entropy(network(x), torch.tensor([0, 1])).backward()
    lost = [
        k for k, p in network.named_parameters() if p.grad is None or not p.grad.isfinite().all()
    ]
    assert not [name for name in lost if not name.startswith(UNUSED.get(ref.name, ("\0",)))]
