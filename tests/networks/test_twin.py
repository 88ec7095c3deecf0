"""A copy shares its tensors, and nothing else that is changed."""

from __future__ import annotations

import torch
from torch import Tensor, fx, nn

from tans.networks.network import Network
from tans.networks.twin import twin
from tests.networks.plain import PlainFamily, plain_ref, with_statistics


def images(size: int = 32) -> Tensor:
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))


def network() -> Network:
    return with_statistics(PlainFamily().build(plain_ref(12), 3)).eval()


def test_the_copy_computes_the_same_with_the_same_tensors() -> None:
    original = network()
    copied = twin(original)
    assert torch.equal(copied(images()), original(images()))
    for found, expected in (
        (copied.named_parameters(), original.named_parameters()),
        (copied.named_buffers(), original.named_buffers()),
    ):
        own, others = dict(found), dict(expected)
        assert own.keys() == others.keys()
        assert all(own[name] is others[name] for name in own)


def test_the_original_keeps_its_parts_modes_and_hooks() -> None:
    original = network()
    before, seen = original(images()), list[str]()
    copied = twin(original).train()
    copied.body.get_submodule("first.0").weight = nn.Parameter(torch.zeros(8, 3, 3, 3))
    copied.body.last = nn.Identity()
    copied.body.get_submodule("first").register_forward_hook(lambda *_: seen.append("copy"))
    copied.body.register_buffer("more", torch.zeros(1), persistent=False)
    assert torch.equal(original(images()), before)
    assert not seen
    assert not any(module.training for module in original.modules())
    assert "more" not in dict(original.body.named_buffers())


def test_a_part_in_two_places_is_one_in_the_copy() -> None:
    shared = nn.ReLU()
    original = nn.Sequential(nn.Linear(2, 2), shared, nn.Linear(2, 2), shared)
    copied = twin(original)
    assert copied[1] is copied[3]
    assert copied[1] is not shared


def test_a_part_that_is_none_stays_so() -> None:
    original = nn.Sequential(nn.Linear(2, 2, bias=False))
    original.register_module("missing", None)
    copied = twin(original)
    assert copied._modules["missing"] is None
    assert copied[0].bias is None


def test_a_traced_module_keeps_its_program() -> None:
    original = fx.symbolic_trace(nn.Sequential(nn.Linear(2, 2), nn.Tanh()))
    copied, x = twin(original), torch.ones(3, 2)
    assert torch.equal(copied(x), original(x))
    copied.get_submodule("0").weight = nn.Parameter(torch.zeros(2, 2))
    assert not torch.equal(copied(x), original(x))
