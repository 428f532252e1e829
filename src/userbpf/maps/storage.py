"""SK_STORAGE, INODE_STORAGE, TASK_STORAGE, CGRP_STORAGE: a value for each socket, inode, task, cgroup.

At the syscall a key is a descriptor of the owner; the values are kept by owner. Programs reach them through pointers to
kernel structures, which are not there in a process, so what user space writes only user space reads.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from typing import Any, ClassVar, Final

from userbpf.abi.enums import MapType
from userbpf.maps.base import BPF_EXIST, BPF_NOEXIST, Map, fail
from userbpf.maps.owners import Owner, cgroup_of, file_of, socket_of, task_of

OWNERS: Final[dict[MapType, Callable[[int], Owner]]] = {
    MapType.SK_STORAGE: socket_of,
    MapType.INODE_STORAGE: file_of,
    MapType.TASK_STORAGE: task_of,
    MapType.CGRP_STORAGE: cgroup_of,
}


class LocalStorageMap(Map):
    """All four."""

    TYPES: ClassVar[tuple[MapType, ...]] = tuple(OWNERS)

    def __init__(self, attr: Any, **more: Any) -> None:
        self._values: dict[tuple[int, int], tuple[Owner, bytes]] = {}
        self._lock = threading.Lock()
        super().__init__(attr, **more)

    def plan(self) -> int:
        return 0

    def _owner(self, key: bytes) -> Owner:
        return OWNERS[self.map_type](int.from_bytes(self._key(key), "little", signed=True))

    def _sweep(self) -> None:
        """Sockets that are closed take their values with them."""
        if self.map_type == MapType.SK_STORAGE:
            for owner, _ in list(self._values.values()):
                if not owner.open_still():
                    del self._values[owner.identity]

    def lookup(self, key: bytes) -> bytes:
        owner = self._owner(key)
        with self._lock:
            found = self._values.get(owner.identity)
        if found is None:
            raise fail(errno.ENOENT)
        return found[1]

    def update(self, key: bytes, value: bytes, flags: int = 0) -> None:
        owner = self._owner(key)
        if flags > BPF_EXIST:
            raise fail(errno.EINVAL)
        with self._lock:
            there = owner.identity in self._values
            if there and flags == BPF_NOEXIST:
                raise fail(errno.EEXIST)
            if not there and flags == BPF_EXIST:
                raise fail(errno.ENOENT)
            self._sweep()
            self._values[owner.identity] = owner, bytes(self._value(value))

    def delete(self, key: bytes) -> None:
        owner = self._owner(key)
        with self._lock:
            if self._values.pop(owner.identity, None) is None:
                raise fail(errno.ENOENT)
