"""LRU_HASH and LRU_PERCPU_HASH: hash tables that make room for a new entry by throwing out one that was not used lately.

They are hash tables (`maps.hash`), and differ where the table is full: a clock hand goes round the elements. An element that
a program has looked up since the hand came by is spared once, the first other one goes. The mark is the element's
`free` word, LIVE or TOUCHED, which a lookup changes only when it must, so that a hot entry's cache line stays shared.
As in Linux only programs' lookups count as use, and which entry goes is not promised. Linux's own lists
(common, or one for each CPU with BPF_F_NO_COMMON_LRU, which rounds max_entries up to a multiple of the CPUs) move entries
in batches; one clock for all CPUs keeps more of what is used, and more entries altogether.
"""

from __future__ import annotations

import errno
from typing import Any, ClassVar, Final

from userbpf.abi.consts import BPF_F_NO_COMMON_LRU
from userbpf.abi.enums import MapType
from userbpf.maps import hash as plain
from userbpf.maps.base import BPF_EXIST, DESC_NCPU, DESC_PRIVATE, DESC_STRIDE, Consts
from userbpf.maps.hash import (
    BUCKETS,
    END,
    FREE,
    H_CAPACITY,
    H_COUNT,
    H_MASK,
    H_STRIDE,
    H_USED,
    KEY,
    LIVE,
    HashMap,
    element_of,
    find,
    give_element,
    hash_of,
    lock,
    put,
    sizes_of,
    take_out,
    unlock,
    value_offset,
)
from userbpf.native import (
    NativeFn,
    atomic_add64,
    atomic_cmpxchg32,
    atomic_load32,
    extern_call,
    load32,
    load64,
    native,
    neg,
)
from userbpf.native.rt import DESC_BASE, DESC_MAX_ENTRIES, RT_CPU

EINVAL = errno.EINVAL
E2BIG = errno.E2BIG
ENOMEM = errno.ENOMEM

TOUCHED: Final = 0xFFFFFFFE  # in `free`: in a chain, and looked up since the hand came by
WAITS: Final = 10_000  # times that others are let run before an update gives up
H_HAND: Final = 32  # u64 elements the hand has passed


@native(inline=True)
def touch(element: int) -> int:
    """Mark as used."""
    if load32(element + FREE) == LIVE:
        atomic_cmpxchg32(element + FREE, LIVE, TOUCHED)
    return element


@native
def expel(base: int, head: int, key_size: int, number: int) -> int:
    """Delete an element unless it left its chain meanwhile; whether it was deleted."""
    stride = load32(head + H_STRIDE)
    element = base + number * stride
    home = hash_of(element + KEY, key_size) & load32(head + H_MASK)
    bucket = head + BUCKETS + home * 8
    end = END | home
    lock(bucket)
    link = load32(bucket) ^ end
    while link < END and link != number:
        link = load32(base + link * stride)
    if link == number:
        take_out(base, stride, bucket, end, element)
        give_element(head, base, stride, element)
        atomic_add64(head + H_COUNT, 0xFFFFFFFFFFFFFFFF)
    unlock(bucket)
    return link == number


@native
def evict(base: int, head: int, key_size: int) -> int:
    """Make room for one: 1, or 0 where three rounds of the hand found nothing to throw out."""
    stride = load32(head + H_STRIDE)
    left = 3 * load32(head + H_CAPACITY)
    while left:
        left = left - 1
        used = min(atomic_load32(head + H_USED), load32(head + H_CAPACITY))
        if used == 0:
            return 0
        number = atomic_add64(head + H_HAND, 1) % used
        state = atomic_load32(base + number * stride + FREE)
        if state == TOUCHED:
            atomic_cmpxchg32(base + number * stride + FREE, TOUCHED, LIVE)
        elif state == LIVE:
            if expel(base, head, key_size, number):
                return 1
    return 0


@native
def put_lru(
    base: int,
    head: int,
    max_entries: int,
    sizes: int,
    vstride: int,
    ncpu: int,
    cpu: int,
    key: int,
    value: int,
    flags: int,
) -> int:
    """`hash.put`, with room made where there is none.

    Where there is nothing to throw out others have taken all the room and are about to fill it: they are waited for.
    """
    waits = 0
    while waits < WAITS:
        result = put(base, head, max_entries, sizes, vstride, ncpu, cpu, key, value, flags)
        if result != neg(E2BIG):
            return result
        if evict(base, head, sizes >> 32) == 0:
            waits = waits + 1
            extern_call("sched_yield")
    return neg(ENOMEM)


# --- for programs that know the map ------------------------------------------------------------------------------------


@native
def lookup(
    rt: int,
    key: int,
    *,
    base: int,
    head: int,
    mask: int,
    stride: int,
    key_size: int,
    value_at: int,
    vstride: int,
    percpu: int,
) -> int:
    """Address of the value (of this run's CPU), or 0."""
    element = find(base, head + BUCKETS, mask, stride, key_size, key, hash_of(key, key_size))
    if element == 0:
        return 0
    touch(element)
    if percpu:
        return element + value_at + load32(rt + RT_CPU) * vstride
    return element + value_at


@native
def update(
    rt: int,
    key: int,
    value: int,
    flags: int,
    *,
    base: int,
    head: int,
    max_entries: int,
    sizes: int,
    vstride: int,
    ncpu: int,
) -> int:
    """For one CPU."""
    if flags > BPF_EXIST:
        return neg(EINVAL)
    return put_lru(base, head, max_entries, sizes, vstride, ncpu, load32(rt + RT_CPU), key, value, flags)


# --- for a map that only the descriptor tells --------------------------------------------------------------------------


@native
def any_lookup(rt: int, desc: int, key: int) -> int:
    element = element_of(desc, key)
    if element == 0:
        return 0
    touch(element)
    addr = element + value_offset(desc)
    if load32(desc + DESC_NCPU):
        addr = addr + load32(rt + RT_CPU) * load32(desc + DESC_STRIDE)
    return addr


@native
def any_lookup_percpu(rt: int, desc: int, key: int, cpu: int) -> int:
    cpu = cpu & 0xFFFFFFFF
    element = element_of(desc, key)
    if element == 0 or cpu >= load32(desc + DESC_NCPU):
        return 0
    touch(element)
    return element + value_offset(desc) + cpu * load32(desc + DESC_STRIDE)


@native
def write(desc: int, key: int, value: int, flags: int, cpu: int) -> int:
    """Update for one CPU, or for all (cpu = ~0)."""
    if flags > BPF_EXIST:
        return neg(EINVAL)
    return put_lru(
        load64(desc + DESC_BASE),
        load64(desc + DESC_PRIVATE),
        load32(desc + DESC_MAX_ENTRIES),
        sizes_of(desc),
        load32(desc + DESC_STRIDE),
        load32(desc + DESC_NCPU),
        cpu,
        key,
        value,
        flags,
    )


@native
def any_update(rt: int, desc: int, key: int, value: int, flags: int) -> int:
    return write(desc, key, value, flags, load32(rt + RT_CPU))


class LruHashMap(HashMap):
    """LRU_HASH and LRU_PERCPU_HASH."""

    TYPES = (MapType.LRU_HASH, MapType.LRU_PERCPU_HASH)
    GENERIC: ClassVar[dict[str, NativeFn[...]]] = {
        **HashMap.GENERIC,
        "lookup": any_lookup,
        "lookup_percpu": any_lookup_percpu,
        "update": any_update,
        "write": write,
    }

    @classmethod
    def entries_of(cls, attr: Any, ncpu: int) -> int:
        """With lists of their own, all CPUs have the same number of entries."""
        entries: int = attr.max_entries
        return -(-entries // ncpu) * ncpu if attr.map_flags & BPF_F_NO_COMMON_LRU else entries

    @property
    def percpu(self) -> bool:
        return self.map_type == MapType.LRU_PERCPU_HASH

    def ops(self, op: str) -> tuple[NativeFn[...], Consts] | None:
        found = super().ops(op)
        if found is None:
            return None
        if op == "lookup":
            return lookup, {**found[1], "vstride": self.stride, "percpu": int(self.percpu)}
        return (update, found[1]) if found[0] is plain.update else found
