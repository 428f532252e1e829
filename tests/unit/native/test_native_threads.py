"""Atomics hold between native threads, and between native threads and CPython."""

from __future__ import annotations

import ctypes
import threading

from userbpf.native import (
    atomic_add32,
    atomic_add64,
    atomic_cmpxchg64,
    atomic_load64,
    atomic_store64,
    atomic_xchg32,
    compile_natives,
    load64,
    native,
    pause,
    store64,
)

ROUNDS = 200_000


@native
def count(counters: int, n: int) -> int:
    """Three counters: by fetch-and-add of both widths, and by compare-and-exchange."""
    i = 0
    while i < n:
        atomic_add64(counters, 1)
        atomic_add32(counters + 8, 1)
        old = load64(counters + 16)
        while True:
            seen = atomic_cmpxchg64(counters + 16, old, old + 1)
            if seen == old:
                break
            old = seen
        i += 1
    return 0


@native
def locked(lock: int, value: int, n: int) -> int:
    """A plain counter under a spin lock."""
    i = 0
    while i < n:
        while atomic_xchg32(lock, 1):
            pause()
        store64(value, load64(value) + 1)
        atomic_store64(lock, 0)
        i += 1
    return 0


@native
def publish(box: int, n: int) -> int:
    """Writes data, then the flag; waits for the reader."""
    i = 1
    while i <= n:
        store64(box + 64, i * 3)
        atomic_store64(box, i)
        while atomic_load64(box + 128) != i:
            pause()
        i += 1
    return 0


@native
def consume(box: int, n: int) -> int:
    """Number of times that the data was not there with the flag."""
    wrong = 0
    i = 1
    while i <= n:
        while atomic_load64(box) != i:
            pause()
        if load64(box + 64) != i * 3:
            wrong += 1
        atomic_store64(box + 128, i)
        i += 1
    return wrong


FUNCTIONS = compile_natives(count=(count, {}), locked=(locked, {}), publish=(publish, {}), consume=(consume, {}))


def run(*calls: object) -> list[int]:
    results: list[int] = [0] * len(calls)

    def one(i: int) -> None:
        f, *args = calls[i]  # type: ignore[misc]
        results[i] = f(*args)

    threads = [threading.Thread(target=one, args=(i,)) for i in range(len(calls))]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
        assert not t.is_alive()
    return results


def memory(size: int) -> ctypes.Array[ctypes.c_uint64]:
    return (ctypes.c_uint64 * (size // 8))()


def test_no_update_is_lost() -> None:
    words = memory(24)
    run(*[(FUNCTIONS.count, ctypes.addressof(words), ROUNDS)] * 3)
    assert list(words) == [3 * ROUNDS] * 3


def test_cpython_takes_part() -> None:
    words = memory(24)
    at = ctypes.addressof(words)
    run((FUNCTIONS.count, at, ROUNDS), (count, at, 3000), (count, at, 3000))
    assert list(words) == [ROUNDS + 6000] * 3


def test_a_spin_lock_excludes() -> None:
    words = memory(16)
    at = ctypes.addressof(words)
    run(*[(FUNCTIONS.locked, at, at + 8, 50_000)] * 2, (locked, at, at + 8, 300))
    assert words[1] == 100_300


def test_release_and_acquire() -> None:
    words = memory(256)
    at = ctypes.addressof(words)
    assert run((FUNCTIONS.publish, at, 20_000), (FUNCTIONS.consume, at, 20_000)) == [0, 0]
