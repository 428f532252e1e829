"""Python's garbage collector, kept out of verification."""

from __future__ import annotations

import gc
import threading


class _Uncollected:
    """No cyclic garbage collection meanwhile, in any thread.

    States are tuples and lists by the ten thousand and hold no cycles: the collector finds nothing and takes a quarter
    of the time, going over them again and again.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._was_on = False

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._was_on = gc.isenabled()
                gc.disable()
            self._inside += 1

    def __exit__(self, *args: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside and self._was_on:
                gc.enable()


uncollected = _Uncollected()
