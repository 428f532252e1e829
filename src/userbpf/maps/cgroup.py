"""CGROUP_ARRAY, CGROUP_STORAGE, PERCPU_CGROUP_STORAGE: cgroups by index, and values of programs attached to cgroups.

A storage's entries come and go with attachments to cgroups, of which there are none here. A test run has a value of its own,
zero at its beginning, which only the program sees (bpf_get_local_storage), as in Linux.
"""

from __future__ import annotations

import errno
from typing import Any, ClassVar

from userbpf.abi.enums import MapType
from userbpf.maps.base import BPF_EXIST, DESC_NCPU, DESC_STRIDE, ENOTSUPP, Map, fail
from userbpf.maps.owners import Owner, cgroup_of
from userbpf.maps.slots import SlotMap
from userbpf.native import NativeFn, load32, load64, native
from userbpf.native.rt import DESC_BASE, RT_CPU

E2BIG = errno.E2BIG
EINVAL = errno.EINVAL
ENOENT = errno.ENOENT


class CgroupArray(SlotMap):
    """CGROUP_ARRAY."""

    TYPES = (MapType.CGROUP_ARRAY,)
    GENERIC: ClassVar[dict[str, NativeFn[...]]] = {}

    def __init__(self, attr: Any, **more: Any) -> None:
        self.cgroups: dict[int, Owner] = {}
        super().__init__(attr, **more)

    def ops(self, op: str) -> None:
        return None

    def update(self, key: bytes, value: bytes, flags: int = 0) -> None:
        if flags:
            raise fail(EINVAL)
        index = self._index(key, E2BIG)
        self.cgroups[index] = cgroup_of(int.from_bytes(self._value(value), "little", signed=True))

    def lookup(self, key: bytes) -> bytes:
        raise fail(ENOTSUPP)

    def delete(self, key: bytes) -> None:
        if self.cgroups.pop(self._index(key, E2BIG), None) is None:
            raise fail(ENOENT)


@native
def local_value(rt: int, desc: int, flags: int) -> int:
    """bpf_get_local_storage: address of the run's value (of this CPU)."""
    at = load64(desc + DESC_BASE)
    if load32(desc + DESC_NCPU):
        at = at + load32(rt + RT_CPU) * load32(desc + DESC_STRIDE)
    return at


class CgroupStorage(Map):
    """CGROUP_STORAGE and PERCPU_CGROUP_STORAGE."""

    TYPES = (MapType.CGROUP_STORAGE, MapType.PERCPU_CGROUP_STORAGE)

    @property
    def percpu(self) -> bool:
        return self.map_type == MapType.PERCPU_CGROUP_STORAGE

    def plan(self) -> int:
        return self.stride * (self.ncpu if self.percpu else 1)

    def begin_run(self) -> None:
        """The value of a new test run."""
        self.region.map[: self.plan()] = bytes(self.plan())

    def owns(self, addr: int, size: int) -> bool:
        off = addr - self.region.addr
        return 0 <= off < self.plan() and off % self.stride + size <= self.stride

    def lookup(self, key: bytes) -> bytes:
        raise fail(ENOENT)

    def update(self, key: bytes, value: bytes, flags: int = 0) -> None:
        raise fail(ENOENT if flags in (0, BPF_EXIST) else EINVAL)

    def next_key(self, key: bytes | None) -> bytes:
        raise fail(ENOENT)
