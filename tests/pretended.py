"""Cards that are not there.

``card`` is one that computes: its tensors say that they lie there, and the processor computes them.
Whatever mixes tensors of the card and of the processor fails as on a card, and what makes a card
wait, or moves from it and to it, is counted. Numbers are real, so results compare.
``pretend`` lets PyTorch say that there are so many cards of CUDA, on which nothing can be computed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, Self

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_flatten, tree_map

from tans.networks.device import on
from tans.networks.network import scale_of

aten = torch.ops.aten
KIND = "pretended"
"""What PyTorch calls a device that it knows nothing of."""
MOVES = {aten._to_copy.default, aten.copy_.default, aten._copy_from.default}
INDEXES = {
    aten.index.Tensor,
    aten.index_put.default,
    aten.index_put_.default,
    aten._index_put_impl_.default,
}
ASKED = {aten._has_compatible_shallow_copy_type.default}
"""About tensors of any devices."""
"""Which take indices of the processor for values of a card, and move them."""
READS = {
    aten._local_scalar_dense.default,
    aten.nonzero.default,
    aten.equal.default,
    aten.masked_select.default,
    aten._unique2.default,
    aten.unique_dim.default,
}
"""Whose result, or its shape, the processor has to wait for."""


class OnCard(Tensor):
    """A tensor that says that it is of a card."""

    inner: Tensor
    """Where its numbers really are."""

    @staticmethod
    def __new__(cls, inner: Tensor, card: torch.device) -> Self:
        found = Tensor._make_wrapper_subclass(
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            layout=inner.layout,
            device=card,
            requires_grad=inner.requires_grad,
        )
        found.inner = inner
        return found

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise AssertionError(f"{func} on a card after it was gone")

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if id(self) not in memo:
            copied = self.detach().clone().requires_grad_(self.requires_grad)
            if isinstance(self, torch.nn.Parameter):
                copied = torch.nn.Parameter(copied, self.requires_grad)
            memo[id(self)] = copied
        return memo[id(self)]


class Card(TorchDispatchMode):
    """Computes what is on the card, and counts what its processor waits for and what is moved."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()
        """Of ``up``, ``down`` and ``wait``."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        given = [x for x in tree_flatten((args, kwargs))[0] if isinstance(x, Tensor)]
        cards = [x for x in given if isinstance(x, OnCard)]
        asked = kwargs.get("device")
        where = torch.device(asked) if asked is not None else None
        if where is not None and where.type == KIND:
            kwargs["device"] = torch.device("cpu")
        if not cards and (where is None or where.type != KIND):
            return func(*args, **kwargs)
        self._note(func, given, cards, where, args)
        if func is aten._fused_sdp_choice.default:
            return 0  # attention as formulas have it
        card = where if where is not None and where.type == KIND else None
        card = card or (None if where is not None else cards[0].device)
        if func in MOVES and func is not aten._to_copy.default:
            card = args[0].device if isinstance(args[0], OnCard) else None
        found = func(*tree_map(_inner, args), **tree_map(_inner, kwargs))
        if card is None or card.type != KIND:
            if func is aten.copy_.default:
                return args[0]
            return found
        card = torch.device(KIND, card.index or 0)
        wrapped = tree_map(lambda x: OnCard(x, card) if isinstance(x, Tensor) else x, found)
        return return_and_correct_aliasing(func, args, kwargs, wrapped)

    def _note(
        self,
        func: Any,
        given: Sequence[Tensor],
        cards: Sequence[Tensor],
        where: torch.device | None,
        args: Sequence[Any],
    ) -> None:
        """Count, and refuse what no card does."""
        masked = func in INDEXES and any(
            isinstance(x, Tensor) and x.dtype in (torch.bool, torch.uint8) for x in args[1] or ()
        )
        self.counts["wait"] += bool(cards) and (func in READS or masked)
        if func in MOVES:
            here = isinstance(args[0], OnCard)
            if func is aten._to_copy.default:
                there = where.type == KIND if where is not None else here
                left = here and not there and where is not None and where.type != "meta"
                self.counts["down"] += left
                self.counts["up"] += there and not here
            else:
                self.counts["up"] += here and not isinstance(args[1], OnCard)
                self.counts["down"] += not here and isinstance(args[1], OnCard)
            return
        if func in ASKED:
            return
        plain = [x for x in given if not isinstance(x, OnCard) and x.dim()]
        if func in INDEXES:
            plain = [x for x in plain if x.dtype not in (torch.int64, torch.bool)]
        if cards and plain:
            raise RuntimeError(f"{func}: expected all tensors on one device, found cuda and cpu")
        if len({x.device for x in cards}) > 1:
            raise RuntimeError(f"{func}: expected all tensors on one card")


def _inner(x: Any) -> Any:
    return x.inner if isinstance(x, OnCard) else x


FREE = 2**34
"""Bytes that are free on each card."""


def _gives(value: object) -> Callable[..., Any]:
    return lambda *_, **__: value


def pretend(monkeypatch: pytest.MonkeyPatch, cards: int = 1, free: int = FREE) -> None:
    """Let PyTorch say that there are so many cards, which do nothing."""
    stream = SimpleNamespace(wait_stream=_gives(None))
    for name, value in {
        "is_available": cards > 0,
        "device_count": cards,
        "is_bf16_supported": True,
        "get_device_name": "Pretended 1",
        "mem_get_info": (free, 2 * free),
        "memory_reserved": 0,
        "memory_allocated": 0,
        "max_memory_allocated": free // 10,
        "reset_peak_memory_stats": None,
        "synchronize": None,
        "device": nullcontext(),
        "Stream": stream,
        "stream": nullcontext(),
        "default_stream": None,
        "current_device": 0,
    }.items():
        monkeypatch.setattr(torch.cuda, name, _gives(value))
    monkeypatch.setattr(Tensor, "pin_memory", lambda self, *_: self)
    monkeypatch.delenv("TANS_DEVICE", raising=False)


@lru_cache(maxsize=1)
def _register() -> None:
    """Once in a process; PyTorch forgets no device."""
    from torch.utils import backend_registration

    make = getattr(backend_registration, "_setup_privateuseone_for_python_backend", None)
    if make is None:
        pytest.skip("this PyTorch knows no devices that are written in Python")
    make(KIND)


@contextmanager
def card() -> Iterator[Card]:
    """Compute on a card."""
    _register()
    overwritten = torch.__future__.get_overwrite_module_params_on_conversion()
    lifted = torch._C._only_lift_cpu_tensors()
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    torch._C._set_only_lift_cpu_tensors(True)  # so that new tensors are seen on their way
    scale_of.cache_clear()
    try:
        # gradients too in this thread: the threads of devices are counted at the first of all
        one_thread = torch.autograd.set_multithreading_enabled(False)
        with one_thread, on(torch.device(KIND, 0)), Card() as found:
            yield found
    finally:
        scale_of.cache_clear()
        torch._C._set_only_lift_cpu_tensors(lifted)
        torch.__future__.set_overwrite_module_params_on_conversion(overwritten)
