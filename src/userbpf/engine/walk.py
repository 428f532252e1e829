"""Helpers that call back into the program, as native functions for compiled programs: bpf_loop, bpf_for_each_map_elem and
bpf_user_ringbuf_drain.

A callback is a function of the program, `u64 f(rt, r1..r5)`, at a code address. The compiler sees through the address where it
is a constant, as it is in C, and then inlines the callback into the loop. The interpreter has its own forms of these, since
its callbacks are not code.
"""

from __future__ import annotations

from typing import Final

from userbpf.maps.ringbuf import MAX_SAMPLES, WAKEUP_FLAGS, begin_drain, end_drain, next_sample, pass_sample
from userbpf.native import alloca, call, load64, native, neg, store64
from userbpf.native.rt import DESC_NEXT
from userbpf.spec.limits import BPF_MAX_LOOPS

EINVAL: Final = 22
E2BIG: Final = 7
LOCAL_DYNPTR: Final = 1 << 28  # the kind of a dynptr to plain memory, above its size (helpers.dynptr)
WALK_ENTRY: Final = 64  # addresses of key and value, then room for a key that is kept nowhere else


@native
def loop(rt: int, count: int, callback: int, data: int, flags: int) -> int:
    """bpf_loop: callback(i, data) for i below count (u32) until it returns non-zero; how often it was called."""
    if flags:
        return neg(EINVAL)
    count = count & 0xFFFFFFFF
    if count > BPF_MAX_LOOPS:
        return neg(E2BIG)
    i = 0
    while i < count:
        if call(callback, rt, i, data, 0, 0, 0):
            return i + 1
        i = i + 1
    return i


@native
def for_each(rt: int, desc: int, callback: int, data: int, flags: int) -> int:
    """bpf_for_each_map_elem: callback(map, key, value, data) for every entry until it returns non-zero; how often."""
    if flags:
        return neg(EINVAL)
    cursor = alloca(8)
    entry = alloca(WALK_ENTRY)
    store64(cursor, 0)
    step = load64(desc + DESC_NEXT)
    n = 0
    while call(step, rt, desc, cursor, entry):
        n = n + 1
        if call(callback, rt, desc, load64(entry), load64(entry + 8), data, 0):
            break
    return n


@native
def drain(rt: int, desc: int, callback: int, data: int, flags: int) -> int:
    """bpf_user_ringbuf_drain: callback(dynptr of a record, data) for every record until it returns non-zero; how many."""
    if flags & ~WAKEUP_FLAGS:
        return neg(EINVAL)
    busy = begin_drain(desc)
    if busy:
        return busy
    sample = alloca(16)
    ptr = alloca(16)
    result = 0
    i = 0
    while i < MAX_SAMPLES:
        i = i + 1
        total = next_sample(desc, sample)
        if total == 0:
            break
        if total >> 63:
            result = total
            break
        stop = 0
        if load64(sample):
            store64(ptr, load64(sample))
            store64(ptr + 8, load64(sample + 8) | LOCAL_DYNPTR)
            result = result + 1
            stop = call(callback, rt, ptr, data, 0, 0, 0)
        pass_sample(desc, total)
        if stop:
            break
    end_drain(desc)
    return result
