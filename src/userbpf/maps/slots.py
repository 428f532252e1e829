"""DEVMAP, DEVMAP_HASH, CPUMAP, XSKMAP: what packets are redirected to.

Devices and processors are numbers that a redirect reports; nothing is sent. An array of them is like ARRAY, except that a zero
value is none. Which devices there are is the machine's to say (`DevMap.has_device`). Sockets of XSKMAP
are things that are not there in a process: no descriptor is one, and so it stays empty.

A program's lookup (and redirect_map, by the descriptor) finds the value's address, 0 where there is none.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import struct
from collections.abc import Callable
from typing import ClassVar, Final

from userbpf.abi.enums import MapType
from userbpf.maps.array import any_delete, any_next, at
from userbpf.maps.base import BPF_EXIST, BPF_NOEXIST, DESC_STRIDE, ENOTSUPP, Consts, Map, fail
from userbpf.maps.hash import HashMap
from userbpf.maps.inner import no_update
from userbpf.native import NativeFn, Sym, load32, load64, native
from userbpf.native.rt import DESC_BASE, DESC_MAX_ENTRIES

EINVAL = errno.EINVAL
ENOENT = errno.ENOENT
E2BIG = errno.E2BIG
QSIZE_MAX: Final = 16384


def machine_has_device(ifindex: int) -> bool:
    """Whether the machine has an interface of this number."""
    try:
        socket.if_indextoname(ifindex)
    except (OSError, OverflowError):
        return False
    return True


@native(inline=True)
def present(slot: int) -> int:
    """The slot's address if there is something in it, else 0."""
    if slot != 0 and load32(slot) == 0:
        return 0
    return slot


@native
def lookup(rt: int, key: int, *, base: int, stride: int, max_entries: int) -> int:
    """For a program that knows the map."""
    return present(at(base, stride, max_entries, key))


@native
def any_lookup(rt: int, desc: int, key: int) -> int:
    return present(at(load64(desc + DESC_BASE), load32(desc + DESC_STRIDE), load32(desc + DESC_MAX_ENTRIES), key))


class SlotMap(Map):
    """An array whose entries may be absent."""

    GENERIC: ClassVar[dict[str, NativeFn[...]]] = {
        "lookup": any_lookup,
        "update": no_update,
        "delete": any_delete,
        "next": any_next,
    }
    BEYOND: ClassVar[int] = EINVAL  # errno of a deletion beyond the end

    def plan(self) -> int:
        return self.max_entries * self.stride

    def ops(self, op: str) -> tuple[NativeFn[...], Consts] | None:
        if op != "lookup":
            return None
        base = Sym("base", self.region.addr)
        return lookup, {"base": base, "stride": self.stride, "max_entries": self.max_entries}

    def owns(self, addr: int, size: int) -> bool:
        off = addr - self.region.addr
        return 0 <= off < self.plan() and off % self.stride + size <= self.stride

    # --- the syscall side ------------------------------------------------------------------------------------------------

    def _index(self, key: bytes, code: int) -> int:
        index = int.from_bytes(self._key(key), "little")
        if index >= self.max_entries:
            raise fail(code)
        return index

    def accept(self, index: int, value: bytes) -> None:
        """Raise the errno of a value that may not be at an index."""
        raise NotImplementedError

    def lookup(self, key: bytes) -> bytes:
        off = self._index(key, ENOENT) * self.stride
        value = self.region.map[off : off + self.value_size]
        if not any(value[:4]):
            raise fail(ENOENT)
        return value

    def update(self, key: bytes, value: bytes, flags: int = 0) -> None:
        if flags > BPF_EXIST:
            raise fail(EINVAL)
        index = self._index(key, E2BIG)
        if flags == BPF_NOEXIST:
            raise fail(errno.EEXIST)
        self.accept(index, self._value(value))
        off = index * self.stride
        self.region.map[off : off + self.value_size] = value

    def delete(self, key: bytes) -> None:
        off = self._index(key, self.BEYOND) * self.stride
        self.region.map[off : off + self.value_size] = bytes(self.value_size)

    def next_key(self, key: bytes | None) -> bytes:
        index = self.max_entries if key is None else int.from_bytes(self._key(key), "little")
        if index >= self.max_entries:
            return bytes(4)
        if index == self.max_entries - 1:
            raise fail(ENOENT)
        return struct.pack("<I", index + 1)


def check_device(has_device: Callable[[int], bool], value: bytes) -> None:
    """struct bpf_devmap_val: ifindex, and in 8 bytes the fd of a program to run there, which must be one of XDP."""
    ifindex = int.from_bytes(value[:4], "little")
    program = int.from_bytes(value[4:8], "little", signed=True)
    if program > 0 or not has_device(ifindex):
        raise fail(EINVAL)


class DevMap(SlotMap):
    """DEVMAP."""

    TYPES = (MapType.DEVMAP,)
    has_device: Callable[[int], bool] = staticmethod(machine_has_device)

    def accept(self, index: int, value: bytes) -> None:
        if any(value):  # all zero empties the slot
            check_device(self.has_device, value)


class DevMapHash(HashMap):
    """DEVMAP_HASH: u32 to device."""

    TYPES = (MapType.DEVMAP_HASH,)
    GENERIC: ClassVar[dict[str, NativeFn[...]]] = {**HashMap.GENERIC, "update": no_update}
    has_device: Callable[[int], bool] = staticmethod(machine_has_device)

    def ops(self, op: str) -> tuple[NativeFn[...], Consts] | None:
        return super().ops(op) if op == "lookup" else None

    def update(self, key: bytes, value: bytes, flags: int = 0) -> None:
        if flags > BPF_EXIST:
            raise fail(EINVAL)
        check_device(self.has_device, self._value(value))
        super().update(key, value, flags)

    def lookup_and_delete(self, key: bytes) -> bytes:
        raise fail(ENOTSUPP)


class CpuMap(SlotMap):
    """CPUMAP: CPU to the length of its queue."""

    TYPES = (MapType.CPUMAP,)

    def accept(self, index: int, value: bytes) -> None:
        qsize = int.from_bytes(value[:4], "little")
        if qsize > QSIZE_MAX:
            raise fail(errno.EOVERFLOW)
        if index >= self.ncpu:
            raise fail(errno.ENODEV)
        if int.from_bytes(value[4:8], "little", signed=True) > 0:
            raise fail(EINVAL)  # no descriptor stands for a program of a map's own


class XskMap(SlotMap):
    """XSKMAP: queue to AF_XDP socket, of which there are none."""

    TYPES = (MapType.XSKMAP,)

    def update(self, key: bytes, value: bytes, flags: int = 0) -> None:
        if flags > BPF_EXIST:
            raise fail(EINVAL)
        self._index(key, E2BIG)
        try:
            mode = os.fstat(int.from_bytes(value, "little", signed=True)).st_mode
        except (OSError, OverflowError):
            raise fail(errno.EBADF) from None
        raise fail(errno.EOPNOTSUPP if stat.S_ISSOCK(mode) else errno.ENOTSOCK)

    def lookup(self, key: bytes) -> bytes:
        raise fail(errno.EOPNOTSUPP)
