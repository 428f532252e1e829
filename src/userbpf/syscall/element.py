"""One element of a map as the syscall sees it: who may touch it, values that are fds, values with a lock in them.

A value's bpf_spin_lock is never shown and never set from here: reading gives zero in its place, writing leaves it
alone. BPF_F_LOCK copies while holding it.
"""

from __future__ import annotations

import ctypes
from errno import E2BIG, EINVAL, ENOENT, EPERM
from typing import Final

from userbpf.abi.enums import MapType
from userbpf.errors import BpfError
from userbpf.kernel import Kernel, bpffs
from userbpf.kernel.fds import may_read, may_write
from userbpf.kernel.objects import MapObj
from userbpf.kernel.perf import event_of_fd
from userbpf.maps.guard import guarded_update
from userbpf.maps.perf import PerfEventArray
from userbpf.native import atomic_cmpxchg32, atomic_store32, compiled, native, neg, pause
from userbpf.native import load32 as native_load32

LOCK_SIZE: Final = 4
SPINS: Final = 1 << 24
ARRAYS: Final = frozenset({MapType.ARRAY})


def reader(kernel: Kernel, fd: int) -> MapObj:
    """The map of an fd that may be read; EPERM for BPF_F_WRONLY."""
    obj = kernel.map_of_fd(fd)
    if not may_read(fd):
        raise BpfError(EPERM)
    return obj


def writer(kernel: Kernel, fd: int) -> MapObj:
    """The map of an fd that may be written; EPERM for BPF_F_RDONLY, and for a frozen map."""
    obj = kernel.map_of_fd(fd)
    if obj.map.frozen or not may_write(fd):
        raise BpfError(EPERM)
    return obj


def key_at(kernel: Kernel, obj: MapObj, addr: int) -> bytes:
    """The key at addr; a map without keys takes no pointer (EINVAL)."""
    size = obj.map.key_size
    if size:
        return kernel.memory.read(addr, size)
    if addr:
        raise BpfError(EINVAL)
    return b""


# --- reading -----------------------------------------------------------------------------------------------------------


def fetch(obj: MapObj, key: bytes, locked: bool = False) -> bytes:
    """The value of a key as user space sees it."""
    if locked:
        addr = value_address(obj, key)
        if not addr:
            raise BpfError(ENOENT)
        with _Held(addr + (obj.lock_off or 0)):
            return shown(obj, ctypes.string_at(addr, obj.map.value_size))
    return shown(obj, obj.map.lookup(key))


def shown(obj: MapObj, value: bytes) -> bytes:
    """A value without the kernel's fields: zeroes in their places, in each CPU's value."""
    if obj.fields is None:
        return value
    out = bytearray(value)
    for start in range(0, len(out), obj.map.stride) if obj.map.percpu else (0,):
        for field in obj.fields.fields:
            out[start + field.off : start + field.off + field.size] = bytes(field.size)
    return bytes(out)


# --- writing -----------------------------------------------------------------------------------------------------------


def store(kernel: Kernel, obj: MapObj, key: bytes, value: bytes, flags: int) -> None:
    """One update; values that are fds become what the fd stands for."""
    if obj.map.map_type == MapType.PROG_ARRAY:
        _store_prog(kernel, obj, key, value, flags)
    elif isinstance(obj.map, PerfEventArray):
        _store_event(kernel, obj.map, key, value, flags)
    elif obj.inner is not None:
        _store_inner(kernel, obj, key, value, flags)
    elif obj.fields is not None and not obj.map.percpu:
        guarded_update(obj.map, key, value, flags)
    elif obj.fields is not None:
        obj.map.update(key, shown(obj, value), flags)
    else:
        obj.map.update(key, value, flags)


def _store_prog(kernel: Kernel, obj: MapObj, key: bytes, value: bytes, flags: int) -> None:
    if flags:
        raise BpfError(EINVAL)
    index = int.from_bytes(key, "little")
    if index >= obj.map.max_entries:
        raise BpfError(E2BIG)
    prog = kernel.prog_of_fd(int.from_bytes(value, "little"))
    obj.claim(prog.record)
    with kernel.lock:
        kernel.retire(obj.put_program(index, prog))
    if obj.pins and not prog.mark():
        bpffs.keep_tails(kernel, obj)


def _store_event(kernel: Kernel, array: PerfEventArray, key: bytes, value: bytes, flags: int) -> None:
    if flags:
        raise BpfError(EINVAL)
    array.index_of(key)
    event = event_of_fd(kernel, int.from_bytes(value, "little", signed=True))
    with kernel.lock:
        kernel.retire(array.set_event(key, event.ring, event))


def _store_inner(kernel: Kernel, obj: MapObj, key: bytes, value: bytes, flags: int) -> None:
    """An inner map must look like the one that the outer map was made with."""
    if obj.map.map_type == MapType.ARRAY_OF_MAPS and flags:
        raise BpfError(EINVAL)
    inner = kernel.map_of_fd(int.from_bytes(value, "little"))
    if obj.inner is None or not obj.inner.fits(inner):
        raise BpfError(EINVAL)
    with kernel.lock:
        kernel.retire(obj.put_inner(key, inner, flags))


def remove(kernel: Kernel, obj: MapObj, key: bytes) -> None:
    """One deletion; a program or map that was the value may still be in use by a running program."""
    held = list(obj.map.held_objects())
    obj.map.delete(key)
    for each in held:
        kernel.retire(each)


# --- locks -------------------------------------------------------------------------------------------------------------


def need_lock(obj: MapObj) -> None:
    """BPF_F_LOCK: EINVAL where values have no bpf_spin_lock."""
    if obj.lock_off is None:
        raise BpfError(EINVAL)


def value_address(obj: MapObj, key: bytes) -> int:
    """Where a key's value lies, 0 for none."""
    return obj.map.natives().lookup(0, obj.map.desc, key)


@native
def take_lock(lock: int) -> int:
    """Take a bpf_spin_lock as programs do; neg(1) where its holder does not give it back."""
    tries = 0
    while native_load32(lock) != 0 or atomic_cmpxchg32(lock, 0, 1) != 0:
        pause()
        tries = tries + 1
        if tries > SPINS:
            return neg(1)
    return 0


class _Held:
    """A bpf_spin_lock held for a copy."""

    def __init__(self, addr: int) -> None:
        self._addr = addr

    def __enter__(self) -> None:
        if compiled(take_lock)(self._addr):
            raise BpfError(EINVAL)

    def __exit__(self, *exc: object) -> None:
        atomic_store32(self._addr, 0)
