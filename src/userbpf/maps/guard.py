"""Updates of values with the kernel's fields in them: locks, timers, kernel pointers.

Nobody sets such a field by copying a value in. A new element begins with zeroes in their places; a value that is written where it
lies (an array's) keeps its lock, and loses what else it had. BPF_F_LOCK copies while holding the value's lock.

A map with fields has this update in its descriptor instead of its family's. Which fields there are stands in a table of u64
behind DESC_FIELDS:

    0 the family's update   8 written in place   16 offset of the lock or NO_LOCK   24 bytes of a value   32 fields
    40 for each field: offset, bytes, 1 where an update in place keeps it
"""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from userbpf.errors import BpfError
from userbpf.native import (
    NativeSet,
    alloca,
    atomic_cmpxchg32,
    atomic_store32,
    call,
    compile_natives,
    load32,
    load64,
    memcpy,
    memset,
    native,
    neg,
    pause,
)
from userbpf.native.rt import DESC_FIELDS, DESC_LOOKUP, DESC_UPDATE, RT_SIZE

if TYPE_CHECKING:
    from userbpf.maps.base import Map

EINVAL = errno.EINVAL
EEXIST = errno.EEXIST
BPF_F_LOCK = 4
NO_LOCK: Final = 0xFFFFFFFF
MAX_VALUE: Final = 16384
ROW = 24
FIRST = 40
SPINS = 1 << 24


@native
def take(lock: int) -> int:
    """Take a bpf_spin_lock; 1 where its holder does not give it back."""
    tries = 0
    while load32(lock) != 0 or atomic_cmpxchg32(lock, 0, 1) != 0:
        pause()
        tries = tries + 1
        if tries > SPINS:
            return 1
    return 0


@native
def write_around(table: int, to: int, value: int) -> int:
    """Copy a value over another, but for the fields: those that are kept stay, others are zero."""
    done = 0
    row = table + FIRST
    end = row + load64(table + 32) * ROW
    while row < end:
        off = load64(row)
        memcpy(to + done, value + done, off - done)
        if load64(row + 16) == 0:
            memset(to + off, 0, load64(row + 8))
        done = off + load64(row + 8)
        row = row + ROW
    memcpy(to + done, value + done, load64(table + 24) - done)
    return 0


@native
def write_clean(table: int, to: int, value: int) -> int:
    """Copy a value with zeroes for its fields."""
    memcpy(to, value, load64(table + 24))
    row = table + FIRST
    end = row + load64(table + 32) * ROW
    while row < end:
        memset(to + load64(row), 0, load64(row + 8))
        row = row + ROW
    return 0


@native
def update(rt: int, desc: int, key: int, value: int, flags: int) -> int:
    """0 or a negative errno."""
    table = load64(desc + DESC_FIELDS)
    clean = alloca(MAX_VALUE)
    lock = load64(table + 16)
    want = flags & 0xFFFFFFFFFFFFFFFB
    locked = want != flags
    if want > 2 or (locked and lock == NO_LOCK):
        return neg(EINVAL)
    if locked or load64(table + 8):
        old = call(load64(desc + DESC_LOOKUP), rt, desc, key)
        if old:
            if want == 1:
                return neg(EEXIST)
            if locked and take(old + lock):
                return neg(EINVAL)
            write_around(table, old, value)
            if locked:
                atomic_store32(old + lock, 0)
            return 0
    write_clean(table, clean, value)
    return call(load64(table), rt, desc, key, clean, want)


_compiled: list[NativeSet] = []
_NO_CPU: Final = (ctypes.c_uint64 * (RT_SIZE // 8))()  # a run context for updates that no program makes


def guard(target: Map, fields: Sequence[tuple[int, int]], lock: int | None, in_place: bool) -> None:
    """Put this update in front of a map's own. `fields` are (offset, bytes), ascending. E2BIG for huge values."""
    if target.value_size > MAX_VALUE:
        raise BpfError(errno.E2BIG)
    if not _compiled:
        _compiled.append(compile_natives(update=(update, {})))
    own = ctypes.c_uint64.from_address(target.desc + DESC_UPDATE)
    words = [own.value, int(in_place), NO_LOCK if lock is None else lock, target.value_size, len(fields)]
    for off, size in fields:
        words += [off, size, int(off == lock)]
    table = (ctypes.c_uint64 * len(words))(*words)
    target.fields_table = table
    ctypes.c_uint64.from_address(target.desc + DESC_FIELDS).value = ctypes.addressof(table)
    own.value = _compiled[0].addr("update")


def guarded_update(target: Map, key: bytes, value: bytes, flags: int) -> None:
    """An update from the syscall side."""
    key_at, value_at = ctypes.create_string_buffer(key, len(key)), ctypes.create_string_buffer(value, len(value))
    result = _compiled[0].update(
        ctypes.addressof(_NO_CPU), target.desc, ctypes.addressof(key_at), ctypes.addressof(value_at), flags
    )
    if result >> 63:
        raise BpfError((1 << 64) - result)
