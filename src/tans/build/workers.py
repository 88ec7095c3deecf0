"""Independent pieces of work, on one process or side by side on several."""

from __future__ import annotations

import os
import queue
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any, Protocol, TypeVar

import torch

NEWS_S = 0.5
"""Seconds between two looks at what the workers tell."""

Item = TypeVar("Item")
Item_contra = TypeVar("Item_contra", contravariant=True)


@dataclass(frozen=True)
class BuildProgress:
    """Where a build is."""

    task: str
    step: str
    """``distil``, ``train``, ``measure``, ``probe`` or ``transfer``."""
    done: int
    total: int


Listener = Callable[[BuildProgress], None]


class Work(Protocol[Item_contra]):
    """One piece of work; a function of a module, or a partial of one, so that it can be sent."""

    def __call__(self, item: Item_contra, *, on_progress: Listener | None) -> None: ...


def side_by_side(
    work: Work[Item],
    items: Sequence[Item],
    workers: int = 1,
    on_progress: Listener | None = None,
) -> None:
    """Do the work for every item, so many at a time, sharing the processor's cores.

    Two processes of one thread each get through about a third more than one of two threads, as
    the layers of small networks are too short to share.

    Raises:
        whatever the work raises; what was not begun by then is left undone.
    """
    if workers <= 1 or len(items) <= 1:
        for item in items:
            work(item, on_progress=on_progress)
        return
    context = get_context("spawn")
    threads = max(1, len(os.sched_getaffinity(0)) // workers)
    with (
        context.Manager() as manager,
        ProcessPoolExecutor(
            workers, context, initializer=torch.set_num_threads, initargs=(threads,)
        ) as pool,
    ):
        news = manager.Queue()
        futures = [pool.submit(_do, work, item, news) for item in items]
        try:
            _follow(futures, news, on_progress)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _do(work: Work[Any], item: object, news: queue.Queue[BuildProgress]) -> None:
    work(item, on_progress=news.put)


def _follow(
    futures: Sequence[Future[None]],
    news: queue.Queue[BuildProgress],
    on_progress: Listener | None,
) -> None:
    """Pass on what the workers tell until all have ended or one has failed."""
    running = set(futures)
    while running:
        ended, running = wait(running, timeout=NEWS_S)
        while not news.empty():
            told = news.get()
            if on_progress:
                on_progress(told)
        for future in ended:
            future.result()
