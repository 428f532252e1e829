"""Objects over processes, with a limit of time for each question: one runaway neither stops a sweep nor hides itself."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


class TooLong(Exception):
    """The limit is over."""


@contextmanager
def limit(seconds: float) -> Iterator[None]:
    """Raise TooLong in the block when it takes more processor time (0: never). For the main thread."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise TooLong(f"no answer after {seconds:g} s")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def over(work: Callable[[T], R], items: Sequence[T], jobs: int) -> Iterator[tuple[T, R]]:
    """Each item with what `work` makes of it, in order; `jobs` processes (0: one for each CPU, 1: this one)."""
    jobs = jobs or os.cpu_count() or 1
    if jobs == 1:
        for item in items:
            yield item, work(item)
        return
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("fork")) as pool:
        yield from zip(items, pool.map(work, items), strict=True)
