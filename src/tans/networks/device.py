"""Where networks compute: the only place that knows of devices.

A CUDA card where there is one, else Apple's graphics processor (MPS), else the processor. The
variable ``TANS_DEVICE`` names another: ``cpu``, ``mps``, ``cuda`` for all cards, or ``cuda:1``.

References:
    Micikevicius et al., Mixed Precision Training, ICLR 2018.
    https://docs.pytorch.org/docs/stable/notes/randomness.html
"""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from contextvars import ContextVar
from functools import lru_cache
from itertools import cycle, islice
from queue import SimpleQueue
from typing import TYPE_CHECKING, TypeVar, overload

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tans.errors import InputError, TansWarning
from tans.types import Images

if TYPE_CHECKING:
    from tans.networks.network import Network

DEVICE = "TANS_DEVICE"
"""Variable of the environment that names the device."""
AUTO = "auto"
"""What it says, if anything, where the best device that is present is wanted."""
CPU = torch.device("cpu")
NAMED = re.compile(r"auto|cpu|mps|cuda(:\d+)?")
SPARE = 0.5
"""Share of the free memory of a card that is left for what a first look did not show."""
MOST_AT_ONCE = 8
"""Pieces of work side by side on one card, at most: more wait for the one Python that starts them.
"""
CONTEXT_BYTES = 2**29
"""What each process takes of a card's memory before it does anything, about."""
COMPILED_FROM = 10_000
"""Steps from which on a training is compiled on a card. Compiling takes a minute or so, in which a
card does some thousand steps of a small network, and saves a part of each."""
DOUBTFUL_SCALE = 2.0**10
"""That losses begin to be multiplied by where gradients are of 16 bits with few exponents."""

Item = TypeVar("Item")
Result = TypeVar("Result")
Passes = Callable[[Tensor], Tensor]

_own: ContextVar[torch.device | None] = ContextVar("device", default=None)


def device() -> torch.device:
    """Where the work of this thread is done: as ``on`` says, else the first of ``devices``.

    Raises:
        InputError: ``TANS_DEVICE`` names no device, or one that is not there.
    """
    return _own.get() or devices()[0]


def devices() -> tuple[torch.device, ...]:
    """All that work may be shared out to: the cards, or the one device that there is.

    Raises:
        InputError: ``TANS_DEVICE`` names no device, or one that is not there.
    """
    asked = os.environ.get(DEVICE) or AUTO
    if not NAMED.fullmatch(asked):
        raise InputError(
            f"the device is {asked!r}; expected auto, cpu, mps, cuda, or one card such as cuda:1 "
            f"(--device, or {DEVICE})"
        )
    cards = _cards()
    if asked == AUTO:
        return cards or ((torch.device("mps"),) if _has_mps() else (CPU,))
    if asked == "cpu" or (asked == "mps" and _has_mps()):
        return (torch.device(asked),)
    found = tuple(card for card in cards if asked in ("cuda", str(card)))
    if not found:
        present = ["cpu", *(["mps"] if _has_mps() else []), *map(str, cards)]
        raise InputError(
            f"the device is {asked!r}, which PyTorch {torch.__version__} does not find here; "
            f"there is {', '.join(present)} (--device, or {DEVICE})"
        )
    return found


def shared_out(count: int) -> list[torch.device]:
    """The device of each of so many workers, which take turns."""
    return list(islice(cycle(devices()), count))


@contextmanager
def on(where: torch.device) -> Iterator[None]:
    """Do the work of this thread there."""
    token = _own.set(where)
    try:
        with torch.cuda.device(where) if where.type == "cuda" else nullcontext():
            yield
    finally:
        _own.reset(token)


def name_of(where: torch.device) -> str:
    """What a device calls itself."""
    return torch.cuda.get_device_name(where) if where.type == "cuda" else where.type


def place(network: Network) -> torch.device:
    """Move a network to where it computes, and say where that is.

    One whose body is a graph of ONNX stays on the processor, where its runtime is: its images would
    go to the card and back.
    """
    where = CPU if network.is_frozen else device()
    network.to(where)
    return where


def moved(tensor: Tensor, where: torch.device) -> Tensor:
    """A tensor on a device; what follows there waits for it, and nobody here does."""
    if where.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(where)
    return tensor.pin_memory().to(where, non_blocking=True)


@overload
def near(images: Tensor, where: torch.device) -> Tensor: ...
@overload
def near(images: Images, where: torch.device) -> Images: ...
def near(images: Images, where: torch.device) -> Images:
    """Images on a device, all of them, if they leave half of its free memory; else where they are.

    Args:
        images: uint8 (n, 3, r, r); those that are stored stay so for the processor.
    """
    return images.to(where) if images.nbytes <= SPARE * free_bytes(where) else images


def free_bytes(where: torch.device) -> int:
    """Memory of a device that is free; of the processor's nothing is asked."""
    if where.type == "cuda":
        unused = torch.cuda.memory_reserved(where) - torch.cuda.memory_allocated(where)
        return torch.cuda.mem_get_info(where)[0] + unused
    if where.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    return sys.maxsize


def autocast(where: torch.device, cache: bool = True) -> AbstractContextManager[None]:
    """In 16 bits what may be, on a device that gains by it; elsewhere nothing changes.

    Args:
        cache: keep weights of 16 bits between passes, which a recorded one must not.
    """
    dtype = _short(where)
    if dtype is None:
        return nullcontext()
    return torch.autocast(where.type, dtype, cache_enabled=cache)


def scaler(where: torch.device) -> torch.amp.GradScaler:
    """What keeps small gradients from vanishing, where 16 bits hold few exponents; else no-op."""
    scales = _short(where) is torch.float16
    return torch.amp.GradScaler(where.type, init_scale=DOUBTFUL_SCALE, enabled=scales)


def sampled(images: Tensor, grid: Tensor) -> Tensor:
    """Images (n, 3, r, r) at places (n, h, w, 2) as ``grid_sample``; beyond the frame its border.

    Not all that Metal does knows of borders, so places are kept within the frame there.
    """
    if images.device.type != "mps":
        return F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    return F.grid_sample(images, within(grid, images.shape[-1]), align_corners=False)


def within(grid: Tensor, side: int) -> Tensor:
    """Places (n, h, w, 2) moved onto the middle of the outermost of so many pixels a side."""
    edge = 1 - 1 / side
    return grid.clamp(-edge, edge)


def synchronise(where: torch.device) -> None:
    """Wait until a device has done all that it was given, as a clock must."""
    if where.type == "cuda":
        torch.cuda.synchronize(where)
    elif where.type == "mps":
        torch.mps.synchronize()


def peak_of(act: Callable[[], Result], where: torch.device) -> tuple[Result, int]:
    """What an act gives, and the bytes of a card that it took at most; 0 where none are counted."""
    if where.type != "cuda":
        return act(), 0
    synchronise(where)
    torch.cuda.reset_peak_memory_stats(where)
    before = torch.cuda.memory_allocated(where)
    done = act()
    synchronise(where)
    return done, torch.cuda.max_memory_allocated(where) - before


def at_once(each: int, where: torch.device) -> int:
    """How many pieces of work of so many bytes fit into a card at once, at least one."""
    if where.type != "cuda":
        return 1
    return max(1, min(MOST_AT_ONCE, int(SPARE * free_bytes(where)) // max(each, 1)))


def several(work: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[tuple[int, Result]]:
    """Number and result of a work for each item, as they end.

    On cards several are done at once, as many as fit by what the first takes, shared out among the
    cards; elsewhere one after another, in order.

    Raises:
        whatever the work raises; what was not begun by then is left undone.
    """
    if device().type != "cuda" or len(items) < 2:
        yield from ((number, work(item)) for number, item in enumerate(items))
        return
    first, each = peak_of(lambda: work(items[0]), device())
    yield 0, first
    # those that a thread was put on by ``on`` stay there
    cards = (device(),) if _own.get() else devices()
    room = [at_once(each, card) for card in cards]
    # card by card in turns, so that few items are shared out evenly
    places = [c for turn in range(max(room)) for c, n in zip(cards, room, strict=True) if turn < n]
    yield from _side_by_side(work, items, places)


def compiled(passes: nn.Module, steps: int, sample: Tensor) -> Passes | None:
    """A training's passes forward and back as one program, where so many steps make it pay.

    Args:
        passes: takes images (n, 3, r, r); in training mode.
        sample: images, which are passed once so that it is compiled.

    Returns:
        None where it does not pay, or this device or its software compiles nothing.
    """
    if sample.device.type != "cuda" or steps < COMPILED_FROM:
        return None
    program = torch.compile(passes, dynamic=False)
    try:
        with autocast(sample.device):
            program(sample).sum().backward()
    except Exception as error:  # of many kinds, as of a compiler that is not installed
        reason = " ".join(str(error).split())[:200]
        warnings.warn(f"nothing is compiled: {reason}", TansWarning, stacklevel=2)
        return None
    passes.zero_grad()
    return program


def _side_by_side(
    work: Callable[[Item], Result], items: Sequence[Item], places: Sequence[torch.device]
) -> Iterator[tuple[int, Result]]:
    """All but the first item, a thread for each place."""
    free: SimpleQueue[torch.device] = SimpleQueue()
    for card in places:
        free.put(card)

    def do(item: Item) -> Result:
        card = free.get()
        try:
            with _lane(card):
                return work(item)
        finally:
            free.put(card)

    waiting = islice(enumerate(items), 1, None)
    pool = ThreadPoolExecutor(len(places), thread_name_prefix="tans")
    try:
        running = {pool.submit(do, item): number for number, item in islice(waiting, len(places))}
        while running:
            for ended in wait(running, return_when=FIRST_COMPLETED).done:
                number, done = running.pop(ended), ended.result()
                running |= {pool.submit(do, item): n for n, item in islice(waiting, 1)}
                yield number, done
    finally:
        pool.shutdown()


@contextmanager
def _lane(card: torch.device) -> Iterator[None]:
    """A stream of its own on a card, so that what runs there fills what others leave."""
    with ExitStack() as held:
        held.enter_context(on(card))
        lane = torch.cuda.Stream(card)
        lane.wait_stream(torch.cuda.default_stream(card))
        held.enter_context(torch.cuda.stream(lane))
        yield


def _short(where: torch.device) -> torch.dtype | None:
    """The type of 16 bits that a device computes in; None where none was shown to pay."""
    if where.type != "cuda":
        return None
    known = torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if known else torch.float16


def _cards() -> tuple[torch.device, ...]:
    if not torch.cuda.is_available():
        return ()
    _repeatable()
    return tuple(torch.device("cuda", number) for number in range(torch.cuda.device_count()))


@lru_cache(maxsize=1)
def _repeatable() -> None:
    """Let one card give the same each time; before it is first used."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cudnn.deterministic = True


def _has_mps() -> bool:
    return torch.backends.mps.is_available()
