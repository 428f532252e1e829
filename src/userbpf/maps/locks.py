"""The lock of all families: a u32 in the region, taken by compare-and-swap, so that it serves threads and processes alike.

It is held for a few dozen instructions. Whoever waits longer lets others run: on a machine with fewer processors than
threads the holder may be one that was interrupted.
"""

from __future__ import annotations

from typing import Final

from userbpf.native import atomic_cmpxchg32, atomic_store32, extern_call, native, pause

SPINS: Final = 200  # tries before a waiting thread lets others run


@native
def acquire(lock: int) -> int:
    """Take the lock at an address."""
    tries = 0
    while atomic_cmpxchg32(lock, 0, 1) != 0:
        tries = tries + 1
        if tries > SPINS:
            extern_call("sched_yield")
            tries = 0
        pause()
    return 0


@native(inline=True)
def release(lock: int) -> int:
    """Give it back."""
    atomic_store32(lock, 0)
    return 0
