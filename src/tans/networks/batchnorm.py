"""Batch-norm layers: their running statistics, and doing without them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import torch
from torch import Tensor, fx, nn
from torch.nn.utils import fuse_conv_bn_weights

from tans.networks.device import moved, place
from tans.networks.family import build
from tans.networks.network import Network, prepare
from tans.networks.twin import twin
from tans.types import NetworkRef

Pair = tuple[str, str]
"""Names of a convolution and of the batch-norm that alone reads it."""


@torch.no_grad()
def recalibrate(network: Network, images: Tensor) -> None:
    """Set all running statistics to those of one batch of images, uint8 (n, 3, r, r).

    A slice of a supernet sees other activations than the supernet did, so the supernet's
    statistics do not fit it. Leaves the network in evaluation mode.
    """
    with taking_statistics(network) as takes_any:
        if takes_any:
            x = prepare(moved(images, place(network)), network.input)
            network(x.to(memory_format=torch.channels_last))


@contextmanager
def taking_statistics(network: Network) -> Iterator[bool]:
    """Let the one batch that passes meanwhile be normalised by its own statistics, and set them.

    Says whether there are any to set. Leaves the network in evaluation mode.
    """
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    network.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = 1.0  # one batch sets it
        norm.train()
    try:
        yield bool(norms)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        network.eval()


def folded(network: Network) -> Network:
    """A copy in evaluation mode whose convolutions have taken their batch-norms in.

    It computes the same in two thirds of the time; only for looking, not for training on. A
    network whose graph cannot be traced stays as it is.
    """
    copied = twin(network).eval()
    for conv, norm in _pairs(network.ref):
        _fold(copied.body, conv, norm)
    return copied


def _fold(body: nn.Module, conv: str, norm: str) -> None:
    before, after = body.get_submodule(conv), body.get_submodule(norm)
    assert isinstance(before, nn.Conv2d)
    assert isinstance(after, nn.BatchNorm2d)
    assert after.running_mean is not None
    assert after.running_var is not None
    before.weight, before.bias = fuse_conv_bn_weights(
        before.weight,
        before.bias,
        after.running_mean,
        after.running_var,
        after.eps,
        after.weight,
        after.bias,
    )
    _replace(body, norm, _after(after))


def _after(norm: nn.BatchNorm2d) -> nn.Module:
    """What a batch-norm does beyond normalising: some hold their activation."""
    parts = (getattr(norm, name, None) for name in ("drop", "act"))
    return nn.Sequential(*(part for part in parts if isinstance(part, nn.Module))).eval()


def _replace(body: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, own = name.rpartition(".")
    setattr(body.get_submodule(parent), own, module)


@lru_cache(maxsize=4096)
def _pairs(ref: NetworkRef) -> tuple[Pair, ...]:
    """What may be folded in the body of a network; nothing where its graph cannot be traced."""
    with torch.device("meta"):
        body = build(ref, 1).body.eval()
    try:
        graph = _Tracer().trace(body)
    except Exception:  # whatever a body does that depends on its input
        return ()
    modules = dict(body.named_modules())
    calls = [node for node in graph.nodes if node.op == "call_module"]
    once = {n.target for n in calls if sum(other.target == n.target for other in calls) == 1}
    return tuple(
        (str(source.target), str(node.target))
        for node in calls
        if _normalises(modules[str(node.target)])
        for source in node.all_input_nodes
        if source.op == "call_module"
        and isinstance(modules[str(source.target)], nn.Conv2d)
        and len(source.users) == 1
        and {source.target, node.target} <= once
    )


def _normalises(module: nn.Module) -> bool:
    """Whether a module is a batch-norm by statistics of its own."""
    return isinstance(module, nn.BatchNorm2d) and module.running_mean is not None


class _Tracer(fx.Tracer):
    """Looks into everything but convolutions and batch-norms."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, nn.Conv2d | nn.BatchNorm2d) or (
            super().is_leaf_module(m, module_qualified_name)
        )
