"""Arrays: ARRAY, PERCPU_ARRAY and the families that are arrays of something else.

The value of index i lies at i * stride from the region's start; a per-CPU array has one such array for each CPU behind the
other. All entries exist from the beginning, so nothing is ever allocated or deleted.
"""

from __future__ import annotations

import ctypes
import errno
import struct
from typing import ClassVar

from userbpf.abi.enums import MapType
from userbpf.maps.base import (
    BPF_EXIST,
    BPF_NOEXIST,
    DESC_NCPU,
    DESC_STRIDE,
    Consts,
    Map,
    fail,
)
from userbpf.native import NativeFn, Sym, load32, load64, memcpy, native, neg, store64
from userbpf.native.rt import DESC_BASE, DESC_MAX_ENTRIES, DESC_VALUE_SIZE, RT_CPU

EINVAL = errno.EINVAL
E2BIG = errno.E2BIG
EEXIST = errno.EEXIST


@native(inline=True)
def at(base: int, stride: int, max_entries: int, key: int) -> int:
    """Address of the value that the key's index means, or 0."""
    index = load32(key)
    if index >= max_entries:
        return 0
    return base + index * stride


@native(inline=True)
def store_value(slot: int, value: int, value_size: int, flags: int) -> int:
    """The checks and the copy of an update."""
    if flags > BPF_EXIST:
        return neg(EINVAL)
    if slot == 0:
        return neg(E2BIG)
    if flags == BPF_NOEXIST:
        return neg(EEXIST)
    memcpy(slot, value, value_size)
    return 0


@native
def lookup(rt: int, key: int, *, base: int, stride: int, max_entries: int) -> int:
    """ARRAY, known to the program."""
    return at(base, stride, max_entries, key)


@native
def update(
    rt: int, key: int, value: int, flags: int, *, base: int, stride: int, max_entries: int, value_size: int
) -> int:
    """ARRAY, known to the program."""
    return store_value(at(base, stride, max_entries, key), value, value_size, flags)


@native
def delete(rt: int, key: int) -> int:
    """An array's entries are not deleted."""
    return neg(EINVAL)


@native
def lookup_cpu(rt: int, key: int, *, base: int, stride: int, max_entries: int) -> int:
    """PERCPU_ARRAY: the value of this run's CPU."""
    return at(base + load32(rt + RT_CPU) * max_entries * stride, stride, max_entries, key)


@native
def update_cpu(
    rt: int, key: int, value: int, flags: int, *, base: int, stride: int, max_entries: int, value_size: int
) -> int:
    """PERCPU_ARRAY: the value of this run's CPU."""
    slot = at(base + load32(rt + RT_CPU) * max_entries * stride, stride, max_entries, key)
    return store_value(slot, value, value_size, flags)


@native
def lookup_percpu(rt: int, key: int, cpu: int, *, base: int, stride: int, max_entries: int, ncpu: int) -> int:
    """PERCPU_ARRAY: the value of a certain CPU."""
    cpu = cpu & 0xFFFFFFFF
    if cpu >= ncpu:
        return 0
    return at(base + cpu * max_entries * stride, stride, max_entries, key)


# --- the same for a map that only the descriptor tells ----------------------------------------------------------------


@native(inline=True)
def base_of(rt: int, desc: int) -> int:
    """Start of the array of this run's CPU, or of the one array."""
    base = load64(desc + DESC_BASE)
    if load32(desc + DESC_NCPU):
        base = base + load32(rt + RT_CPU) * load32(desc + DESC_MAX_ENTRIES) * load32(desc + DESC_STRIDE)
    return base


@native
def any_lookup(rt: int, desc: int, key: int) -> int:
    return at(base_of(rt, desc), load32(desc + DESC_STRIDE), load32(desc + DESC_MAX_ENTRIES), key)


@native
def any_update(rt: int, desc: int, key: int, value: int, flags: int) -> int:
    return store_value(any_lookup(rt, desc, key), value, load32(desc + DESC_VALUE_SIZE), flags)


@native
def any_delete(rt: int, desc: int, key: int) -> int:
    return neg(EINVAL)


@native
def any_lookup_percpu(rt: int, desc: int, key: int, cpu: int) -> int:
    cpu = cpu & 0xFFFFFFFF
    if cpu >= load32(desc + DESC_NCPU):
        return 0
    stride = load32(desc + DESC_STRIDE)
    entries = load32(desc + DESC_MAX_ENTRIES)
    return at(load64(desc + DESC_BASE) + cpu * entries * stride, stride, entries, key)


@native
def any_next(rt: int, desc: int, cursor: int, out: int) -> int:
    """Walk: *cursor is the next index; *out and *(out + 8) get the addresses of key and value. 0 at the end.

    The key is the cursor's own cell of before, so it is kept at out + 16.
    """
    index = load64(cursor)
    if index >= load32(desc + DESC_MAX_ENTRIES):
        return 0
    store64(cursor, index + 1)
    store64(out + 16, index)
    store64(out, out + 16)
    store64(out + 8, base_of(rt, desc) + index * load32(desc + DESC_STRIDE))
    return 1


class ArrayMap(Map):
    """ARRAY and PERCPU_ARRAY."""

    TYPES = (MapType.ARRAY, MapType.PERCPU_ARRAY)
    GENERIC: ClassVar[dict[str, NativeFn[...]]] = {
        "lookup": any_lookup,
        "update": any_update,
        "delete": any_delete,
        "lookup_percpu": any_lookup_percpu,
        "next": any_next,
    }

    @property
    def percpu(self) -> bool:
        return self.map_type == MapType.PERCPU_ARRAY

    def plan(self) -> int:
        return self.max_entries * self.stride * (self.ncpu if self.percpu else 1)

    @property
    def value_base(self) -> int:
        return 0 if self.percpu else self.region.addr

    def ops(self, op: str) -> tuple[NativeFn[...], Consts] | None:
        place = {"base": Sym("base", self.region.addr), "stride": self.stride, "max_entries": self.max_entries}
        if op == "lookup":
            return (lookup_cpu if self.percpu else lookup), place
        if op == "update":
            return (update_cpu if self.percpu else update), {**place, "value_size": self.value_size}
        if op == "delete":
            return delete, {}
        if op == "lookup_percpu" and self.percpu:
            return lookup_percpu, {**place, "ncpu": self.ncpu}
        return None

    def owns(self, addr: int, size: int) -> bool:
        off = addr - self.region.addr
        return 0 <= off < self.plan() and off % self.stride + size <= self.stride

    # --- the syscall side ------------------------------------------------------------------------------------------------

    def _slot(self, key: bytes, code: int, cpu: int = 0) -> int:
        index = int.from_bytes(self._key(key), "little")
        if index >= self.max_entries:
            raise fail(code)
        return self.region.addr + (cpu * self.max_entries + index) * self.stride

    def lookup(self, key: bytes) -> bytes:
        if not self.percpu:
            return ctypes.string_at(self._slot(key, errno.ENOENT), self.value_size)
        return b"".join([ctypes.string_at(self._slot(key, errno.ENOENT, cpu), self.stride) for cpu in range(self.ncpu)])

    def update(self, key: bytes, value: bytes, flags: int = 0) -> None:
        if flags > BPF_EXIST:
            raise fail(EINVAL)
        value = self._value(value)
        slot = self._slot(key, E2BIG)
        if flags == BPF_NOEXIST:
            raise fail(EEXIST)
        if not self.percpu:
            ctypes.memmove(slot, value, self.value_size)
            return
        for cpu in range(self.ncpu):
            ctypes.memmove(self._slot(key, E2BIG, cpu), value[cpu * self.stride :], self.stride)

    def next_key(self, key: bytes | None) -> bytes:
        index = self.max_entries if key is None else int.from_bytes(self._key(key), "little")
        if index >= self.max_entries:
            return bytes(4)
        if index == self.max_entries - 1:
            raise fail(errno.ENOENT)
        return struct.pack("<I", index + 1)

    def lookup_batch(
        self, token: bytes | None, count: int, delete: bool
    ) -> tuple[list[bytes], list[bytes], bytes | None]:
        if delete:
            raise fail(524)
        first = 0 if token is None else int.from_bytes(token[:4], "little")
        last = min(first + count, self.max_entries)
        keys = [struct.pack("<I", i) for i in range(first, last)]
        values = [self.lookup(k) for k in keys]
        return keys, values, struct.pack("<I", last) if last < self.max_entries else None
