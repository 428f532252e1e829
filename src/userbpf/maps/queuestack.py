"""QUEUE and STACK: values without keys, in a ring from the region's start.

New values go to the back; a queue gives from the front, a stack from the back. BPF_EXIST lets a push into a full map
push the oldest value out. One lock for all.
"""

from __future__ import annotations

import errno
from typing import ClassVar, Final

from userbpf.abi.enums import MapType
from userbpf.maps.base import BPF_EXIST, DESC_PRIVATE, Consts, Map, checked, fail
from userbpf.maps.locks import acquire, release
from userbpf.native import NativeFn, Sym, load32, load64, memcpy, memset, native, neg, store32
from userbpf.native.region import page_up
from userbpf.native.rt import DESC_BASE, DESC_MAX_ENTRIES, DESC_TYPE, DESC_VALUE_SIZE

EINVAL = errno.EINVAL
E2BIG = errno.E2BIG
ENOENT = errno.ENOENT
STACK: Final = int(MapType.STACK)

H_LOCK: Final = 0  # u32
H_FRONT: Final = 4  # u32 where the oldest value is
H_COUNT: Final = 8  # u32 how many there are


@native(inline=True)
def place(base: int, head: int, max_entries: int, size: int, nth: int) -> int:
    """Address of the nth value, counted from the oldest."""
    return base + (load32(head + H_FRONT) + nth) % max_entries * size


@native
def push_to(base: int, head: int, max_entries: int, size: int, value: int, flags: int) -> int:
    """Append; -E2BIG where the map is full and flags is not BPF_EXIST."""
    if flags != 0 and flags != BPF_EXIST:
        return neg(EINVAL)
    acquire(head + H_LOCK)
    count = load32(head + H_COUNT)
    if count == max_entries:
        if flags == 0:
            release(head + H_LOCK)
            return neg(E2BIG)
        store32(head + H_FRONT, (load32(head + H_FRONT) + 1) % max_entries)
        count = count - 1
    memcpy(place(base, head, max_entries, size, count), value, size)
    store32(head + H_COUNT, count + 1)
    release(head + H_LOCK)
    return 0


@native
def take_from(base: int, head: int, max_entries: int, size: int, value: int, lifo: int, remove: int) -> int:
    """Copy the next value out; -ENOENT and zeros where there is none."""
    acquire(head + H_LOCK)
    count = load32(head + H_COUNT)
    if count == 0:
        release(head + H_LOCK)
        memset(value, 0, size)
        return neg(ENOENT)
    memcpy(value, place(base, head, max_entries, size, count - 1 if lifo else 0), size)
    if remove:
        store32(head + H_COUNT, count - 1)
        if lifo == 0:
            store32(head + H_FRONT, (load32(head + H_FRONT) + 1) % max_entries)
    release(head + H_LOCK)
    return 0


@native
def push(rt: int, value: int, flags: int, *, base: int, head: int, max_entries: int, size: int) -> int:
    """For a program that knows the map."""
    return push_to(base, head, max_entries, size, value, flags)


@native
def take(rt: int, value: int, *, base: int, head: int, max_entries: int, size: int, lifo: int, remove: int) -> int:
    """pop and peek, for a program that knows the map."""
    return take_from(base, head, max_entries, size, value, lifo, remove)


@native
def any_push(rt: int, desc: int, value: int, flags: int) -> int:
    return push_to(
        load64(desc + DESC_BASE),
        load64(desc + DESC_PRIVATE),
        load32(desc + DESC_MAX_ENTRIES),
        load32(desc + DESC_VALUE_SIZE),
        value,
        flags,
    )


@native(inline=True)
def any_take(desc: int, value: int, remove: int) -> int:
    return take_from(
        load64(desc + DESC_BASE),
        load64(desc + DESC_PRIVATE),
        load32(desc + DESC_MAX_ENTRIES),
        load32(desc + DESC_VALUE_SIZE),
        value,
        load32(desc + DESC_TYPE) == STACK,
        remove,
    )


@native
def any_pop(rt: int, desc: int, value: int) -> int:
    return any_take(desc, value, 1)


@native
def any_peek(rt: int, desc: int, value: int) -> int:
    return any_take(desc, value, 0)


class QueueStackMap(Map):
    """QUEUE and STACK. At the syscall an update is a push, a lookup a peek, lookup_and_delete a pop."""

    TYPES = (MapType.QUEUE, MapType.STACK)
    GENERIC: ClassVar[dict[str, NativeFn[...]]] = {"push": any_push, "pop": any_pop, "peek": any_peek}

    @property
    def private_off(self) -> int:
        return page_up(self.max_entries * self.value_size)

    def plan(self) -> int:
        return self.private_off + 64

    def ops(self, op: str) -> tuple[NativeFn[...], Consts] | None:
        shape: Consts = {
            "base": Sym("base", self.region.addr),
            "head": Sym("head", self.region.addr + self.private_off),
            "max_entries": self.max_entries,
            "size": self.value_size,
        }
        if op == "push":
            return push, shape
        if op in ("pop", "peek"):
            return take, {**shape, "lifo": int(self.map_type == STACK), "remove": int(op == "pop")}
        return None

    def __len__(self) -> int:
        return int.from_bytes(self.region.map[self.private_off + H_COUNT :][:4], "little")

    # --- the syscall side ------------------------------------------------------------------------------------------------

    def update(self, key: bytes, value: bytes, flags: int = 0) -> None:
        checked(self.natives().push(0, self.desc, self._value(value), flags))

    def lookup(self, key: bytes) -> bytes:
        out = bytearray(self.value_size)
        checked(self.natives().peek(0, self.desc, out))
        return bytes(out)

    def lookup_and_delete(self, key: bytes) -> bytes:
        out = bytearray(self.value_size)
        checked(self.natives().pop(0, self.desc, out))
        return bytes(out)

    def next_key(self, key: bytes | None) -> bytes:
        raise fail(EINVAL)
